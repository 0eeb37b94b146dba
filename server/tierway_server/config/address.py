"""Addresses to listen on: `host:port`."""

from __future__ import annotations

import re
from typing import NamedTuple

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65_535


class Address(NamedTuple):
    """Where a listener binds."""

    host: str
    """A name, an IPv4 address, or an IPv6 address without its brackets."""

    port: int
    """0 lets the system pick a free one."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address that `text` writes as ``host:port`` or ``[ipv6]:port``.

    Raises:
        ValueError: with a message for a person, when it is neither.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError('must be "host:port", such as "127.0.0.1:50051"')
    if int(match["port"]) > _MAX_PORT:
        raise ValueError(f"port must be at most {_MAX_PORT}")
    return Address(match["host"].strip("[]"), int(match["port"]))

"""The sections `server` and `constitution`: what the process listens on, its limits, and the hash under which it decides."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from tierway_server.config.address import parse_address
from tierway_server.config.section import Seconds, Section

_HASH = re.compile(r"[0-9a-f]{16}")


class LimitsConfig(Section):
    """What one client may ask of the process at most."""

    receive_bytes: Annotated[int, Field(ge=1_024, le=1 << 30)] = 16_777_216
    """Largest message on the wire, in bytes. Larger ones are refused by the transport, without details."""

    prompt_bytes: Annotated[int, Field(ge=1, le=1 << 30)] = 1_048_576
    """Largest text of one query, in bytes of UTF-8; at most `receive_bytes`."""

    max_concurrent_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Most calls that one connection may have open at once."""

    batch_requests: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    """Most requests in one RouteBatch; the contract allows 1,000."""

    @field_validator("prompt_bytes")
    @classmethod
    def _prompt_fits_message(cls, value: int, info: ValidationInfo) -> int:
        most = info.data.get("receive_bytes", value)
        if value > most:
            raise ValueError(f"must be at most receive_bytes, which is {most}")
        return value


class ServerConfig(Section):
    """The process."""

    listen: str = "127.0.0.1:50051"
    """Address of the gRPC services, `host:port`; port 0 picks a free one."""

    admin_listen: str = "127.0.0.1:50052"
    """Address of administration and channelz, `host:port`; port 0 picks a free one."""

    http_listen: str = "127.0.0.1:8020"
    """Address of health, readiness and metrics over HTTP, `host:port`; port 0 picks a free one."""

    workers: Annotated[int, Field(ge=1, le=16)] = 1
    """Processes that decide and answer on the one port; with more than one, the engines have a process of their own."""

    reflection: bool = True
    """Whether clients may read the contract from the server (v1 and v1alpha)."""

    channelz: bool = True
    """Whether the admin port tells about connections and calls."""

    default_deadline_s: Seconds = 60.0
    """Deadline, in seconds, of a call that states none."""

    max_deadline_s: Seconds = 600.0
    """Longest deadline, in seconds; longer ones are cut to it. At least `default_deadline_s`."""

    drain_grace_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    """How long, in seconds, running calls may go on after SIGTERM before they are aborted; 0 aborts at once."""

    limits: LimitsConfig = LimitsConfig()
    """What one client may ask at most."""

    @field_validator("listen", "admin_listen", "http_listen")
    @classmethod
    def _listens_apart(cls, value: str, info: ValidationInfo) -> str:
        port = parse_address(value).port
        for name in ("listen", "admin_listen", "http_listen"):
            if name in info.data and port and parse_address(info.data[name]).port == port:
                raise ValueError(f"port {port} is already that of {name}")
        return value

    @field_validator("max_deadline_s")
    @classmethod
    def _covers_default(cls, value: float, info: ValidationInfo) -> float:
        least = info.data.get("default_deadline_s", value)
        if value < least:
            raise ValueError(f"must be at least default_deadline_s, which is {least:g}")
        return value


class ConstitutionConfig(Section):
    """The rules under which decisions are made, by their hash."""

    hash: str = "cdd01ef066bc6cf2"
    """Hash of the constitution: 16 lower-case hexadecimal digits. In every reply; a request may state which one it expects."""

    @field_validator("hash")
    @classmethod
    def _is_hash(cls, value: str) -> str:
        if not _HASH.fullmatch(value):
            raise ValueError("must be 16 lower-case hexadecimal digits")
        return value

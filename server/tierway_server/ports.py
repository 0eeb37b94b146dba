"""Ports: those that one process listens on alone, and those that several share."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

from tierway_server.config import Address
from tierway_server.rpc.server import PortError

logger = logging.getLogger(__name__)


def listening(address: Address) -> socket.socket:
    """A socket that listens on `address`.

    Raises:
        PortError: the port is taken, or the address is not of this machine.

    """
    listener = _unbound(address)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()  # until then a second process could bind the same port
    except OSError:
        listener.close()
        raise _not_to_be_had(address) from None
    return listener


def reserved(address: Address) -> socket.socket:
    """A socket that does not listen, and holds a port for processes that listen on it together (SO_REUSEPORT).

    Raises:
        PortError: another server has it, or the address is not of this machine.

    """
    # Alone first: another server that shares its ports would share them with ours without a word.
    with listening(address) as alone:
        port = alone.getsockname()[1]
    holder = _unbound(address)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        holder.bind((address.host, port))
    except OSError:  # somebody was faster
        holder.close()
        raise _not_to_be_had(address) from None
    return holder


def warn_of_exposure(addresses: Mapping[str, Address]) -> None:
    """Say so in the log where something listens beyond this machine."""
    for name, address in addresses.items():
        if address.host not in ("127.0.0.1", "::1", "localhost"):
            logger.warning(
                "listening beyond this machine WITHOUT AUTHENTICATION", extra={"port": name, "address": str(address)}
            )


def _unbound(address: Address) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)


def _not_to_be_had(address: Address) -> PortError:
    return PortError(f"cannot listen on {address}: the port is taken, or the address is not of this machine")

"""A front end's place: what it shares with the other processes of the server, and what it has of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierway_core import State
from tierway_server.backends.engines import Engines, remote_engines
from tierway_server.backends.remote_engine import RemoteEngine
from tierway_server.config import Address, Config, VaultAnswer
from tierway_server.local_socket import asking
from tierway_server.telemetry.families import Counts, counts_decoder
from tierway_server.workers.assignment import host_socket, supervisor_socket
from tierway_server.workers.questions import Reset, Whole, time_decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One of the front ends of a server."""

    worker: int
    """Its number."""
    socket: str
    """What the names of the server's local sockets begin with."""
    state: State
    """What all front ends share; the supervisor alone writes availability to it."""
    addresses: Mapping[str, Address]
    """What to listen on together with the others, by `grpc` and `admin`."""
    started_s: float
    """When the server started, Unix time."""
    vault: Mapping[str, VaultAnswer]
    """What Vault answered when the server started, by reference."""

    def engines(self, config: Config, unavailable: Sequence[str]) -> Engines[RemoteEngine]:
        """The engines, in the process that has them."""
        return remote_engines(config, unavailable, host_socket(self.socket))

    async def counts(self) -> Counts:
        """What all front ends have counted since the last `reset`.

        Raises:
            EOFError: there is no supervisor any more, and so no server.
            OSError: likewise.

        """
        async with asking(supervisor_socket(self.socket), Whole(), counts_decoder) as told:
            return await told.read()

    async def reset(self) -> float:
        """Begin these counts anew for all front ends; raises as `counts` does."""
        async with asking(supervisor_socket(self.socket), Reset(), time_decoder) as told:
            return await told.read()

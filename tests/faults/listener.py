"""What listens on loopback: connections as tasks, all of which end with it, and how one is broken off."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN."""


@dataclass(slots=True)
class Listener(ABC):
    """A server on a free port of 127.0.0.1."""

    _server: asyncio.Server | None = field(default=None, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def living(self) -> int:
        """Connections that are not over."""
        return len(self._tasks)

    async def aclose(self) -> None:
        """End, with all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _listen(self, limit: int, tls: ssl.SSLContext | None = None) -> None:
        """Begin. `limit` is how many bytes of a connection are read ahead."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=tls, limit=limit)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (asyncio.CancelledError, OSError):
            # Cancelled by `aclose`, or the other side went away in its own way.
            reset(writer)
        finally:
            self._tasks.discard(task)

    @abstractmethod
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
    writer.transport.abort()

"""A TCP proxy that harms what passes through it, at a chosen byte of a connection and in a chosen direction.

Each connection takes the next fault of the proxy's plan; a connection without one passes everything on unharmed. Bytes are counted for
each direction and connection by itself, from the first byte after the connect: over TLS they are bytes of the records.

The end of one direction ends the connection, as it does for whoever speaks HTTP.

Bounded: at most `connections` at a time (the others are reset at once), a chunk of each direction in memory, and no more is read than
the other side takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.faults.listener import Listener, reset

_CHUNK_BYTES = 1 << 16


class Kind(Enum):
    """What happens at the byte."""

    CUT = auto()
    """Both sides get FIN; what came before arrives."""
    RESET = auto()
    """Both sides get RST; what came before is lost unless it has been read."""
    STALL = auto()
    """Nothing more passes in this direction; the connection stays."""
    TRUNCATE = auto()
    """The receiver gets FIN; the sender is read on, to nowhere, and the other direction lives."""
    DELAY = auto()
    """Nothing passes for `delay_s`; then all goes on."""
    GARBLE = auto()
    """The byte arrives with all its bits turned over; then all goes on."""


class Way(Enum):
    """The direction that a fault harms."""

    TO_CLIENT = auto()
    TO_SERVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One harm to one connection."""

    kind: Kind
    at_byte: int = 0
    """Bytes that pass first; 0: none."""
    way: Way = Way.TO_CLIENT
    gate: asyncio.Event | None = None
    """What must be set before it acts: nothing passes until then. None: it acts at once."""
    delay_s: float = 0.0
    """Of Kind.DELAY."""


@dataclass(slots=True)
class FaultProxy(Listener):
    """A proxy that serves; `fault_proxy` makes one."""

    target: tuple[str, int]
    """Host and port of what stands behind it."""
    connections: int = 256
    """How many it holds at a time."""
    default: Callable[[], Fault | None] = lambda: None
    """The fault of a connection for which nothing is planned."""
    plan: deque[Fault | None] = field(default_factory=deque)
    """The faults of the next connections, in their order."""
    accepted: int = 0
    """Connections so far."""
    struck: int = 0
    """Faults that acted so far."""
    _sides: set[_Side] = field(default_factory=set, init=False)

    def go(self, kind: Kind) -> None:
        """End all connections at once, by Kind.CUT or Kind.RESET, and take no more: whatever stands behind is not there any longer."""
        assert self._server is not None
        self._server.close()
        for side in tuple(self._sides):
            if kind is Kind.CUT:
                side.writer.close()
            else:
                reset(side.writer)

    async def start(self) -> None:
        await self._listen(_CHUNK_BYTES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.living > self.connections:
            reset(writer)
            return
        fault = self.plan.popleft() if self.plan else self.default()
        await self._pass_on(_Side(reader, writer), fault)

    async def _pass_on(self, client: _Side, fault: Fault | None) -> None:
        """Pass bytes both ways until one of them is over."""
        server = _Side(*await asyncio.open_connection(*self.target, limit=_CHUNK_BYTES))
        ways = ((Way.TO_SERVER, client, server), (Way.TO_CLIENT, server, client))
        pumps = [
            asyncio.create_task(self._pump(source, sink, fault if fault is not None and fault.way is way else None))
            for way, source, sink in ways
        ]
        self._sides |= {client, server}
        try:
            over, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in over:
                pump.result()
        finally:
            self._sides -= {client, server}
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for side in (client, server):
                side.writer.close()
        await asyncio.gather(client.writer.wait_closed(), server.writer.wait_closed())

    async def _pump(self, source: _Side, sink: _Side, fault: Fault | None) -> None:
        """Pass bytes on until the source ends, or a fault ends the connection."""
        passed = 0
        while chunk := await source.reader.read(_CHUNK_BYTES):
            if fault is not None and fault.at_byte < passed + len(chunk):
                kept = fault.at_byte - passed
                await sink.send(chunk[:kept])
                if fault.gate is not None:
                    await fault.gate.wait()
                rest = await self._strike(fault, chunk[kept:], source, sink)
                if rest is None:
                    return
                passed, chunk, fault = passed + kept, rest, None
            await sink.send(chunk)
            passed += len(chunk)

    async def _strike(self, fault: Fault, rest: bytes, source: _Side, sink: _Side) -> bytes | None:
        """Do what the fault says. Returns what is to pass now, None when nothing ever will."""
        self.struck += 1
        match fault.kind:
            case Kind.CUT:
                return None
            case Kind.RESET:
                reset(source.writer)
                reset(sink.writer)
                return None
            case Kind.STALL:
                await asyncio.Event().wait()  # until the other direction, or the proxy, ends
            case Kind.TRUNCATE:
                sink.end()
                while await source.reader.read(_CHUNK_BYTES):
                    pass
                return None
            case Kind.DELAY:
                await asyncio.sleep(fault.delay_s)
            case Kind.GARBLE:
                return bytes([rest[0] ^ 0xFF]) + rest[1:]
        return rest


@dataclass(slots=True, eq=False)
class _Side:
    """One of the two sockets of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, chunk: bytes) -> None:
        if chunk:
            self.writer.write(chunk)
            await self.writer.drain()

    def end(self) -> None:
        """Say that nothing more comes."""
        with suppress(OSError):  # it is gone already
            self.writer.write_eof()


@asynccontextmanager
async def fault_proxy(port: int, *faults: Fault | None, connections: int = 256) -> AsyncIterator[FaultProxy]:
    """A proxy before 127.0.0.1:`port` until the block ends; the first connections get `faults`, one each."""
    proxy = FaultProxy(("127.0.0.1", port), connections, plan=deque(faults))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.aclose()

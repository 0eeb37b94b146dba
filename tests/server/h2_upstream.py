"""A provider that speaks HTTP/2 over TLS: it sends the events that it is told, and keeps account of streams that were reset."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events


class H2Upstream:
    """Answers each request with the same events; without `ends`, the answer never does."""

    def __init__(self, events: tuple[bytes, ...], *, ends: bool) -> None:
        self.connections = 0
        self.requests = 0
        self.lost = 0
        """Connections that are over."""
        self.answers = True
        """Whether requests are answered at all."""
        self.reset: list[int] = []
        """Streams that the client no longer wanted."""
        self._streams: list[tuple[_Connection, int]] = []
        self._events = events
        self._ends = ends

    def protocol(self) -> asyncio.Protocol:
        self.connections += 1
        return _Connection(self)

    def answer(self, connection: _Connection, stream: int) -> None:
        self.requests += 1
        if not self.answers:
            return
        self._streams.append((connection, stream))
        connection.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        for event in self._events:
            connection.h2.send_data(stream, event)
        if self._ends:
            connection.h2.end_stream(stream)

    def say(self, request: int, data: bytes, *, ends: bool = False) -> None:
        """Send more of the answer to a request, by its number from 0."""
        connection, stream = self._streams[request]
        connection.h2.send_data(stream, data, end_stream=ends)
        connection.flush()


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: H2Upstream) -> None:
        self._upstream = upstream
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.lost += 1

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                self._upstream.answer(self, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self._upstream.reset.append(event.stream_id)
        self.flush()

    def flush(self) -> None:
        self._transport.write(self.h2.data_to_send())


@asynccontextmanager
async def h2_upstream(
    events: tuple[bytes, ...], tls: ssl.SSLContext, *, ends: bool = True
) -> AsyncIterator[tuple[H2Upstream, str]]:
    """Such a provider until the block ends, and its address."""
    tls.set_alpn_protocols(["h2", "http/1.1"])
    provider = H2Upstream(events, ends=ends)
    server = await asyncio.get_running_loop().create_server(provider.protocol, "127.0.0.1", 0, ssl=tls)
    try:
        yield provider, f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()

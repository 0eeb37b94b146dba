"""A provider that speaks HTTP/2 over TLS: it sends the events that it is told, and keeps account of streams that were reset."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame


class H2Upstream:
    """Answers each request with the same events; without `ends`, the answer goes on with what `send` is given."""

    def __init__(self, events: tuple[bytes, ...], *, ends: bool, most_streams: int | None) -> None:
        self.events = events
        self.ends = ends
        self.most_streams = most_streams
        """How many it tells to take at once on a connection; None: it does not tell."""
        self.leaves = 0
        """For how many requests it goes away, without having looked at what is asked."""
        self.connections = 0
        self.requests = 0
        self.lost = 0
        """Connections that are over."""
        self.reset: list[int] = []
        """Streams that the client no longer wanted."""
        self._living: list[_Connection] = []

    def protocol(self) -> asyncio.Protocol:
        self.connections += 1
        connection = _Connection(self)
        self._living.append(connection)
        return connection

    def send(self, *events: bytes, ends: bool = False, stream: int | None = None, connection: int = -1) -> None:
        """Send more of an answer: of the latest one, and on the latest connection, if none is named."""
        self._living[connection].send(events, ends=ends, stream=stream)

    def go_away(self, last_stream: int = 2**31 - 1) -> None:
        """Ask for no further streams, in the way of a proxy that is replaced; those up to `last_stream` are answered."""
        for connection in self._living:
            connection.go_away(last_stream)

    def hang_up(self) -> None:
        """Close all connections."""
        for connection in self._living:
            connection.hang_up()

    def over(self, connection: _Connection) -> None:
        self.lost += 1
        self._living.remove(connection)


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: H2Upstream) -> None:
        self._upstream = upstream
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._latest = 0
        if upstream.most_streams is None:
            del self._h2.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS]
        else:
            self._h2.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = upstream.most_streams
            self._h2.local_settings.acknowledge()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.over(self)

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                self._answer(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self._upstream.reset.append(event.stream_id)
        self._transport.write(self._h2.data_to_send())

    def _answer(self, stream: int) -> None:
        if self._upstream.leaves:
            self._upstream.leaves -= 1
            self.go_away(stream - 2 if stream > 2 else 0)
            return
        self._latest = stream
        self._upstream.requests += 1
        self._h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        self.send(self._upstream.events, ends=self._upstream.ends)

    def send(self, events: tuple[bytes, ...], *, ends: bool, stream: int | None = None) -> None:
        stream = stream or self._latest
        for event in events:
            self._h2.send_data(stream, event)
        if ends:
            self._h2.end_stream(stream)
        self._transport.write(self._h2.data_to_send())

    def go_away(self, last_stream: int) -> None:
        # Not by h2, which would have the connection end with it.
        self._transport.write(GoAwayFrame(0, last_stream_id=last_stream).serialize())

    def hang_up(self) -> None:
        self._transport.close()


@asynccontextmanager
async def h2_upstream(
    events: tuple[bytes, ...], tls: ssl.SSLContext, *, ends: bool = True, most_streams: int | None = 100
) -> AsyncIterator[tuple[H2Upstream, str]]:
    """Such a provider until the block ends, and its address."""
    tls.set_alpn_protocols(["h2", "http/1.1"])
    provider = H2Upstream(events, ends=ends, most_streams=most_streams)
    server = await asyncio.get_running_loop().create_server(provider.protocol, "127.0.0.1", 0, ssl=tls)
    try:
        yield provider, f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()

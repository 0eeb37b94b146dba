"""One connection that speaks HTTP/2, as answers that take minutes need it: httpcore2's own, with four things that it leaves out.

- A server that goes away (RFC 9113, 6.8) finishes what it has begun: so every proxy is replaced. httpcore2, and h2 below it, take that for
  the end of the connection and lose all its answers. Here they come to their end, what the server has not begun is asked of it anew, and
  nothing further is asked on this connection.
- How long an answer may be silent is each answer's own affair. In httpcore2 the one that waits at the socket waits for all: an answer that
  is silent is never noticed beside one that is not, and where its time is over, all others are ended with it.
- An idle connection that the server has closed meanwhile is not used again.
- A server that does not tell how many answers a connection takes, takes many; httpcore2 has it take one.

All this is of parts of httpcore2 and h2 that are not promised: tests/server/test_http_pool.py says when they are no longer as they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.connection
import h2.events
import h2.settings
import httpcore2
from h2.errors import ErrorCodes
from httpcore2._async.http2 import AsyncHTTP2Connection
from hyperframe.frame import Frame, GoAwayFrame

_MOST_STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


class Http2Connection(AsyncHTTP2Connection):
    """A connection to a server that has agreed to speak HTTP/2."""

    _last_stream = 2**31 - 1
    """The last stream that the server answers."""
    _reads = 0
    """How often something came."""
    _is_told = False
    """Whether the server has told its settings."""

    def __init__(self, origin: httpcore2.Origin, stream: Any, keepalive_expiry: float | None) -> None:
        super().__init__(origin, stream, keepalive_expiry)
        self._h2_state = _H2(config=self.CONFIG)

    @property
    def most_streams(self) -> int | None:
        """How many answers it takes at once; None while that is not known."""
        return self._max_streams if self._is_told else None

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send a request, and return the answer as soon as its header fields are there."""
        timeouts = request.extensions.get("timeout", {})
        # Waiting at the socket has no end of its own; see `_silence`.
        extensions = {"timeout": {**timeouts, "read": None}, "silence_s": timeouts.get("read")}
        return await super().handle_async_request(
            httpcore2.Request(
                request.method,
                request.url,
                headers=request.headers,
                content=request.stream,
                extensions={**request.extensions, **extensions},
            )
        )

    def has_expired(self) -> bool:
        """Whether it is idle and was so for long, or the server has had something to say since: its end, in all likelihood."""
        return super().has_expired() or (
            self.is_idle() and bool(self._network_stream.get_extra_info("is_readable")) and self._expire_at is not None
        )

    async def _receive_stream_event(self, request: httpcore2.Request, stream_id: int) -> Any:
        if self._events.get(stream_id):
            return await super()._receive_stream_event(request, stream_id)
        async with self._silence(request):
            return await super()._receive_stream_event(request, stream_id)

    async def _wait_for_outgoing_flow(self, request: httpcore2.Request, stream_id: int) -> int:
        async with self._silence(request):
            return await super()._wait_for_outgoing_flow(request, stream_id)

    @asynccontextmanager
    async def _silence(self, request: httpcore2.Request) -> AsyncIterator[None]:
        """End what waits for too long."""
        reads = self._reads
        try:
            async with asyncio.timeout(request.extensions["silence_s"]):
                yield
        except TimeoutError:
            if reads == self._reads:
                self._connection_error = True  # nobody was heard: nothing further is asked here
            raise httpcore2.ReadTimeout from None

    async def _receive_events(self, request: httpcore2.Request, stream_id: int | None = None) -> None:
        if stream_id is not None and stream_id > self._last_stream:
            raise httpcore2.ConnectionNotAvailable
        await super()._receive_events(request, stream_id)
        ended = self._connection_terminated
        if ended is not None and ended.error_code == ErrorCodes.NO_ERROR:
            self._connection_terminated = None
            self._last_stream = ended.last_stream_id or 0
            self._used_all_stream_ids = True  # likewise; it is closed when it is idle

    async def _receive_remote_settings_change(self, event: h2.events.RemoteSettingsChanged) -> None:
        if not self._is_told:
            self._is_told = True
            many = self._h2_state.local_settings.max_concurrent_streams
            event.changed_settings.setdefault(_MOST_STREAMS, h2.settings.ChangedSetting(_MOST_STREAMS, None, many))
        await super()._receive_remote_settings_change(event)

    async def _read_incoming_data(self, request: httpcore2.Request) -> list[h2.events.Event]:
        events = await super()._read_incoming_data(request)
        self._reads += 1
        return events


class _H2(h2.connection.H2Connection):
    """The protocol's state, in which a connection outlives the server's wish to end it."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        if frame.error_code != ErrorCodes.NO_ERROR:
            return super()._receive_goaway_frame(frame)
        event = h2.events.ConnectionTerminated()
        event.error_code = ErrorCodes.NO_ERROR
        event.last_stream_id = frame.last_stream_id
        return [], [event]

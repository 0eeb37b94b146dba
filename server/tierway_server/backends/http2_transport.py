"""HTTP/2 for the providers' SDKs, over httpx2's own transport, with what it leaves out.

httpcore2 forgets a stream that nobody reads any more without a word to the server, which goes on generating, and is paid for it. Here such
a stream is reset. And where a connection has as many streams as its server takes, httpcore2 has all others wait: here they get another
connection, while the pool has one left. What else a connection needs is `http2_connection.py`'s. That takes parts of httpcore2 that are not
promised: tests/server/test_http_pool.py says when they are no longer as they were.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import h2.errors
import h2.exceptions
import httpcore2
import httpx2

from tierway_server.backends.endpoint import Endpoint, Reply
from tierway_server.backends.http2_connection import Http2Connection

_KEEP_ALIVE_S = 30.0
_MOST_TURNS_AWAY = 8
"""How many connections may end before they have begun with one request."""


class Http2Transport(httpx2.AsyncHTTPTransport):
    """One pool of connections that speak HTTP/2 where it is offered. Connects to nothing before the first request."""

    def __init__(
        self, *, max_connections: int, connect_timeout_s: float, idle_timeout_s: float, context: ssl.SSLContext
    ) -> None:
        """Prepare a pool.

        Args:
            max_connections: most connections at once; more requests share them, or wait.
            connect_timeout_s: longest wait for a connection, in seconds.
            idle_timeout_s: longest silence between two reads or writes, in seconds.
            context: what is trusted.

        """
        super().__init__(verify=context)
        self._timeouts = {"connect": connect_timeout_s, "pool": connect_timeout_s} | dict.fromkeys(
            ("read", "write"), idle_timeout_s
        )
        self._pool = _Pool(
            ssl_context=context,
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_KEEP_ALIVE_S,
            http2=True,
        )

    async def post(self, endpoint: Endpoint, body: bytes) -> Reply:
        """Ask for an answer, and return it as soon as its header fields are there."""
        request = httpx2.Request(
            "POST", endpoint.url, headers=endpoint.headers, content=body, extensions={"timeout": self._timeouts}
        )
        return _Reply(await self.handle_async_request(request))


class _Reply:
    """An answer under way."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._body = response.aiter_raw()
        self.status = response.status_code
        self.headers = response.headers

    async def read(self) -> bytes:
        """What comes next of the body; nothing when that is over."""
        return await anext(self._body, b"")

    async def aclose(self) -> None:
        """Read no more."""
        await self._response.aclose()


class _Pool(httpcore2.AsyncConnectionPool):
    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncConnectionInterface:
        return _Connection(self, origin)

    def answers_of(self, connection: _Connection) -> int:
        """How many answers are under way on a connection, or are to be."""
        return sum(each.connection is connection for each in self._requests)


class _Connection(httpcore2.AsyncHTTPConnection):
    def __init__(self, pool: _Pool, origin: httpcore2.Origin) -> None:
        super().__init__(
            origin=origin,
            ssl_context=pool._ssl_context,  # noqa: SLF001  # see above
            keepalive_expiry=pool._keepalive_expiry,  # noqa: SLF001  # see above
            http2=True,
        )
        self._pool = pool

    def is_available(self) -> bool:
        return super().is_available() and self._has_room_for(self._pool.answers_of(self) + 1)

    def _has_room_for(self, answers: int) -> bool:
        most = self._connection.most_streams if isinstance(self._connection, Http2Connection) else None
        return most is None or answers <= most

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        streams: list[int] = []

        async def trace(name: str, info: dict[str, Any]) -> None:
            if name == "http2.send_request_headers.started":
                streams.append(info["stream_id"])

        request.extensions["trace"] = trace
        await self._begin(request)
        if not self._has_room_for(self._pool.answers_of(self)):
            # The pool gives all who wait to the first connection that has room for one of them.
            raise httpcore2.ConnectionNotAvailable
        try:
            response = await super().handle_async_request(request)
        except (asyncio.CancelledError, httpcore2.TimeoutException):
            if streams:
                await self._reset(streams[-1], request)
            raise
        except httpcore2.ConnectionNotAvailable:
            # The pool would take another one for ever.
            request.extensions["turned_away"] = request.extensions.get("turned_away", 0) + 1
            if request.extensions["turned_away"] > _MOST_TURNS_AWAY:
                raise httpcore2.RemoteProtocolError("turned away too often") from None
            raise
        if streams:
            assert isinstance(response.stream, AsyncIterable)
            response.stream = _Body(response.stream, self, streams[-1], request)
        return response

    async def _begin(self, request: httpcore2.Request) -> None:
        """Connect, if that has not been done."""
        try:
            async with self._request_lock:
                if self._connection is None:
                    stream = await self._connect(request)
                    tls = stream.get_extra_info("ssl_object")
                    is_http2 = tls is not None and tls.selected_alpn_protocol() == "h2"
                    kind = Http2Connection if is_http2 else httpcore2.AsyncHTTP11Connection
                    self._connection = kind(self._origin, stream, self._keepalive_expiry)
        except BaseException:
            self._connect_failed = True
            raise

    async def _reset(self, stream: int, request: httpcore2.Request) -> None:
        connection: Any = self._connection
        try:
            connection._h2_state.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)  # noqa: SLF001  # see above
            await connection._write_outgoing_data(request)  # noqa: SLF001  # see above
        except h2.exceptions.ProtocolError:
            return  # over already
        except (httpcore2.NetworkError, httpcore2.TimeoutException):
            # Who is cancelled while it writes leaves the connection useless to all: closed, it tells the same.
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await connection.aclose()


class _Body:
    """What comes after the header fields."""

    def __init__(
        self, stream: AsyncIterable[bytes], connection: _Connection, number: int, request: httpcore2.Request
    ) -> None:
        self._stream: Any = stream
        self._connection = connection
        self._number = number
        self._request = request
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            yield data
        self._is_over = True

    async def aclose(self) -> None:
        if not self._is_over:
            self._is_over = True
            await self._connection._reset(self._number, self._request)  # noqa: SLF001  # of this module
        await self._stream.aclose()

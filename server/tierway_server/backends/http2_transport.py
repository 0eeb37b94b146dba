"""HTTP/2 for the providers' SDKs, over httpx2's own transport, with the two things it leaves out.

httpcore2 forgets a stream that nobody reads any more without a word to the server, which goes on generating, and is paid for it. Here such
a stream is reset. And it takes the silence of a connection for that of each of its streams: one that is silent beside others that talk
is waited for without end, and when none has talked for long enough all of them end, also who has just begun. Here each stream is silent for
itself, and ends alone; a connection over which nothing came all that time takes no further requests. That takes parts of httpcore2 that
are not promised: tests/server/test_http_pool.py says when they are no longer as they were.
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

_KEEP_ALIVE_S = 30.0


class Http2Transport(httpx2.AsyncHTTPTransport):
    """One pool of connections that speak HTTP/2 where it is offered. Connects to nothing before the first request."""

    def __init__(self, *, max_connections: int, context: ssl.SSLContext) -> None:
        """Prepare a pool.

        Args:
            max_connections: most connections at once; more requests share them, or wait.
            context: what is trusted.

        """
        super().__init__(verify=context)
        self._pool = _Pool(
            ssl_context=context,
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_KEEP_ALIVE_S,
            http2=True,
        )


class _Pool(httpcore2.AsyncConnectionPool):
    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncConnectionInterface:
        return _Connection(
            origin=origin, ssl_context=self._ssl_context, keepalive_expiry=self._keepalive_expiry, http2=True
        )


class _Connection(httpcore2.AsyncHTTPConnection):
    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        streams: list[_Stream] = []

        async def trace(name: str, info: dict[str, Any]) -> None:
            if name == "http2.send_request_headers.started":
                streams.append(_Stream(self, info["stream_id"], request))
            elif name == "http2.receive_response_headers.started":
                silence.reschedule(streams[-1].wait())

        request.extensions["trace"] = trace
        silence = asyncio.timeout(None)
        try:
            async with silence:
                response = await super().handle_async_request(request)
        except TimeoutError:
            if not silence.expired():
                raise  # somebody else's
            await streams[-1].give_up()
            raise httpcore2.ReadTimeout from None
        except (asyncio.CancelledError, httpcore2.TimeoutException):
            if streams:
                await streams[-1].reset()
            raise
        if streams:
            assert isinstance(response.stream, AsyncIterable)
            response.stream = _Body(response.stream, streams[-1])
        return response

    async def _connect(self, request: httpcore2.Request) -> httpcore2.AsyncNetworkStream:
        self.network = _Network(await super()._connect(request))
        return self.network


class _Stream:
    """One request and its answer, on a connection that serves others too."""

    def __init__(self, connection: _Connection, number: int, request: httpcore2.Request) -> None:
        self._connection = connection
        self._number = number
        self._request = request
        self._silent_since_s = 0.0
        self._timeouts: dict[str, float | None] = request.extensions.get("timeout", {})

    def wait(self) -> float | None:
        """Something is waited for from now on. Returns until when, on the loop's clock; None: without end."""
        # Who reads, reads for all: a limit of its own would be one for all of them.
        self._request.extensions["timeout"] = {**self._timeouts, "read": None}
        self._silent_since_s = asyncio.get_running_loop().time()
        most_s = self._timeouts.get("read")
        return None if most_s is None else self._silent_since_s + most_s

    async def give_up(self) -> None:
        """It was silent for too long."""
        await self.reset()
        connection: Any = self._connection._connection  # noqa: SLF001  # see above
        if self._connection.network.read_s < self._silent_since_s:
            connection._connection_error = True  # noqa: SLF001  # which is what keeps further requests away
            if not connection._events:  # noqa: SLF001  # nobody else is on it
                await self._close(connection)

    async def reset(self) -> None:
        """Tell the server that nobody listens."""
        connection: Any = self._connection._connection  # noqa: SLF001  # see above
        try:
            connection._h2_state.reset_stream(self._number, h2.errors.ErrorCodes.CANCEL)  # noqa: SLF001  # see above
            await connection._write_outgoing_data(self._request)  # noqa: SLF001  # see above
        except h2.exceptions.ProtocolError:
            return  # over already
        except (httpcore2.NetworkError, httpcore2.TimeoutException):
            # Who is cancelled while it writes leaves the connection useless to all: closed, it tells the same.
            await self._close(connection)

    async def _close(self, connection: Any) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await connection.aclose()


class _Body:
    """What comes after the header fields."""

    def __init__(self, data: AsyncIterable[bytes], stream: _Stream) -> None:
        self._data: Any = data
        self._stream = stream
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        data = aiter(self._data)
        while not self._is_over:
            try:
                async with asyncio.timeout_at(self._stream.wait()):
                    piece = await anext(data, None)
            except TimeoutError:
                self._is_over = True
                await self._stream.give_up()
                raise httpcore2.ReadTimeout from None
            if piece is None:
                self._is_over = True
            else:
                yield piece

    async def aclose(self) -> None:
        if not self._is_over:
            self._is_over = True
            await self._stream.reset()
        await self._data.aclose()


class _Network(httpcore2.AsyncNetworkStream):
    """What a connection reads and writes by, and when something came last."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self.read_s = 0.0
        """When something came last, on the loop's clock; 0: never."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore2's signature
        data = await self._stream.read(max_bytes, timeout)
        self.read_s = asyncio.get_running_loop().time()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # likewise
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

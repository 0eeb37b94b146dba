"""HTTP/1.1 over aiohttp, whose parser is compiled.

httpx2's own transport reads HTTP/1.1 in Python, which takes several times the processor time. HTTP/2, which aiohttp does not speak, stays
with httpx2.

Answers are asked for by `post`, without any of httpx2's types: making them takes long beside what aiohttp does.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
import httpx2

from tierway_server.backends.endpoint import Endpoint, Reply

_KEEP_ALIVE_S = 30.0
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """One pool of connections. Used on one event loop; connects to nothing before the first request."""

    def __init__(
        self, *, max_connections: int, connect_timeout_s: float, idle_timeout_s: float, context: ssl.SSLContext | None
    ) -> None:
        """Prepare a pool.

        Args:
            max_connections: most connections at once; more requests wait.
            connect_timeout_s: longest wait for a connection, in seconds.
            idle_timeout_s: longest silence between two reads, in seconds.
            context: what is trusted; None where there is no TLS.

        """
        self._max_connections = max_connections
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout_s, sock_connect=connect_timeout_s, sock_read=idle_timeout_s
        )
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return the answer as soon as its header fields are there."""
        endpoint = Endpoint(request.url, request.headers.raw)
        reply = await self._sent(request.method, endpoint, await request.aread())
        return httpx2.Response(
            reply.status,
            headers=list(reply.headers.items()),
            stream=_Body(reply),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def post(self, endpoint: Endpoint, body: bytes) -> Reply:
        """Ask for an answer, and return it as soon as its header fields are there."""
        return await self._sent("POST", endpoint, body)

    async def _sent(self, method: str, endpoint: Endpoint, data: bytes) -> _Reply:
        """Send a request. A connection that the server was closing just then is no failure: another one is taken.

        llama.cpp's server closes each connection after a stream, and says that it keeps it.
        """
        session = self._session or self._begin()
        for is_last in (False, False, True):
            told = _Told()
            try:
                response = await session.request(
                    method,
                    endpoint.address,
                    headers=endpoint.fields,
                    data=data or None,
                    allow_redirects=False,
                    trace_request_ctx=told,
                )
            except _FAILURES as failure:
                if told.is_queued and isinstance(failure, aiohttp.ConnectionTimeoutError):
                    raise httpx2.PoolTimeout("all connections are in use") from failure
                was_closed = isinstance(failure, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
                if is_last or not (was_closed and told.is_reused):
                    raise _as_httpx2(failure) from failure
            else:
                return _Reply(response)
        raise AssertionError

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _begin(self) -> aiohttp.ClientSession:
        telling = aiohttp.TraceConfig()
        telling.on_connection_reuseconn.append(_reused)
        telling.on_connection_queued_start.append(_queued)
        telling.on_connection_queued_end.append(_unqueued)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._max_connections, keepalive_timeout=_KEEP_ALIVE_S, ssl=self._context or True
            ),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[telling],
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=2**16,
        )
        return self._session


class _Told:
    """What is told of the connection that a request was sent on."""

    is_reused = False
    """Whether it had served another one before."""
    is_queued = False
    """Whether the request waits for one."""


async def _reused(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.is_reused = True


async def _queued(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.is_queued = True


async def _unqueued(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.is_queued = False


class _Reply:
    """An answer under way."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers

    async def read(self) -> bytes:
        """What comes next of the body; nothing when that is over."""
        try:
            return await self._response.content.readany()
        except _FAILURES as failure:
            raise _as_httpx2(failure) from failure

    async def aclose(self) -> None:
        """Read no more."""
        # A connection with the rest of an answer in it is of no more use; closing it is how the provider hears that nobody listens.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class _Body(httpx2.AsyncByteStream):
    """The same for httpx2."""

    def __init__(self, reply: _Reply) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._reply.read():
            yield data

    async def aclose(self) -> None:
        await self._reply.aclose()


def _as_httpx2(failure: Exception) -> httpx2.HTTPError:
    """What httpx2 raises where aiohttp raises `failure`."""
    match failure:
        case aiohttp.ConnectionTimeoutError():
            return httpx2.ConnectTimeout("too slow")
        case aiohttp.ClientConnectorError():
            return httpx2.ConnectError("no connection")
        case TimeoutError():
            return httpx2.ReadTimeout("too slow")
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError() | OSError():
            return httpx2.ReadError("the connection broke")
        case _:
            return httpx2.RemoteProtocolError("no HTTP")

"""HTTP/1.1 for the providers' SDKs over aiohttp, whose parser is compiled.

httpx2's own transport reads HTTP/1.1 in Python: on the embedded default's two cores it takes 0.8 ms of processor time for a streamed
answer of twenty events, this one 0.3 ms (docs/providers.md). HTTP/2, which aiohttp does not speak, stays with httpx2.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import aiohttp
import httpx2
import yarl

_KEEP_ALIVE_S = 30.0
_OWN_FIELDS = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})
"""Header fields that aiohttp writes itself."""


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
        session = self._session or self._begin()
        headers = [
            (name.decode("ascii"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in _OWN_FIELDS
        ]
        data = await request.aread()
        with _as_httpx2():
            response = await self._sent(
                session, request.method, yarl.URL(str(request.url), encoded=True), headers, data
            )
        return httpx2.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Body(response),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def _sent(
        self, session: aiohttp.ClientSession, method: str, url: yarl.URL, headers: list[tuple[str, str]], data: bytes
    ) -> aiohttp.ClientResponse:
        """Send a request. A connection that the server was closing just then is no failure: another one is taken.

        llama.cpp's server closes each connection after a stream, and says that it keeps it.
        """
        for is_last in (False, False, True):
            told = _Told()
            try:
                return await session.request(
                    method, url, headers=headers, data=data or None, allow_redirects=False, trace_request_ctx=told
                )
            except aiohttp.ConnectionTimeoutError as error:
                if told.is_queued:
                    raise httpx2.PoolTimeout("all connections are in use") from error
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if is_last or not told.is_reused:
                    raise
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


class _Body(httpx2.AsyncByteStream):
    """What comes after the header fields."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        with _as_httpx2():
            while data := await content.readany():
                yield data

    async def aclose(self) -> None:
        # A connection with the rest of an answer in it is of no more use; closing it is how the provider hears that nobody listens.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


@contextmanager
def _as_httpx2() -> Iterator[None]:
    """Raise as httpx2 does what aiohttp raises."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise httpx2.ConnectError("no connection") from error
    except (TimeoutError, aiohttp.ConnectionTimeoutError, aiohttp.ServerTimeoutError) as error:
        is_connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        raise (httpx2.ConnectTimeout if is_connecting else httpx2.ReadTimeout)("too slow") from error
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError) as error:
        raise httpx2.ReadError("the connection broke") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise httpx2.RemoteProtocolError("no HTTP") from error

"""The connections to one provider: HTTP/2 where it is offered, bounded, closed at the end."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h2.errors
import h2.exceptions
import httpcore2
import httpx2

from tierway_server.backends.http_transport import AiohttpTransport

_KEEP_ALIVE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How much a pool may take."""

    connect_timeout_s: float
    """Longest wait for a connection, in seconds."""
    idle_timeout_s: float
    """Longest silence, in seconds, between two bytes."""
    max_connections: int
    """Most connections at once."""
    http2: bool
    """Whether to take HTTP/2 where it is offered."""


def http_client(base_url: str, limits: PoolLimits) -> httpx2.AsyncClient:
    """Return a client with a pool of its own for the service at `base_url`, as the providers' SDKs take one.

    Nothing is connected before the first request. It follows no redirects, keeps no cookies and takes no proxy from the environment: a
    key goes to the address of the configuration, and nowhere else. Belongs to the event loop of its first request; close it there.
    """
    # Its line for each request would be the log of every answer.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    context = httpx2.create_ssl_context()
    transport: httpx2.AsyncBaseTransport
    if limits.http2 and base_url.startswith("https:"):
        transport = httpx2.AsyncHTTPTransport(
            verify=context,
            http2=True,
            limits=httpx2.Limits(
                max_connections=limits.max_connections,
                max_keepalive_connections=limits.max_connections,
                keepalive_expiry=_KEEP_ALIVE_S,
            ),
        )
    else:
        transport = AiohttpTransport(
            max_connections=limits.max_connections,
            connect_timeout_s=limits.connect_timeout_s,
            idle_timeout_s=limits.idle_timeout_s,
            context=context,
        )
    timeout = httpx2.Timeout(
        connect=limits.connect_timeout_s,
        pool=limits.connect_timeout_s,
        read=limits.idle_timeout_s,
        write=limits.idle_timeout_s,
    )
    return httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False)


async def let_go(response: httpx2.Response) -> None:
    """Close a response. What the service still sends of it is no longer wanted, and it hears so at once.

    Over HTTP/1.1 the connection is closed. Over HTTP/2 the stream is reset, which httpx2 itself does not do: the service would go on
    generating, and be paid for it.
    """
    if response.http_version == "HTTP/2" and not response.is_closed:
        await _reset(response)
    await response.aclose()


async def _reset(response: httpx2.Response) -> None:
    stream: Any = response.stream
    while (inner := _inner(stream)) is not None:
        stream = inner
    # httpcore2 offers no other way. Where its parts are no longer as they were, tests/server/test_http_pool.py says so.
    with suppress(AttributeError, h2.exceptions.ProtocolError, httpcore2.NetworkError, httpcore2.TimeoutException):
        connection = stream._connection  # noqa: SLF001
        connection._h2_state.reset_stream(response.extensions["stream_id"], h2.errors.ErrorCodes.CANCEL)  # noqa: SLF001
        await connection._write_outgoing_data(stream._request)  # noqa: SLF001


def _inner(stream: Any) -> Any:
    """What a stream of httpx2 or httpcore2 is wrapped around."""
    return next((found for name in ("_stream", "_httpcore_stream") if (found := getattr(stream, name, None))), None)

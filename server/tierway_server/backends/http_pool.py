"""The connections to one provider: HTTP/2 where it is offered, bounded, closed at the end."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import httpx2

from tierway_server.backends.endpoint import Transport
from tierway_server.backends.http2_transport import Http2Transport
from tierway_server.backends.http_transport import AiohttpTransport


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


class HttpPool(NamedTuple):
    """The connections to one provider, for two ways to use them. Belongs to the event loop of its first request; close it there."""

    client: httpx2.AsyncClient
    """For the providers' SDKs, and for all that is not asked for often."""
    transport: Transport
    """What the client sends by, for answers. What the client adds (redirects, cookies, authentication) none of them needs."""


def http_pool(base_url: str, limits: PoolLimits) -> HttpPool:
    """Return connections to the service at `base_url`.

    Closing a response that was not read to its end tells the service at once that nobody listens: over HTTP/1.1 the connection is closed,
    over HTTP/2 the stream is reset.

    Nothing is connected before the first request. The client follows no redirects, keeps no cookies and takes no proxy from the
    environment: a key goes to the address of the configuration, and nowhere else.
    """
    # Its line for each request would be the log of every answer.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    transport: Http2Transport | AiohttpTransport
    # Reading what is trusted takes some ten milliseconds, and nothing is to be trusted without TLS.
    context = httpx2.create_ssl_context() if base_url.startswith("https:") else None
    if limits.http2 and context is not None:
        transport = Http2Transport(
            max_connections=limits.max_connections,
            connect_timeout_s=limits.connect_timeout_s,
            idle_timeout_s=limits.idle_timeout_s,
            context=context,
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
    client = httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False)
    return HttpPool(client, transport)

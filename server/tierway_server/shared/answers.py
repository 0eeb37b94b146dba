"""Kept answers in Redis, for all replicas: every wait is bounded, and whatever fails is an answer that is not kept.

The path of a request, unlike all else of this package: so after a failure Redis is left alone for a while, and requests do not wait for
it one after another.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tierway_server.telemetry.metrics import Metrics

REST_S = 1.0
"""How long Redis is left alone after a failure."""
_MOST_CONNECTIONS = 16
_CLOSE_S = 1.0


class RedisAnswers:
    """The store. Lives on the event loop; connects when it is first asked."""

    def __init__(
        self,
        url: str,
        namespace: str,
        timeout_s: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make no connection yet.

        Args:
            url: as redis-py takes it: `redis://`, `rediss://` or `unix://`, with credentials.
            namespace: what all keys begin with.
            timeout_s: how long an exchange may take, connecting included, in seconds.
            metrics: counts failures.
            clock: seconds.

        Raises:
            ValueError: the URL is none.

        """
        # Who finds no connection free waits for one, as long as an exchange may take.
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MOST_CONNECTIONS,
            timeout=None,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        self._redis = Redis.from_pool(pool)
        # In braces, as the shared state's keys: a cluster has all of a namespace in one place.
        self._prefix = f"{{{namespace}}}:answer:".encode()
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._clock = clock
        self._rests_until_s = 0.0

    async def get(self, key: bytes) -> bytes | None:
        """What is kept under this key; None too while Redis does not answer."""
        if self._clock() < self._rests_until_s:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._redis.get(self._prefix + key)
                return found if isinstance(found, bytes) else None
        except (RedisError, OSError, TimeoutError):
            self._failed("get")
            return None

    async def put(self, key: bytes, entry: bytes, keep_s: float) -> None:
        """Keep it for so many seconds, if Redis answers."""
        if self._clock() < self._rests_until_s:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._redis.set(self._prefix + key, entry, px=max(1, round(keep_s * 1_000)))
        except (RedisError, OSError, TimeoutError):
            self._failed("put")

    async def close(self) -> None:
        """Break the connections off."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._redis.aclose(close_connection_pool=True)

    def _failed(self, operation: str) -> None:
        self._metrics.cache_failed(operation)
        self._rests_until_s = self._clock() + REST_S

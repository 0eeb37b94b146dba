"""The connection to Redis: rounds of scripts in one exchange, every wait bounded, broken off as a whole when anything fails."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from importlib import resources

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tierway_server.shared.rounds import Call, Reply

SCRIPTS = ("replica", "budget", "limit", "breakers", "usage")
_CLOSE_S = 1.0


class LinkLostError(Exception):
    """The round did not come through, or nobody knows whether it did. Its text is for the operator, without the URL's secrets."""


class Link:
    """A connection that is made when needed. Lives on the event loop; one round at a time."""

    def __init__(self, url: str, namespace: str, replica: str) -> None:
        """Make no connection yet.

        Args:
            url: as redis-py takes it: `redis://`, `rediss://` or `unix://`, with credentials.
            namespace: what all keys begin with; in braces, so that a cluster has them in one place.
            replica: who speaks; unique for each process.

        Raises:
            ValueError: the URL is none.

        """
        self._url = url
        self._prefix = f"{{{namespace}}}:"
        self._replica = replica
        self._sources = {name: script_source(name) for name in SCRIPTS}
        # By the digest that Redis itself gives a script.
        self._digests = {name: hashlib.sha1(text.encode()).hexdigest() for name, text in self._sources.items()}  # noqa: S324
        self._client: Redis | None = None
        _client(url)  # which connects to nothing yet, but knows a URL

    async def round(self, number: int, calls: Sequence[Call], *, most_s: float) -> list[Reply]:
        """Run scripts, in this order; the first is the sign of life.

        Args:
            number: of this round; larger than that of any before.
            calls: what to run.
            most_s: how long it may take, connecting included, in seconds.

        Raises:
            LinkLostError: it failed, or took longer.

        """
        try:
            async with asyncio.timeout(most_s):
                client = await self._connected()
                # No transaction: each script is one step by itself, and they need not be one together.
                pipeline = client.pipeline(transaction=False)
                for call in calls:
                    keys = [self._prefix + "replicas", *([self._prefix + call.key] if call.key else [])]
                    arguments = (self._replica, number, *call.arguments)
                    pipeline.evalsha(self._digests[call.script], len(keys), *keys, *arguments)
                replies: list[Reply] = await pipeline.execute()
                return replies
        except (RedisError, OSError, TimeoutError) as error:
            # A reply that is still under way would be taken for that of the next round.
            await self.close()
            raise LinkLostError(_told(error)) from None
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """Break the connection off, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await client.aclose()

    async def _connected(self) -> Redis:
        if self._client is None:
            self._client = _client(self._url)
            for text in self._sources.values():
                await self._client.script_load(text)
        return self._client


def _client(url: str) -> Redis:
    # One connection, and neither tries nor timeouts of its own: the round has them.
    once = Retry(NoBackoff(), 0)
    return Redis.from_url(url, max_connections=1, retry=once, socket_timeout=None, socket_connect_timeout=None)


def script_source(name: str) -> str:
    """The text of one of `SCRIPTS`."""
    return (resources.files("tierway_server.shared") / "scripts" / f"{name}.lua").read_text()


def _told(error: Exception) -> str:
    """What went wrong, without the server's own words, in which an address or a credential may stand."""
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__

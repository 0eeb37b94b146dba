"""One try at one deployment, from its admission to its end, as a generator: closing it gives back whatever it holds, wherever it is.

It yields `ADMITTED` first, then the chunks of its answer. What it holds (a slot, reservations, the generation) it holds inside, so that two
of them can be under way at once and either be closed alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from tierway_core.table import Deployment
from tierway_server.backends.base import Chunk, Generation
from tierway_server.errors import ProviderFailedError, ProviderTimeoutError, StreamBrokenError, TierwayError
from tierway_server.flow.admission import Admission
from tierway_server.flow.job import Job
from tierway_server.flow.tries import Try

logger = logging.getLogger(__name__)

ADMITTED: Final = Chunk("", 0)
"""What a run yields before the chunks of its answer."""


class Run:
    """One try under way."""

    __slots__ = (
        "_admission",
        "_first",
        "_generation",
        "_job",
        "_patience_share",
        "_waits",
        "chunks",
        "deployment",
        "tried",
    )

    def __init__(
        self,
        admission: Admission,
        job: Job,
        deployment: Deployment,
        generation: Generation,
        *,
        patience_share: float | None,
        waits: bool,
    ) -> None:
        """Prepare a try; nothing happens before `begin` or `first`.

        Args:
            admission: lets it in.
            job: for whom.
            deployment: who is asked.
            generation: for what.
            patience_share: how much of the time that is left at its admission it may take to its first token, 0 to 1; None: all of it,
                until the caller's own time is over.
            waits: whether it may wait for its admission.

        """
        self._admission = admission
        self._job = job
        self.deployment = deployment
        """Who is asked."""
        self._generation = generation
        self._patience_share = patience_share
        self._waits = waits
        self._first: asyncio.Task[Chunk] | None = None
        self.tried: Try | None = None
        """Its account; None before its admission."""
        self.chunks = self._chunks()
        """The rest of its answer, once its first chunk is there."""

    @property
    def has_begun(self) -> bool:
        """Whether its first chunk came."""
        return self.tried is not None and self.tried.first_token_s > 0

    @property
    def failed(self) -> TierwayError | None:
        """How it failed before its first chunk, by now; None: it has not."""
        first = self._first
        failure = first.exception() if first is not None and first.done() and not first.cancelled() else None
        return failure if isinstance(failure, TierwayError) else None

    def first(self) -> asyncio.Task[Chunk]:
        """Its first chunk, on its way from now on."""
        if self._first is None:
            self._first = asyncio.create_task(self._first_chunk())
        return self._first

    async def begin(self) -> None:
        """Return when it has been admitted and the engine works on it.

        Raises:
            TierwayError: it was not admitted.

        """
        await anext(self.chunks)
        self.first()
        await asyncio.sleep(0)  # the engine has the request before the caller is told

    async def give_up(self) -> None:
        """Stop it. Where its first chunk is awaited still, its end is not waited for: who is slow to begin may be slow to end too."""
        first = self._first
        if first is None or first.done():
            await self.aclose()
        else:
            first.cancel()

    async def aclose(self) -> None:
        """End it at once, wherever it is, and give back what it holds."""
        first = self._first
        if first is not None:
            if not first.done():
                first.cancel()
                await asyncio.wait((first,))
            if not first.cancelled():
                first.exception()  # seen, even if nobody asked
        await self.chunks.aclose()

    async def _first_chunk(self) -> Chunk:
        if self.tried is None:
            await anext(self.chunks)
        return await anext(self.chunks)

    async def _chunks(self) -> AsyncGenerator[Chunk, None]:
        job = self._job
        async with self._admission.admitted(
            self.deployment.index,
            job.decision,
            job.give_up_s,
            job.prefix_keys,
            priority=job.priority,
            waits=self._waits,
        ) as tried:
            self.tried = tried
            job.account.opened(tried)
            yield ADMITTED
            async with aclosing(tried.backend.generate(self._generation)) as chunks:
                idle_s = tried.backend.idle_timeout_s
                chunk = await self._begun(chunks, tried)
                coming: Chunk | None = chunk
                while coming is not None:
                    chunk = coming
                    tried.came(chunk)
                    yield chunk
                    coming = await self._next(chunks, tried, idle_s, StreamBrokenError)
                if not tried.answered or chunk.finish_reason is None:
                    raise StreamBrokenError("the answer ended without its account", metadata=self._names)

    async def _begun(self, chunks: AsyncGenerator[Chunk, None], tried: Try) -> Chunk:
        patience_s, left_s = tried.backend.idle_timeout_s, self._job.give_up_s - tried.began_s
        # Whoever still reads when the time is over has more of it than who asked first, and nobody knows how much.
        if self._patience_share is not None and left_s > 0:
            share_s = self._patience_share * left_s
            patience_s = share_s if patience_s is None else min(share_s, patience_s)
        chunk = await self._next(chunks, tried, patience_s, ProviderTimeoutError)
        if chunk is None:
            raise ProviderFailedError(
                f"the answer of deployment {self.deployment.spec.name} was empty", metadata=self._names
            )
        return chunk

    async def _next(
        self, chunks: AsyncGenerator[Chunk, None], tried: Try, patience_s: float | None, failure: type[TierwayError]
    ) -> Chunk | None:
        """The next chunk; None at the end. Who is silent for longer has failed."""
        if patience_s is None:
            return await anext(chunks, None)
        limit = asyncio.timeout(patience_s)
        try:
            async with limit:
                return await anext(chunks, None)
        except TimeoutError:
            if not limit.expired():
                raise  # somebody else's
            tried.was_hurried = patience_s != tried.backend.idle_timeout_s
            name = self.deployment.spec.name
            logger.warning("deployment silent", extra={"deployment": name, "seconds": patience_s})
            raise failure(f"deployment {name} was silent for {patience_s:.3g} s", metadata=self._names) from None

    @property
    def _names(self) -> dict[str, str]:
        return {"provider": self.deployment.spec.provider, "deployment": self.deployment.spec.name}

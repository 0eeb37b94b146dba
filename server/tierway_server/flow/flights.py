"""Single flight: requests that are the same and under way at the same time share one generation.

The generation belongs to the flight, not to who asked first: it goes on as long as anybody reads, each at its own pace, and ends when the
last one has left. What has come is kept for those who join later, up to a bound; beyond it nobody joins any more, and the generation
waits for the slowest reader, as it would for a single one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from tierway_server.backends.base import Chunk
from tierway_server.flow.events import Delta, Event, Finished
from tierway_server.flow.job import Job

_EVENT_BYTES = 64
"""What an event takes beside its text, and a log-probability, about."""


class Reader:
    """One who reads along."""

    __slots__ = ("at", "job")

    def __init__(self, job: Job) -> None:
        self.job = job
        """Its own request."""
        self.at = 0
        """Events that it has had."""


class Flight:
    """One generation and who reads it. Lives on the event loop."""

    def __init__(
        self,
        job: Job,
        events: AsyncGenerator[Event, None],
        max_bytes: int,
        finishing: Callable[[list[Chunk], Finished], Awaitable[None]],
        ended: Callable[[Flight], None],
    ) -> None:
        """Begin to generate.

        Args:
            job: the request that began it.
            events: its answer.
            max_bytes: how much of it is kept for those who join later, at least.
            finishing: called with a whole answer, if it was not too long, before its end is told.
            ended: called when nobody may join any more, because the generation is over or the last reader has left; maybe twice.

        """
        self.job = job
        self.is_long = False
        """Whether it is too long to be kept whole; nobody joins any more."""
        self.payer: Reader | None = None
        """Who is told what it cost: of those who are there at its end, the first to have come."""
        self._generating = events
        self._max_bytes = max_bytes
        self._finishing = finishing
        self._ended = ended
        self._events: list[Event] = []
        self._dropped = 0
        self._bytes = 0
        self._readers: list[Reader] = []
        self._failure: Exception | None = None
        self._is_over = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._generate(), name=f"flight {job.id}")

    async def read(self, reader: Reader) -> AsyncGenerator[Event, None]:
        """All events, from the first on; only before the flight `is_long`.

        Raises:
            TierwayError: the answer failed.

        """
        self._readers.append(reader)
        try:
            while True:
                while reader.at < self._dropped + len(self._events):
                    event = self._events[reader.at - self._dropped]
                    reader.at += 1
                    self._make_room()
                    yield event
                if self._failure is not None:
                    raise self._failure
                if self._is_over:
                    return
                await self._news.wait()
        finally:
            self._readers.remove(reader)
            self._make_room()
            if not self._readers:
                await self._end()

    async def _generate(self) -> None:
        try:
            async with aclosing(self._generating) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        if not self.is_long:
                            chunks = [each.chunk for each in self._events if isinstance(each, Delta)]
                            await self._finishing(chunks, event)
                        self.payer = next(iter(self._readers), None)
                    await self._publish(event)
        except Exception as failure:  # noqa: BLE001  # of whatever kind it is: it is theirs who read
            self._failure = failure
        finally:
            self._is_over = True
            self._ended(self)
            self._news.set()

    async def _publish(self, event: Event) -> None:
        self._events.append(event)
        self._bytes += _size(event)
        self._wake()
        self.is_long = self.is_long or self._bytes > self._max_bytes
        self._make_room()
        while self._bytes > self._max_bytes and self._readers:
            self._room.clear()
            await self._room.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _make_room(self) -> None:
        """Forget what everybody has had, once nobody joins any more."""
        if not self.is_long or not self._readers:
            return
        had = min(reader.at for reader in self._readers) - self._dropped
        self._bytes -= sum(map(_size, self._events[:had]))
        del self._events[:had]
        self._dropped += had
        if self._bytes <= self._max_bytes:
            self._room.set()

    async def _end(self) -> None:
        """Nobody reads any more: stop, and return when everything has been given back."""
        # At once: nobody may join what ends, and a task that is cancelled before its first step runs no `finally`.
        self._ended(self)
        if self.payer is None:
            self._task.cancel()
        self._room.set()  # else one that waits for it at its end, and is not cancelled any more, would wait for ever
        await asyncio.wait((self._task,))


def _size(event: Event) -> int:
    if not isinstance(event, Delta):
        return _EVENT_BYTES
    chunk = event.chunk
    size = _EVENT_BYTES + len(chunk.text)
    size += sum(_EVENT_BYTES * (1 + len(token.top)) for token in chunk.logprobs)
    return size + sum(_EVENT_BYTES + len(call.arguments) for call in chunk.tool_calls)

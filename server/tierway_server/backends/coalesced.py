"""Several chunks to one, for answers that come over a network: the same rule as `coalesce.py` has for engines of this process.

The first chunk goes out at once, and so does the last; between them one every `window_s`, with all that came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from tierway_server.backends.base import Chunk

_MOST_CHARACTERS = 65_536
"""As many wait for a reader who does not come; then the provider waits too, by its connection's flow control."""


async def coalesced(chunks: AsyncGenerator[Chunk, None], window_s: float) -> AsyncGenerator[Chunk, None]:
    """Yield `chunks`, merged. What came before a failure is yielded before it is raised. Closing this closes `chunks` at once."""
    async with aclosing(chunks):
        first = await anext(chunks, None)
        if first is None:
            return
        yield first
        if not window_s or first.finish_reason is not None:
            async for chunk in chunks:
                yield chunk
            return
        buffer = _Buffer(window_s)
        filling = asyncio.create_task(buffer.fill(chunks))
        try:
            while not buffer.is_over or buffer.chunk is not None:
                merged = await buffer.read()
                if merged is not None:
                    yield merged
            await filling
        finally:
            # Awaited, so that the connection is closed when this is; its failure, if any, has been told or interests nobody.
            filling.cancel()
            await asyncio.wait((filling,))
            if not filling.cancelled():
                filling.exception()


class _Buffer:
    """What came and was not read yet."""

    def __init__(self, window_s: float) -> None:
        self.chunk: Chunk | None = None
        self.is_over = False
        self._window_s = window_s
        self._loop = asyncio.get_running_loop()
        self._due_s = self._loop.time() + window_s
        self._wake = asyncio.Event()
        self._was_read = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def fill(self, chunks: AsyncGenerator[Chunk, None]) -> None:
        """Take all of `chunks`; raises what they raise."""
        try:
            async for chunk in chunks:
                self.chunk = chunk if self.chunk is None else _merged(self.chunk, chunk)
                if chunk.finish_reason is not None or self._loop.time() >= self._due_s:
                    self._wake.set()
                elif self._timer is None:
                    self._timer = self._loop.call_at(self._due_s, self._ring)
                while self._is_full():
                    self._wake.set()
                    self._was_read.clear()
                    await self._was_read.wait()
        finally:
            self.is_over = True
            if self._timer is not None:
                self._timer.cancel()
            self._wake.set()

    async def read(self) -> Chunk | None:
        """What came since the last call, when it is time; None when nothing did."""
        await self._wake.wait()
        self._wake.clear()
        chunk, self.chunk = self.chunk, None
        self._due_s = self._loop.time() + self._window_s
        self._was_read.set()
        if self.is_over:
            self._wake.set()
        return chunk

    def _is_full(self) -> bool:
        return self.chunk is not None and len(self.chunk.text) >= _MOST_CHARACTERS

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()


def _merged(one: Chunk, other: Chunk) -> Chunk:
    return replace(
        other,
        text=one.text + other.text,
        token_count=one.token_count + other.token_count,
        logprobs=one.logprobs + other.logprobs,
    )

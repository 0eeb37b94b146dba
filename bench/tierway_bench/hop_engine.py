"""An engine that costs next to nothing, for measuring what lies between it and a front end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from tierway_server.backends.base import (
    Availability,
    Chunk,
    FinishReason,
    Generation,
    Message,
    Role,
    Sampling,
    Usage,
)

TEXT = " some words of an answer"


class PacedEngine:
    """Yields as many chunks as it is asked for tokens, the first at once, then one every `pause_s`."""

    name = "paced"
    capacity = 1 << 20
    will_return = True
    has_settled = True
    availability = Availability(True)

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    def watch(self, changed: Callable[[Availability], None]) -> None:
        """Nothing ever changes."""
        changed(self.availability)

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """As many chunks as `max_tokens` says."""
        for _ in range(generation.max_tokens - 1):
            yield Chunk(TEXT, 4)
            await asyncio.sleep(self._pause_s)
        yield Chunk(TEXT, 4, (), FinishReason.STOP, Usage(9, 0, 4 * generation.max_tokens))


def generation(number: int, chunks: int) -> Generation:
    """A generation of so many chunks."""
    prompt = "What is the capital of France, and which river flows through it?"
    return Generation(
        id=f"018f-{number}", messages=(Message(Role.USER, prompt),), sampling=Sampling(), max_tokens=chunks
    )

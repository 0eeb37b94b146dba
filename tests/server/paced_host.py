"""An engine host of a process of its own whose engines count: `one two three ...`, a word every 4 ms, as many as tokens are asked for.

A prompt that contains `die` is the engine's death; one that contains `hang` is answered by one word, and nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from prometheus_client import CollectorRegistry, Gauge

from tierway_server.backends.base import Chunk, FinishReason, Generation, Usage
from tierway_server.config import EngineConfig
from tierway_server.errors import EngineLostError
from tierway_server.workers import host

_PAUSE_S = 0.004


class PacedEngine:
    """One life of an engine."""

    def __init__(self, name: str) -> None:
        self.registry = CollectorRegistry()
        self._running = Gauge("vllm:num_requests_running", "Running.", ["model_name"], registry=self.registry).labels(
            name
        )
        self._death = asyncio.Event()

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        if "die" in generation.messages[-1].text:
            self._death.set()
            raise EngineLostError("it died before")
        self._running.inc()
        try:
            for number in range(1, generation.max_tokens):
                yield Chunk(f"{number} ", 1)
                if "hang" in generation.messages[-1].text:
                    await asyncio.Event().wait()
                await asyncio.sleep(_PAUSE_S)
            number = generation.max_tokens
            yield Chunk(f"{number}", 1, finish_reason=FinishReason.LENGTH, usage=Usage(5, 0, number))
        finally:
            self._running.dec()

    async def over(self) -> str:
        await self._death.wait()
        return "died"

    def shutdown(self) -> None:
        """Nothing is left."""


async def launch(name: str, config: EngineConfig) -> PacedEngine:
    return PacedEngine(name)


if __name__ == "__main__":
    host.main(launch)

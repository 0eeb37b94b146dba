"""An engine that does what a test tells it, step by step, and keeps account of what was asked of it.

A script is a sequence of steps: a text is a chunk of one token, a `Chunk` is sent as it is, an event is waited for, an exception is
raised. The last chunk of a script that is not a `Chunk` of its own carries the account. A script that repeats itself never ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter

from tierway_server.backends.base import Chunk, FinishReason, Generation, Usage
from tierway_server.config import EngineConfig
from tierway_server.errors import EngineLostError, StreamBrokenError

Step = str | Chunk | asyncio.Event | Exception

INPUT_TOKENS = 11
CACHED_INPUT_TOKENS = 4
PLAIN_ANSWER = ("Paris", " it", " is.")


class ScriptedEngine:
    """One life of an engine. Each generation takes the next script; without one it gets a plain, good answer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        self.started: list[Generation] = []
        """Every generation that was begun, in order."""
        self.closed: list[str] = []
        """Ids of the generations that are over, however they ended."""
        self.produced = 0
        """Chunks that were handed out."""
        self.death = asyncio.Event()
        self.shutdowns = 0
        self.goes_down_badly = False
        self._scripts: deque[Iterable[Step]] = deque()
        self._successes = Counter("vllm:request_success", "Answers.", ["model_name"], registry=self.registry)
        self._successes.labels(name)

    def script(self, *steps: Step) -> None:
        """What the next generation without a script does."""
        self._scripts.append(steps)

    def repeat(self, steps: Iterable[Step]) -> None:
        """As `script`, for steps that are made as they are taken."""
        self._scripts.append(steps)

    @property
    def running(self) -> set[str]:
        """Ids of the generations that were begun and are not over."""
        return {generation.id for generation in self.started} - set(self.closed)

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        self.started.append(generation)
        steps = iter(self._scripts.popleft() if self._scripts else PLAIN_ANSWER)
        output_tokens = 0
        try:
            for step, is_last in _with_last(steps):
                if isinstance(step, asyncio.Event):
                    await self._pass(step, output_tokens)
                elif isinstance(step, Exception):
                    raise step
                else:
                    chunk = step if isinstance(step, Chunk) else self._chunk(step, output_tokens + 1, is_last)
                    output_tokens += chunk.token_count
                    self.produced += 1
                    yield chunk
            self._successes.labels(self.name).inc()
        finally:
            self.closed.append(generation.id)

    async def over(self) -> str:
        await self.death.wait()
        return "died"

    def shutdown(self) -> None:
        self.shutdowns += 1
        if self.goes_down_badly:
            raise RuntimeError("no")

    async def _pass(self, gate: asyncio.Event, output_tokens: int) -> None:
        """Wait for the gate, or fail as a real engine does that dies meanwhile."""
        waits = [asyncio.ensure_future(event.wait()) for event in (gate, self.death)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not gate.is_set():
            raise StreamBrokenError("it died in the middle") if output_tokens else EngineLostError("it died before")

    @staticmethod
    def _chunk(text: str, output_tokens: int, is_last: bool) -> Chunk:
        if not is_last:
            return Chunk(text, 1)
        usage = Usage(INPUT_TOKENS, CACHED_INPUT_TOKENS, output_tokens)
        return Chunk(text, 1, finish_reason=FinishReason.STOP, usage=usage)


class ScriptedLauncher:
    """Launches scripted engines; what `Process` takes as `launch`."""

    def __init__(self) -> None:
        self.engines: dict[str, ScriptedEngine] = {}
        """The latest life of each engine, by name."""
        self.launches: list[str] = []
        """Names of the engines launched, in order."""
        self.gate: asyncio.Event | None = None
        """Set it to an event to hold launches back until the event is set."""

    async def __call__(self, name: str, config: EngineConfig) -> ScriptedEngine:
        self.launches.append(name)
        if self.gate is not None:
            await self.gate.wait()
        self.engines[name] = ScriptedEngine(name)
        return self.engines[name]


def _with_last(steps: Iterator[Step]) -> Iterator[tuple[Step, bool]]:
    """Each step, and whether it is the last one."""
    step = next(steps, None)
    while step is not None:
        following = next(steps, None)
        yield step, following is None
        step = following

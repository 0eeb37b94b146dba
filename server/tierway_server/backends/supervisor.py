"""Keeps an engine alive: launches it, watches it, and launches it again with backoff when it dies or hangs.

    starting --launched--> serving --over--> waiting (backoff) --> starting ...
    any --cancelled--> down, with no process left

Knows nothing of vLLM: an engine is whatever `launch` returns, so that tests put a scripted one here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

from prometheus_client import CollectorRegistry

from tierway_server.backends.base import Availability, Chunk, Generation
from tierway_server.errors import ModelUnavailableError, NotReadyError

logger = logging.getLogger(__name__)

# An engine that lived this long was healthy: its death starts the backoff from the beginning.
_HEALTHY_AFTER_S = 60.0


class Engine(Protocol):
    """One life of an engine."""

    registry: CollectorRegistry

    def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""

    async def over(self) -> str:
        """Return when the engine can answer no more, and in a word why: it `died`, or `hung`."""

    def shutdown(self) -> None:
        """Bring it down and leave no process behind. Blocks."""


class SupervisedEngine:
    """A `Backend` over an engine that may die and be replaced."""

    def __init__(
        self,
        name: str,
        launch: Callable[[], Awaitable[Engine]],
        *,
        capacity: int,
        idle_timeout_s: float,
        start_timeout_s: float,
        initial_backoff_s: float,
        max_backoff_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.capacity = capacity
        self.idle_timeout_s = idle_timeout_s
        self.has_settled = False
        """Whether the first start is over, well or badly."""
        self.will_return = True
        """Whether it becomes available by itself when it is not: only its model's absence keeps it down for good."""
        self._launch = launch
        self._start_timeout_s = start_timeout_s
        self._initial_backoff_s = initial_backoff_s
        self._max_backoff_s = max_backoff_s
        self._clock = clock
        self._sleep = sleep
        self._engine: Engine | None = None
        self._serving_since_s: float | None = None
        self._availability = Availability(False, "not started")
        self._watchers: list[Callable[[Availability], None]] = []

    @property
    def availability(self) -> Availability:
        """Whether the engine can answer now."""
        return self._availability

    @property
    def registry(self) -> CollectorRegistry | None:
        """The living engine's own metrics."""
        return self._engine.registry if self._engine else None

    def watch(self, changed: Callable[[Availability], None]) -> None:
        """Call `changed` now and at every later change of availability."""
        self._watchers.append(changed)
        changed(self._availability)

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""
        if (engine := self._engine) is None:
            raise NotReadyError(f"engine {self.name} is not ready", metadata={"engine": self.name}, retry_after_s=1.0)
        async with aclosing(engine.generate(generation)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def run(self) -> None:
        """Keep the engine alive until cancelled, then bring it down."""
        backoff_s = self._initial_backoff_s
        while True:
            self._become(Availability(False, "starting"))
            self._serving_since_s = None
            logger.info("engine starting", extra={"engine": self.name})
            try:
                reason = await self._live_once()
            except ModelUnavailableError as impossible:
                # Only the operator can help: trying again would fail again.
                self.will_return = False
                self._become(Availability(False, str(impossible)))
                logger.warning("engine cannot start", extra={"engine": self.name, "error": str(impossible)})
                return
            if self._serving_since_s is not None and self._clock() - self._serving_since_s > _HEALTHY_AFTER_S:
                backoff_s = self._initial_backoff_s
            self._become(Availability(False, f"{reason}; starting again in {backoff_s:g} s"))
            await self._sleep(backoff_s)
            backoff_s = min(2 * backoff_s, self._max_backoff_s)

    async def _live_once(self) -> str:
        """One life: returns how it ended, and leaves no process behind however it ends."""
        launched_s = self._clock()
        try:
            async with asyncio.timeout(self._start_timeout_s):
                engine = await self._launch()
        except ModelUnavailableError:
            raise
        except Exception as failure:  # whatever an engine's start-up throws, the next try may do better
            logger.exception("engine failed to start", extra={"engine": self.name})
            return f"failed to start ({type(failure).__name__})"
        finally:
            self.has_settled = True
        try:
            self._engine = engine
            self._serving_since_s = self._clock()
            self._become(Availability(True))
            logger.info("engine ready", extra={"engine": self.name, "seconds": round(self._clock() - launched_s, 1)})
            reason = await engine.over()
            logger.error("engine lost", extra={"engine": self.name, "reason": reason})
            return reason
        finally:
            self._engine = None
            self._become(Availability(False, "down"))
            await self._bring_down(engine)

    async def _bring_down(self, engine: Engine) -> None:
        try:
            await asyncio.shield(asyncio.to_thread(engine.shutdown))
        except Exception:  # whatever an engine throws that hangs or is dead: the next life may be better
            logger.exception("engine went down badly", extra={"engine": self.name})

    def _become(self, availability: Availability) -> None:
        if availability != self._availability:
            self._availability = availability
            for changed in self._watchers:
                changed(availability)

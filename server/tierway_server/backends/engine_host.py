"""Serves the engines of this process to the front ends of other processes, over a local socket.

A front end that leaves, or is killed, closes its connection; that cancels the generation here, and the engine's own `finally` aborts it.
A front end that reads too slowly is not waited for by anybody else: its generation is not asked for more until it has read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from tierway_server.backends.base import Availability, Chunk, Generation
from tierway_server.backends.hop import (
    Count,
    EngineState,
    Failed,
    Generate,
    Made,
    Question,
    Watch,
    question_decoder,
)
from tierway_server.errors import InternalError, NotReadyError, QueueFullError, TierwayError
from tierway_server.local_socket import Frames, Listener
from tierway_server.telemetry.families import Families

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 0.5
_SLACK = 2
"""How many times its capacity an engine may seem to have: at most all of it has left its front end and is not gone here yet."""


class HostedEngine(Protocol):
    """An engine as the host sees it; `SupervisedEngine` is one."""

    name: str
    capacity: int
    will_return: bool
    has_settled: bool

    @property
    def availability(self) -> Availability:
        """Whether it can answer now."""

    def watch(self, changed: Callable[[Availability], None]) -> None:
        """Call `changed` now and at every later change of availability."""

    def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""


class EngineHost:
    """The engines of this process, for others. Lives on the event loop."""

    def __init__(self, engines: Sequence[HostedEngine], count: Callable[[], Families]) -> None:
        """Serve engines.

        Args:
            engines: with names of their own.
            count: the metrics of those that live.

        """
        self._engines = {engine.name: engine for engine in engines}
        self._running = dict.fromkeys(self._engines, 0)
        self._count = count
        self._changed: dict[str, set[asyncio.Event]] = {name: set() for name in self._engines}
        for engine in engines:
            # The default argument binds this turn's engine.
            engine.watch(lambda _, name=engine.name: self._tell(name))  # type: ignore[misc]

    def listener(self, name: str) -> Listener[Question]:
        """What serves them on the local socket `name`."""
        return Listener(name, question_decoder, self._answer)

    async def _answer(self, question: Question, frames: Frames[Any]) -> None:
        match question:
            case Generate(engine, generation):
                await self._generate(engine, generation, frames)
            case Watch(name) if name in self._engines:
                await self._report(name, frames)
            case Count():
                await frames.write(self._count())

    async def _generate(self, name: str, generation: Generation, frames: Frames[Any]) -> None:
        engine = self._engines.get(name)
        try:
            if engine is None:
                raise NotReadyError(f"engine {name} is not here", metadata={"engine": name})
            if self._running[name] >= _SLACK * engine.capacity:
                # Front ends see to the capacity together; who has left them may be gone from their count and not yet from ours.
                raise QueueFullError(f"engine {name} is full", metadata={"engine": name}, retry_after_s=_RETRY_AFTER_S)
            self._running[name] += 1
            try:
                async with aclosing(engine.generate(generation)) as chunks:
                    async for chunk in chunks:
                        await frames.write(Made(chunk))
            finally:
                self._running[name] -= 1
        except TierwayError as error:
            await frames.write(Failed.of(error, has_gone=engine is not None and not engine.availability.is_available))
        except OSError:
            raise  # the front end has gone
        except Exception:  # the edge of the process: the front end must hear that something failed
            logger.exception("unexpected error", extra={"engine": name, "generation": generation.id})
            await frames.write(Failed.of(InternalError("an internal error of the engine's process; its log has it")))

    async def _report(self, name: str, frames: Frames[Any]) -> None:
        engine = self._engines[name]
        changed = asyncio.Event()
        self._changed[name].add(changed)
        try:
            while True:
                changed.clear()
                await frames.write(EngineState(engine.availability, engine.will_return, engine.has_settled))
                await changed.wait()
        finally:
            self._changed[name].discard(changed)

    def _tell(self, name: str) -> None:
        for changed in self._changed[name]:
            changed.set()

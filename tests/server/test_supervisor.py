"""An engine's lives, in virtual time: launched, watched, launched again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.server.running import until
from tests.server.scripted_engine import ScriptedEngine
from tierway_server.backends.base import Availability, Generation, Message, Role, Sampling
from tierway_server.backends.supervisor import SupervisedEngine
from tierway_server.errors import EngineLostError, ModelUnavailableError, NotReadyError

GENERATION = Generation(id="g", messages=(Message(Role.USER, "Hi"),), sampling=Sampling(), max_tokens=8)
Launch = Callable[[], Awaitable[ScriptedEngine]]


class VirtualTime:
    """A clock that moves when it is told to, and a sleep that ends when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []
        self._wakes: list[asyncio.Event] = []

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        wake = asyncio.Event()
        self._wakes.append(wake)
        await wake.wait()
        self.now_s += seconds

    async def asleep(self, times: int) -> None:
        """Return when sleep has been called this often."""
        await until(lambda: len(self.slept_s) == times)

    def wake(self) -> None:
        self._wakes[-1].set()


class Lives:
    """What `launch` gives: scripted outcomes first, then engines."""

    def __init__(self, *outcomes: Exception) -> None:
        self.engines: list[ScriptedEngine] = []
        self._outcomes = list(outcomes)

    async def launch(self) -> ScriptedEngine:
        if self._outcomes:
            raise self._outcomes.pop(0)
        self.engines.append(ScriptedEngine("e"))
        return self.engines[-1]


def supervised(launch: Launch, time: VirtualTime, **changes: Any) -> SupervisedEngine:
    limits: dict[str, Any] = {
        "capacity": 4,
        "idle_timeout_s": 60.0,
        "start_timeout_s": 60.0,
        "initial_backoff_s": 1.0,
        "max_backoff_s": 8.0,
    }
    return SupervisedEngine("e", launch, clock=time.clock, sleep=time.sleep, **limits | changes)


@asynccontextmanager
async def running(engine: SupervisedEngine) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(engine.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


async def test_before_its_start_it_is_not_ready_and_not_settled(time: VirtualTime) -> None:
    engine = supervised(Lives().launch, time)
    assert not engine.availability.is_available
    assert not engine.has_settled
    assert engine.registry is None
    with pytest.raises(NotReadyError) as caught:
        await anext(engine.generate(GENERATION))
    assert caught.value.retry_after_s


async def test_a_launched_engine_serves(time: VirtualTime) -> None:
    lives = Lives()
    engine = supervised(lives.launch, time)
    async with running(engine):
        await until(lambda: engine.availability.is_available)
        assert engine.has_settled
        assert engine.registry is lives.engines[0].registry
        assert [chunk.text async for chunk in engine.generate(GENERATION)] == ["Paris", " it", " is."]
    assert lives.engines[0].shutdowns == 1
    assert not engine.availability.is_available


async def test_a_death_is_followed_by_a_new_life_after_a_wait(time: VirtualTime) -> None:
    lives = Lives()
    engine = supervised(lives.launch, time)
    async with running(engine):
        await until(lambda: engine.availability.is_available)
        lives.engines[0].death.set()
        await time.asleep(1)
        assert lives.engines[0].shutdowns == 1
        assert engine.registry is None
        assert "died" in engine.availability.reason
        with pytest.raises(NotReadyError):
            await anext(engine.generate(GENERATION))
        time.wake()
        await until(lambda: engine.availability.is_available)
        assert len(lives.engines) == 2


async def test_one_that_goes_down_badly_is_followed_by_a_new_life_too(time: VirtualTime) -> None:
    lives = Lives()
    engine = supervised(lives.launch, time)
    async with running(engine):
        await until(lambda: engine.availability.is_available)
        lives.engines[0].goes_down_badly = True
        lives.engines[0].death.set()
        await time.asleep(1)
        time.wake()
        await until(lambda: engine.availability.is_available)
        assert len(lives.engines) == 2


async def test_the_wait_doubles_up_to_its_limit(time: VirtualTime) -> None:
    engine = supervised(Lives(*[RuntimeError("no")] * 6).launch, time)
    async with running(engine):
        for number in range(1, 7):
            await time.asleep(number)
            time.wake()
        await until(lambda: engine.availability.is_available)
    assert time.slept_s == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


async def test_a_long_life_starts_the_wait_from_the_beginning(time: VirtualTime) -> None:
    lives = Lives(RuntimeError("no"), RuntimeError("no"))
    engine = supervised(lives.launch, time)
    async with running(engine):
        for number in (1, 2):
            await time.asleep(number)
            time.wake()
        await until(lambda: engine.availability.is_available)
        time.now_s += 3_600
        lives.engines[0].death.set()
        await time.asleep(3)
    assert time.slept_s == [1.0, 2.0, 1.0]


async def test_a_short_life_does_not(time: VirtualTime) -> None:
    lives = Lives(RuntimeError("no"), RuntimeError("no"))
    engine = supervised(lives.launch, time)
    async with running(engine):
        for number in (1, 2):
            await time.asleep(number)
            time.wake()
        await until(lambda: engine.availability.is_available)
        time.now_s += 5
        lives.engines[0].death.set()
        await time.asleep(3)
    assert time.slept_s == [1.0, 2.0, 4.0]


async def test_a_start_that_takes_long_and_fails_was_no_healthy_life(time: VirtualTime) -> None:
    async def slow_and_in_vain() -> ScriptedEngine:
        time.now_s += 100
        raise RuntimeError("no")

    engine = supervised(slow_and_in_vain, time)
    async with running(engine):
        for number in (1, 2):
            await time.asleep(number)
            time.wake()
        await time.asleep(3)
    assert time.slept_s == [1.0, 2.0, 4.0]


async def test_a_failed_start_settles_and_tells_no_foreign_text(time: VirtualTime) -> None:
    engine = supervised(Lives(RuntimeError("hunter2")).launch, time)
    async with running(engine):
        await time.asleep(1)
        assert engine.has_settled
        assert "hunter2" not in engine.availability.reason
        assert "failed to start" in engine.availability.reason


async def test_a_start_that_takes_too_long_is_given_up_and_tried_again(time: VirtualTime) -> None:
    cancelled = []

    async def hang() -> ScriptedEngine:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        raise AssertionError

    engine = supervised(hang, time, start_timeout_s=0.02)
    async with running(engine):
        await time.asleep(1)
        assert cancelled == [True]
        assert not engine.availability.is_available


async def test_what_only_the_operator_can_mend_is_not_tried_again(time: VirtualTime) -> None:
    engine = supervised(Lives(ModelUnavailableError("there is no folder /weights")).launch, time)
    async with running(engine) as task:
        await task
    assert engine.has_settled
    assert time.slept_s == []
    assert engine.availability == Availability(False, "there is no folder /weights")


async def test_cancelled_while_it_launches_it_cancels_the_launch(time: VirtualTime) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> ScriptedEngine:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with running(supervised(hang, time)):
        await begun.wait()
    assert ended.is_set()


async def test_cancelled_while_it_serves_it_brings_the_engine_down_before_it_ends(time: VirtualTime) -> None:
    lives = Lives()
    engine = supervised(lives.launch, time)
    async with running(engine) as task:
        await until(lambda: engine.availability.is_available)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert lives.engines[0].shutdowns == 1


async def test_cancelled_while_it_waits_it_launches_no_more(time: VirtualTime) -> None:
    lives = Lives(RuntimeError("no"))
    async with running(supervised(lives.launch, time)):
        await time.asleep(1)
    assert lives.engines == []


async def test_a_watcher_hears_of_the_present_and_of_every_change_once(time: VirtualTime) -> None:
    lives = Lives()
    engine = supervised(lives.launch, time)
    heard: list[Availability] = []
    engine.watch(heard.append)
    assert heard == [Availability(False, "not started")]
    async with running(engine):
        await until(lambda: engine.availability.is_available)
        lives.engines[0].death.set()
        await time.asleep(1)
        time.wake()
        await until(lambda: engine.availability.is_available)
    assert [now.is_available for now in heard] == [False, False, True, False, False, False, True, False]
    assert all(first != second for first, second in pairwise(heard))


async def test_closing_a_generation_closes_it_at_the_engine(time: VirtualTime) -> None:
    lives = Lives()
    engine = supervised(lives.launch, time)
    async with running(engine):
        await until(lambda: engine.availability.is_available)
        chunks = engine.generate(GENERATION)
        await anext(chunks)
        await chunks.aclose()
        assert lives.engines[0].closed == ["g"]


async def test_a_failure_of_the_engine_passes_through(time: VirtualTime) -> None:
    lives = Lives()
    engine = supervised(lives.launch, time)
    async with running(engine):
        await until(lambda: engine.availability.is_available)
        lives.engines[0].script(EngineLostError("gone"))
        with pytest.raises(EngineLostError):
            await anext(engine.generate(GENERATION))

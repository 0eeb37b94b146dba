"""A process that is there again when it has died: real processes that end at once, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest

from tests.server.running import until
from tierway_server.workers.assignment import Assignment
from tierway_server.workers.child import CannotStartError, Child

# Modules of the standard library that end as told, whatever they read.
ENDS_WELL, ENDS_BADLY = "this", "tests.no_such_module"
# Ends with 2 where it is given no arguments.
REFUSES = "tarfile"
# Reads its standard input, and goes on until it is ended.
STAYS = "tests.server.stubborn"


class Lives:
    """A child's lives, counted."""

    def __init__(self, module: str) -> None:
        self.slept_s: list[float] = []
        self.began = self.died = 0
        self.now_s = 0.0
        self.child = Child(
            "child",
            module,
            lambda: Assignment(config={}, supervisor_pid=os.getpid(), socket="none"),
            began=self._begin,
            died=self._die,
            clock=lambda: self.now_s,
            sleep=self._sleep,
        )
        self.run = asyncio.create_task(self.child.run())

    def _begin(self) -> None:
        self.began += 1

    async def _die(self) -> None:
        self.died += 1

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
async def lives() -> AsyncIterator[list[Lives]]:
    """The children of a test, which end with it."""
    started: list[Lives] = []
    yield started
    for one in started:
        one.run.cancel()
        with contextlib.suppress(asyncio.CancelledError, CannotStartError):
            await one.run


def begun(lives: list[Lives], module: str) -> Lives:
    lives.append(Lives(module))
    return lives[-1]


async def test_is_started_again_with_a_wait_that_doubles(lives: list[Lives]) -> None:
    one = begun(lives, ENDS_BADLY)
    await until(lambda: len(one.slept_s) >= 3)
    first = one.slept_s[0]
    assert one.slept_s[:3] == [first, 2 * first, 4 * first]
    assert one.died >= 3


async def test_an_end_that_nobody_asked_for_is_a_death_even_without_an_error(lives: list[Lives]) -> None:
    one = begun(lives, ENDS_WELL)
    await until(lambda: one.began >= 2)
    assert one.died >= 1


async def test_after_a_long_life_the_wait_begins_anew(lives: list[Lives]) -> None:
    one = begun(lives, STAYS)
    for life in range(1, 4):
        await until(lambda life=life: one.began == life and one.child.pid is not None)  # type: ignore[misc]
        one.now_s += 61 if life == 3 else 1
        one.child.signal(signal.SIGKILL)
        await until(lambda life=life: len(one.slept_s) == life)  # type: ignore[misc]
    first = one.slept_s[0]
    assert one.slept_s == [first, 2 * first, first]


async def test_one_that_says_that_it_cannot_start_is_not_tried_again(lives: list[Lives]) -> None:
    one = begun(lives, REFUSES)
    with pytest.raises(CannotStartError, match="child"):
        await one.run
    assert (one.began, one.died, one.slept_s) == (1, 1, [])


async def test_stopped_it_ends_and_stays_down(lives: list[Lives]) -> None:
    one = begun(lives, STAYS)
    await until(lambda: one.child.pid is not None)
    one.child.stop()
    await one.run
    assert (one.began, one.died, one.child.pid) == (1, 0, None)


async def test_cancelled_its_process_is_gone(lives: list[Lives]) -> None:
    one = begun(lives, STAYS)
    await until(lambda: one.child.pid is not None)
    pid = one.child.pid
    assert pid is not None
    one.run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one.run
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

"""Processes that share a state: they hammer it all at once, and some are killed, at any instruction."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from mmap import mmap
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from multiprocessing.sharedctypes import RawArray
from typing import Any

import pytest

from tierway_core import State

FORK = get_context("fork")
WORKERS = 3
LIMIT = 10**9
PLAIN, ROLLING, TIGHT = range(3)
"""Budgets: never rolls and never ends; rolls every 50 microseconds; is exhausted all the time."""

PERIOD_NS = 50_000
PERIODS = 2000
TIGHT_LIMIT = 10
INCREMENT_NS, BURST = 20_000, 5


class Fleet:
    """A shared state, and processes that hammer it, each counting in cells of its own what it was granted."""

    def __init__(self) -> None:
        self.memory = mmap(-1, State.size_bytes(1, 1, 3, WORKERS))  # shared with whom is forked
        self.state = self.attach(0)
        self.rounds = RawArray("q", WORKERS)
        self.spent = RawArray("q", WORKERS)
        self.granted = RawArray("q", WORKERS)
        self.by_period = [RawArray("q", PERIODS) for _ in range(WORKERS)]
        self.anchor_ns = 0  # a moment at which a period of ROLLING began
        self.stop = RawArray("b", 1)
        self.processes: dict[int, ForkProcess] = {}

    def attach(self, worker: int) -> State:
        return State(1, limits=1, budgets=3, workers=WORKERS, worker=worker, buffer=self.memory)

    def start(self, worker: int, work: Callable[["Fleet", State, int], None]) -> None:
        process = FORK.Process(target=work, args=(self, self.attach(worker), worker), daemon=True)
        process.start()
        self.processes[worker] = process

    def await_all(self, worker: int) -> None:
        """For workers: until all have come here."""
        self.rounds[worker] += 1
        while not all(self.rounds):
            os.sched_yield()

    def wait_for_rounds(self, worker: int, rounds: int) -> None:
        """Until the worker has gone round so many times more; it ends in failure if the worker does not live to do so."""
        goal = self.rounds[worker] + rounds
        while self.rounds[worker] < goal:
            assert self.processes[worker].is_alive()
            os.sched_yield()

    def kill(self, worker: int) -> None:
        process = self.processes.pop(worker)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL

    def join(self) -> None:
        self.stop[0] = 1
        for process in self.processes.values():
            process.join()
            assert process.exitcode == 0
        self.processes.clear()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    fleet = Fleet()
    yield fleet
    for worker in list(fleet.processes):
        fleet.kill(worker)


def spend_all(fleet: Fleet, state: State, worker: int) -> None:
    """Reserves and settles until not even 1 is left."""
    fleet.await_all(worker)
    chance = random.Random(worker)
    amount = 1
    while amount != 1 or state.reserve(PLAIN, 0, 1):
        if amount == 1:
            fleet.spent[worker] += 1
            state.settle(PLAIN, 0, 1, 1)
        amount = chance.randint(1, 50)
        if not state.reserve(PLAIN, 0, amount):
            amount = 1
            continue
        actual = chance.randint(0, amount)
        state.settle(PLAIN, 0, amount, actual)
        fleet.spent[worker] += actual
        amount = 1


def spend_each_period(fleet: Fleet, state: State, worker: int) -> None:
    """Spends whatever each period lets it; counts by the period in which it asked."""
    fleet.granted[worker] = time.monotonic_ns()
    fleet.await_all(worker)
    # The first period to count by begins when all are there, however long they took.
    begin_ns = max(fleet.granted) + (fleet.anchor_ns - max(fleet.granted)) % PERIOD_NS
    while time.monotonic_ns() < begin_ns:
        pass
    while (period := ((now_ns := time.monotonic_ns()) - begin_ns) // PERIOD_NS) < PERIODS:
        if state.reserve(ROLLING, now_ns, 1):
            state.settle(ROLLING, now_ns, 1, 1)
            fleet.by_period[worker][period] += 1


def hammer(fleet: Fleet, state: State, worker: int) -> None:
    """Does all that a request does to a state, round after round."""
    chance = random.Random(worker)
    while not fleet.stop[0]:
        amount = chance.randint(1, TIGHT_LIMIT)
        state.begin(0)
        for budget in (PLAIN, ROLLING, TIGHT):
            if state.reserve(budget, time.monotonic_ns(), amount):
                state.settle(budget, time.monotonic_ns(), amount, chance.randint(0, amount) if budget != TIGHT else 0)
        if state.take(0, time.monotonic_ns()) == 0:
            fleet.granted[worker] += 1
        state.end(0)
        fleet.rounds[worker] += 1


def test_a_budget_is_spent_to_the_last_and_not_beyond(fleet):
    limit = 5_000_000
    fleet.state.set_budget(PLAIN, limit)
    for worker in range(WORKERS):
        fleet.start(worker, spend_all)
    fleet.join()
    assert sum(fleet.spent) == limit
    assert (fleet.state.spent_picousd(PLAIN, 0), fleet.state.reserved_picousd(PLAIN)) == (limit, 0)
    assert fleet.state.remaining_picousd(PLAIN, 0) == 0


def test_no_stretch_of_periods_spends_more_than_its_due(fleet):
    """Of each worker, one request may have read the clock in the stretch and be served later."""
    fleet.state.set_budget(ROLLING, TIGHT_LIMIT, PERIOD_NS)
    fleet.anchor_ns = time.monotonic_ns()
    assert fleet.state.reserve(ROLLING, fleet.anchor_ns, 0)  # the first use begins the first period
    for worker in range(WORKERS):
        fleet.start(worker, spend_each_period)
    fleet.join()
    spent = [sum(of_worker) for of_worker in zip(*fleet.by_period, strict=True)]
    assert sum(spent) > TIGHT_LIMIT
    most = 0  # beyond the due of the stretch that ends here, of all stretches
    for of_period in spent:
        most = max(most, 0) + of_period - TIGHT_LIMIT
        assert most <= WORKERS


def test_killed_workers_leave_no_trace_but_what_was_spent(fleet):
    """Kills go on until some have hit operations on budgets in the middle, which is what this is about."""
    state = fleet.state
    state.set_budget(PLAIN, LIMIT)
    state.set_budget(ROLLING, LIMIT, PERIOD_NS)
    state.set_budget(TIGHT, TIGHT_LIMIT)
    state.set_limit(0, increment_ns=INCREMENT_NS, burst_ns=BURST * INCREMENT_NS)
    begun_ns = time.monotonic_ns()
    for worker in range(WORKERS):
        fleet.start(worker, hammer)

    chance = random.Random(7)
    kills = interrupted = in_flight = 0
    while kills < 20 or interrupted < 3 or in_flight < 3:
        victim = chance.randrange(WORKERS)
        fleet.wait_for_rounds(victim, chance.randint(1, 100))
        fleet.kill(victim)
        recovery = state.recover(victim)
        kills += 1
        interrupted += recovery.interrupted
        in_flight += recovery.in_flight
        assert recovery.in_flight <= 1
        assert 0 <= recovery.reserved_picousd <= TIGHT_LIMIT
        for _ in range(100):
            assert state.remaining_picousd(PLAIN, 0) >= 0
            assert state.remaining_picousd(TIGHT, 0) >= 0
            assert state.in_flight(0) < WORKERS
        fleet.start(victim, hammer)  # the successor

    for worker in range(WORKERS):
        fleet.wait_for_rounds(worker, 1)
    fleet.join()
    assert state.in_flight(0) == 0
    assert state.wait_ns(0, time.monotonic_ns()) <= INCREMENT_NS
    for budget, limit in [(PLAIN, LIMIT), (ROLLING, LIMIT), (TIGHT, TIGHT_LIMIT)]:
        now_ns = time.monotonic_ns()
        assert state.reserved_picousd(budget) == 0
        assert state.remaining_picousd(budget, now_ns) + state.spent_picousd(budget, now_ns) == limit
    assert state.spent_picousd(PLAIN, 0) > 0
    assert state.reserve(TIGHT, 0, TIGHT_LIMIT), "the whole limit is there again"
    assert 0 < sum(fleet.granted) <= BURST + (time.monotonic_ns() - begun_ns) / INCREMENT_NS


# ---- killed after each single step ----------------------------------------------------------------------------------

COMMITTED, SPENT, HELD = 0, 1, 8
"""Words of a budget's record; HELD is the first worker's."""


def words_of(workers: int) -> tuple[Any, Any, Any]:
    """A buffer; its words; where its first budget begins."""
    buffer = bytearray(State.size_bytes(0, budgets=1, workers=workers))
    return buffer, memoryview(buffer).cast("q"), State.size_bytes(0, workers=workers) // 8


RESERVE_30 = [(COMMITTED, 30), (HELD, 30)]
SETTLE_20_BY_7 = [(SPENT, 7), (HELD, -20), (COMMITTED, -13)]
SETTLE_20_BY_90 = [(COMMITTED, 70), (SPENT, 90), (HELD, -20)]


@pytest.mark.parametrize("steps", [RESERVE_30, SETTLE_20_BY_7, SETTLE_20_BY_90], ids=["reserve", "settle", "overshoot"])
@pytest.mark.parametrize("done", range(4))
def test_recovery_is_exact_wherever_the_worker_was_killed(steps, done):
    buffer, words, budget = words_of(2)
    living, dead = (State(0, budgets=1, workers=2, worker=worker, buffer=buffer) for worker in (1, 0))
    living.set_budget(0, 100)
    assert dead.reserve(0, 0, 20)
    assert living.reserve(0, 0, 40)
    words[8] += 1  # the worker's operation has begun
    for word, step in steps[:done]:
        words[budget + word] += step
    spent = sum(step for word, step in steps[:done] if word == SPENT)

    recovery = living.recover(0)
    assert recovery.interrupted == 1
    assert living.reserved_picousd(0) == 40
    assert living.spent_picousd(0, 0) == spent
    assert living.remaining_picousd(0, 0) == 60 - spent
    assert living.recover(0) == (0, 0, 0)
    assert living.settle(0, 0, 40, 40) == max(spent - 60, 0)


def test_two_who_died_in_the_midst_are_recovered_together():
    buffer, words, budget = words_of(3)
    states = [State(0, budgets=1, workers=3, worker=worker, buffer=buffer) for worker in range(3)]
    states[0].set_budget(0, 100)
    for worker in (0, 1):
        words[8 + 8 * worker] += 1
        words[budget + COMMITTED] += 10
    with pytest.raises(RuntimeError, match="dead as well"):
        states[2].recover(0)
    assert states[2].recover(0, 1).interrupted == 2
    assert states[2].remaining_picousd(0, 0) == 100


def test_recovering_a_worker_that_there_is_not_is_an_error():
    with pytest.raises(IndexError):
        State(1).recover(1)

"""Breakers, limits and budgets against their twins, call by call, on a virtual clock; and what must hold whatever is called."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tierway_core import NEVER_NS, Breaker, State
from tierway_core import state_reference as twins

SECOND_NS = 10**9
STEPS_NS = st.one_of(
    st.sampled_from([0, 0, 1, twins.STEP_NS, SECOND_NS, 60 * SECOND_NS, 2**50]), st.integers(0, 3 * SECOND_NS)
)


class Clocked(RuleBasedStateMachine):
    """A clock that goes on, and at times is read by one who came earlier."""

    def __init__(self) -> None:
        super().__init__()
        self.clock_ns = 0
        self.late_ns = 0

    @property
    def now_ns(self) -> int:
        return max(self.clock_ns - self.late_ns, 0)

    @rule(step_ns=STEPS_NS, late_ns=st.sampled_from([0, 0, 0, 1, 10**5, 2 * SECOND_NS]))
    def wait(self, step_ns: int, late_ns: int) -> None:
        self.clock_ns += step_ns
        self.late_ns = late_ns


class BreakerMachine(Clocked):
    @initialize(
        start_ns=st.sampled_from([0, 10**9, 2**55]),
        error_share=st.sampled_from([0.0, 0.05, 0.5, 0.99]),
        min_requests=st.integers(1, 5),
        window_ns=st.sampled_from([10**6, 10**6 + 1, SECOND_NS, 10 * SECOND_NS]),
        open_ns=st.sampled_from([1, twins.STEP_NS, SECOND_NS, 30 * SECOND_NS]),
        probes=st.sampled_from([1, 2, 3, 63]),
    )
    def set_up(self, start_ns: int, **parameters: Any) -> None:
        self.clock_ns = start_ns
        self.state = State(2)
        self.state.set_breaker(1, **parameters)
        self.twin = twins.ReferenceBreaker(**parameters)
        self.probes = parameters["probes"]
        self.error = twins.ReferenceMean(0.0, twins.MOST_ERROR_WEIGHT)
        self.first_token = twins.ReferenceMean()
        self.requests = twins.ReferenceWindow(60 * SECOND_NS // 8)
        self.tokens = twins.ReferenceWindow(60 * SECOND_NS // 8)
        self.unanswered = 0  # probes taken since half-open and not given up

    @rule()
    def ask(self) -> None:
        assert self.state.try_probe(1, self.now_ns) == self.twin.try_probe(self.now_ns)

    @rule(
        ok=st.booleans(),
        first_token_s=st.one_of(st.none(), st.floats(1e-6, 1e3)),
        tokens=st.sampled_from([0, 1, 1000]),
        times=st.integers(1, 4),
    )
    def answer(self, ok: bool, first_token_s: float | None, tokens: int, times: int) -> None:
        for _ in range(times):
            self.state.observe(1, self.now_ns, ok=ok, first_token_s=first_token_s, tokens=tokens)
            self.twin.observe(self.now_ns, ok=ok)
            self.error.sample(self.now_ns, 0.0 if ok else 1.0)
            if first_token_s is not None:
                self.first_token.sample(self.now_ns, first_token_s)
            self.requests.add(self.now_ns, 1)
            self.tokens.add(self.now_ns, tokens)

    @rule()
    def leave(self) -> None:
        self.state.release_probe(1)
        self.twin.release_probe()

    @rule(forced=st.sampled_from([None, None, Breaker.CLOSED, Breaker.OPEN]))
    def override(self, forced: Breaker | None) -> None:
        self.state.force_breaker(1, forced)
        self.twin.forced = forced

    @precondition(lambda self: self.state.breaker(1, self.now_ns) is Breaker.OPEN)
    @rule()
    def nothing_passes_an_open_breaker(self) -> None:
        assert not self.state.try_probe(1, self.now_ns)

    @precondition(lambda self: self.twin.forced is None and self.state.breaker(1, self.now_ns) is Breaker.HALF_OPEN)
    @rule()
    def a_half_open_breaker_lets_its_quota_through_at_most(self) -> None:
        passed = [self.state.try_probe(1, self.now_ns) for _ in range(self.probes + 1)]
        assert passed == [self.twin.try_probe(self.now_ns) for _ in range(self.probes + 1)]
        assert sum(passed) <= self.probes

    @invariant()
    def the_twin_agrees(self) -> None:
        now_ns = self.now_ns
        assert self.state.breaker(1, now_ns) is self.twin.state(now_ns)
        assert self.state.forced_breaker(1) is self.twin.forced
        assert self.state.error_share(1) == self.error.value(0.0)
        assert self.state.first_token_s(1, now_ns, 0.5) == self.first_token.lately(now_ns, 0.5)
        assert self.state.usage(1, now_ns) == (self.requests.total(now_ns), self.tokens.total(now_ns))

    @invariant()
    def the_neighbour_saw_nothing(self) -> None:
        assert (self.state.breaker(0, self.now_ns), self.state.usage(0, self.now_ns)) == (Breaker.CLOSED, (0, 0))


class LimitMachine(Clocked):
    @initialize(
        start_ns=st.sampled_from([0, 2**55]),
        increment_ns=st.sampled_from([1, 3, 1000, SECOND_NS // 3, SECOND_NS]),
        burst=st.integers(1, 6),
        more_ns=st.sampled_from([0, 0, 1]),
    )
    def set_up(self, start_ns: int, increment_ns: int, burst: int, more_ns: int) -> None:
        self.clock_ns = start_ns
        self.increment_ns = increment_ns
        self.burst_ns = burst * increment_ns + min(more_ns, increment_ns - 1)
        self.state = State(0, limits=2)
        self.state.set_limit(1, increment_ns=self.increment_ns, burst_ns=self.burst_ns)
        self.twin = twins.ReferenceLimit(increment_ns=self.increment_ns, burst_ns=self.burst_ns)
        self.granted: list[tuple[int, int]] = []  # moment, cost

    @rule(cost=st.sampled_from([0, 1, 1, 1, 2, 7]), is_undone=st.sampled_from([False, False, True]))
    def take(self, cost: int, is_undone: bool) -> None:
        wait_ns = self.state.take(1, self.now_ns, cost)
        assert wait_ns == self.twin.take(self.now_ns, cost)
        if wait_ns == 0 and is_undone:
            self.state.give_back(1, cost)
            self.twin.give_back(cost)
        elif wait_ns == 0:
            self.granted.append((self.now_ns, cost))

    @rule(span_ns=st.sampled_from([0, 1, SECOND_NS // 2, 300 * SECOND_NS]), is_past=st.booleans())
    def hold(self, span_ns: int, is_past: bool) -> None:
        """Nothing is granted before the end of a hold."""
        until_ns = max(self.now_ns - span_ns, 0) if is_past else self.now_ns + span_ns
        self.state.hold(1, until_ns)
        self.twin.hold(until_ns)
        assert self.now_ns + self.state.wait_ns(1, self.now_ns) >= until_ns

    @rule(cost=st.integers(1, 7))
    def wait_as_told(self, cost: int) -> None:
        """What is refused is granted after the wait that was told, and not a nanosecond before."""
        wait_ns = self.state.wait_ns(1, self.now_ns, cost)
        assert wait_ns == self.twin.wait_ns(self.now_ns, cost)
        if 0 < wait_ns < NEVER_NS:
            assert self.state.take(1, self.now_ns + wait_ns - 1, cost) == 1
            assert self.state.wait_ns(1, self.now_ns + wait_ns, cost) == 0

    @invariant()
    def no_interval_sees_more_than_its_due(self) -> None:
        """An independent model: of every grant, all grants since then. A clock that steps back lengthens no interval."""
        latest_ns = max((at_ns for at_ns, _ in self.granted), default=0)
        for start_ns, _ in self.granted[-20:]:
            cost = sum(cost for at_ns, cost in self.granted if at_ns >= start_ns)
            assert cost * self.increment_ns <= self.burst_ns + latest_ns - start_ns


class BudgetMachine(Clocked):
    WORKERS = 3
    MONEY = st.one_of(st.integers(0, 60), st.sampled_from([100, 2**40, 2**62]))

    @initialize(
        limit=st.sampled_from([0, 1, 100, 1000, 2**62]),
        period_ns=st.sampled_from([0, 0, 1000, SECOND_NS, 60 * SECOND_NS]),
    )
    def set_up(self, limit: int, period_ns: int) -> None:
        buffer = bytearray(State.size_bytes(0, budgets=2, workers=self.WORKERS))
        self.states = [
            State(0, budgets=2, workers=self.WORKERS, worker=worker, buffer=buffer) for worker in range(self.WORKERS)
        ]
        self.states[0].set_budget(1, limit, period_ns)
        self.twin = twins.ReferenceBudget(limit, period_ns)
        self.open: list[tuple[int, int]] = []  # worker, reserved
        self.spent_ever = 0

    @rule(worker=st.integers(0, WORKERS - 1), picousd=MONEY)
    def reserve(self, worker: int, picousd: int) -> None:
        granted = self.states[worker].reserve(1, self.now_ns, picousd)
        assert granted == self.twin.reserve(worker, self.now_ns, picousd)
        if granted:
            self.open.append((worker, picousd))
            assert self.states[0].remaining_picousd(1, self.now_ns) >= 0

    @precondition(lambda self: self.open)
    @rule(data=st.data(), more=st.sampled_from([0, 0, 1, 50, 2**40]), share=st.sampled_from([0.0, 0.5, 1.0]))
    def settle(self, data: st.DataObject, more: int, share: float) -> None:
        worker, reserved = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        actual = min(int(reserved * share) + more, 2**62)
        exceeded = self.states[worker].settle(1, self.now_ns, reserved, actual)
        assert exceeded == self.twin.settle(worker, self.now_ns, reserved, actual)

    @rule(worker=st.integers(0, WORKERS - 1))
    def settle_what_is_not_reserved(self, worker: int) -> None:
        held = sum(reserved for owner, reserved in self.open if owner == worker)
        if held < 2**62:
            with pytest.raises(ValueError, match="reserved"):
                self.states[worker].settle(1, self.now_ns, held + 1, 0)

    @rule(worker=st.integers(0, WORKERS - 1))
    def die(self, worker: int) -> None:
        reserved = self.twin.recover(worker)
        assert self.states[0].recover(worker) == (0, reserved, 0)
        self.open = [(owner, held) for owner, held in self.open if owner != worker]

    @rule()
    def reset(self) -> None:
        self.states[1].reset(1)
        self.twin.reset()

    @rule(limit=st.sampled_from([0, 50, 2000]), period_ns=st.sampled_from([0, 1000, SECOND_NS]))
    def change(self, limit: int, period_ns: int) -> None:
        self.states[2].set_budget(1, limit, period_ns)
        self.twin.limit_picousd, self.twin.period_ns = limit, period_ns

    @invariant()
    def the_twin_agrees(self) -> None:
        now_ns = self.now_ns
        for state in self.states:
            assert state.spent_picousd(1, now_ns) == self.twin.spent_picousd(now_ns)
            assert state.reserved_picousd(1) == self.twin.reserved_picousd()
            assert state.remaining_picousd(1, now_ns) == self.twin.remaining_picousd(now_ns)

    @invariant()
    def what_is_reserved_is_what_is_open(self) -> None:
        assert self.states[0].reserved_picousd(1) == sum(reserved for _, reserved in self.open)

    @invariant()
    def the_neighbour_saw_nothing(self) -> None:
        assert self.states[0].remaining_picousd(0, self.now_ns) == 0


for machine in (BreakerMachine, LimitMachine, BudgetMachine):
    machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)

TestBreaker = BreakerMachine.TestCase
TestLimit = LimitMachine.TestCase
TestBudget = BudgetMachine.TestCase

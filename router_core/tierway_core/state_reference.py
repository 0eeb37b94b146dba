"""The pure-Python twins of what a state keeps: breakers, limits, budgets, means and windows. The specification, for one process.

`State` does the same in shared memory, atomically; tests hold the two equal, call by call. Moments are nanoseconds of one
monotonic clock, and may step back a little: who read the clock earlier may come later.
"""

from __future__ import annotations

import math

from tierway_core.types import Breaker

__all__ = ["NEVER_NS", "ReferenceBreaker", "ReferenceBudget", "ReferenceLimit", "ReferenceMean", "ReferenceWindow"]

NEVER_NS = 2**63 - 1

TAU_NS = 10e9
"""How fast means forget: a sample of 10 seconds ago weighs 37 %. Long enough to average over the requests of a busy second,
short enough that an endpoint that slows down, or has recovered, is seen as such before callers notice a pattern."""

FADE_NS = 60e9
"""How long without a sample until a mean is not believed any more: what was slow, so that nobody tries it, is tried again."""

LEAST_WEIGHT = 0.02
"""Samples of one moment would weigh nothing by time alone; so a mean is over the last 50 samples if they come that fast."""

MOST_ERROR_WEIGHT = 0.2
"""By time alone, the first failure after a quiet minute would say that everything fails, and keep everybody away for ever."""

SLOTS = 8
STEP_NS = 2**16
"""A breaker's times are rounded up to it, 66 microseconds: so its whole state fits one word."""


class ReferenceMean:
    """A mean that forgets with time: each sample moves it by a weight that grows with the time since the last one.

    Args:
        first: what it is before the first sample; None: the sample itself.
        most_weight: of a single sample.

    """

    def __init__(self, first: float | None = None, most_weight: float = 1.0) -> None:
        self._first = first
        self._most_weight = most_weight
        self._value: float | None = None
        self._at_ns = 0

    def sample(self, now_ns: int, value: float) -> None:
        elapsed_ns, self._at_ns = max(now_ns - self._at_ns, 0), now_ns
        weight = min(max(1.0 - math.exp(-elapsed_ns / TAU_NS), LEAST_WEIGHT), self._most_weight)
        first = value if self._first is None else self._first
        old = first if self._value is None else self._value
        self._value = old + weight * (value - old)

    def value(self, default: float) -> float:
        return default if self._value is None else self._value

    def lately(self, now_ns: int, default: float) -> float:
        """The mean as far as it is believed: less with each moment without a sample, until `default` holds again."""
        if self._value is None:
            return default
        faded = min(max(now_ns - self._at_ns, 0) / FADE_NS, 1.0)
        return self._value + faded * (default - self._value)


class ReferenceWindow:
    """Counts of the last eight slots of time, the present one included, which is under way."""

    def __init__(self, slot_ns: int) -> None:
        self.slot_ns = slot_ns
        self._counts = [(0, 0)] * SLOTS  # by place: slot, count

    def add(self, now_ns: int, amount: int) -> None:
        slot = now_ns // self.slot_ns
        there, count = self._counts[slot % SLOTS]
        if count and there > slot:
            return  # its slot has passed; others need the place
        self._counts[slot % SLOTS] = slot, amount + (count if there == slot else 0)

    def total(self, now_ns: int) -> int:
        slot = now_ns // self.slot_ns
        return sum(count for there, count in self._counts if 0 <= slot - there < SLOTS)


class ReferenceBreaker:
    """Closed until more than `error_share` of at least `min_requests` outcomes in the window are errors. Then open for
    `open_ns`. Then half-open: it lets `probes` requests through, and closes once so many succeeded, or opens again at
    the first that fails. A probe without an outcome is given up after `open_ns`. Parameters as `State.set_breaker`.
    """

    def __init__(self, *, error_share: float, min_requests: int, window_ns: int, open_ns: int, probes: int) -> None:
        self._error_share = error_share
        self._min_requests = min_requests
        self._slot_ns = -(-window_ns // SLOTS)
        self._open_ns = open_ns
        self._probes = probes
        self._state = Breaker.CLOSED
        self._until_ns = 0
        self._taken = self._succeeded = 0
        self.forced: Breaker | None = None
        self._start_counting()

    def _start_counting(self) -> None:
        self._outcomes = ReferenceWindow(self._slot_ns)
        self._errors = ReferenceWindow(self._slot_ns)

    def state(self, now_ns: int) -> Breaker:
        if self.forced is not None:
            return self.forced
        return Breaker.HALF_OPEN if self._state is Breaker.OPEN and now_ns >= self._until_ns else self._state

    def _wait(self, now_ns: int) -> None:
        self._until_ns = -(-(now_ns + self._open_ns) // STEP_NS) * STEP_NS

    def try_probe(self, now_ns: int) -> bool:
        state = self.state(now_ns)
        if self.forced is not None or state is not Breaker.HALF_OPEN:
            return state is Breaker.CLOSED
        if self._state is Breaker.OPEN:
            self._state, self._taken, self._succeeded = Breaker.HALF_OPEN, 0, 0
            self._wait(now_ns)
        elif now_ns >= self._until_ns:
            self._taken = self._succeeded
            self._wait(now_ns)
        if self._taken >= self._probes:
            return False
        self._taken += 1
        return True

    def release_probe(self) -> None:
        if self._state is Breaker.HALF_OPEN and self._taken > self._succeeded:
            self._taken -= 1

    def observe(self, now_ns: int, *, ok: bool) -> None:
        if self.forced is not None or self._state is Breaker.OPEN:
            return
        if self._state is Breaker.CLOSED:
            self._outcomes.add(now_ns, 1)
            self._errors.add(now_ns, 0 if ok else 1)
            outcomes, errors = self._outcomes.total(now_ns), self._errors.total(now_ns)
            if outcomes >= self._min_requests and errors > self._error_share * outcomes:
                self._open(now_ns)
        elif not ok:
            self._open(now_ns)
        else:
            self._succeeded += 1
            self._taken = max(self._taken, self._succeeded)
            if self._succeeded >= self._probes:
                self._state = Breaker.CLOSED

    def _open(self, now_ns: int) -> None:
        self._state = Breaker.OPEN
        self._wait(now_ns)
        self._start_counting()


class ReferenceLimit:
    """GCRA: a request moves the moment at which the limit is idle again by `increment_ns`; it is granted while that
    moment is at most `burst_ns` ahead. So no interval sees more than (burst_ns + its length) / increment_ns granted.
    """

    def __init__(self, *, increment_ns: int, burst_ns: int) -> None:
        self._increment_ns = increment_ns
        self._burst_ns = burst_ns
        self._idle_ns = 0

    def wait_ns(self, now_ns: int, cost: int = 1) -> int:
        step_ns = self._increment_ns * cost
        if step_ns == 0:
            return 0
        if step_ns > self._burst_ns:
            return NEVER_NS
        return max(max(self._idle_ns, now_ns) + step_ns - self._burst_ns - now_ns, 0)

    def take(self, now_ns: int, cost: int = 1) -> int:
        wait_ns = self.wait_ns(now_ns, cost)
        if wait_ns == 0 and self._increment_ns * cost > 0:
            self._idle_ns = max(self._idle_ns, now_ns) + self._increment_ns * cost
        return wait_ns

    def hold(self, until_ns: int) -> None:
        """Nothing is granted before this moment, and the first request at it."""
        self._idle_ns = max(self._idle_ns, until_ns + self._burst_ns - self._increment_ns)

    def give_back(self, cost: int = 1) -> None:
        self._idle_ns = max(self._idle_ns - self._increment_ns * cost, 0)


class ReferenceBudget:
    """What is spent in a period and what is reserved: a reservation is granted only while both, with it, stay within the
    limit. Reservations outlive a period; what is spent does not.
    """

    def __init__(self, limit_picousd: int, period_ns: int = 0) -> None:
        self.limit_picousd = limit_picousd
        self.period_ns = period_ns
        self._end_ns = 0  # 0: the first period begins with the first use
        self._spent = 0
        self._held: dict[int, int] = {}  # by worker

    def _is_over(self, now_ns: int) -> bool:
        return self.period_ns > 0 and now_ns >= self._end_ns

    def _roll(self, now_ns: int) -> None:
        if self._is_over(now_ns):
            since_ns = (now_ns - self._end_ns) % self.period_ns if self._end_ns else 0
            self._end_ns = now_ns - since_ns + self.period_ns
            self._spent = 0

    def spent_picousd(self, now_ns: int) -> int:
        return 0 if self._is_over(now_ns) else self._spent

    def reserved_picousd(self) -> int:
        return sum(self._held.values())

    def remaining_picousd(self, now_ns: int) -> int:
        return self.limit_picousd - self.spent_picousd(now_ns) - self.reserved_picousd()

    def reserve(self, worker: int, now_ns: int, picousd: int) -> bool:
        self._roll(now_ns)
        if picousd > self.remaining_picousd(now_ns):
            return False
        self._held[worker] = self._held.get(worker, 0) + picousd
        return True

    def settle(self, worker: int, now_ns: int, reserved_picousd: int, actual_picousd: int) -> int:
        if reserved_picousd > self._held.get(worker, 0):
            raise ValueError("the worker has less reserved")
        self._roll(now_ns)
        self._held[worker] = self._held.get(worker, 0) - reserved_picousd
        self._spent += actual_picousd
        return max(-self.remaining_picousd(now_ns), 0)

    def reset(self) -> None:
        self._spent = 0

    def recover(self, worker: int) -> int:
        return self._held.pop(worker, 0)

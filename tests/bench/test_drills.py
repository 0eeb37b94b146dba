"""What the benchmark `simulate` shows of faults holds: on the virtual clock, so that it is the same on every machine."""

import pytest

from tierway_bench.simulate import drill
from tierway_sim import FaultKind, parse_fault


@pytest.mark.parametrize("strategy", ["cheapest", "least_busy", "lowest_latency", "usage_based", "weighted"])
@pytest.mark.parametrize(("kind", "text"), [("fail", "p0:0.3@70..130"), ("vanish", "p0@70..130")])
def test_traffic_leaves_a_provider_that_fails_within_a_thousand_requests(strategy, kind, text) -> None:
    summary = drill(strategy, parse_fault(FaultKind(kind), text), requests=14_000)
    [shift] = summary.shifts
    assert shift.left_after_requests is not None
    assert shift.left_after_requests < 1000
    assert shift.share_during < 0.05
    assert (summary.answered, summary.failed) == (14_000, 0)


@pytest.mark.parametrize("strategy", ["cheapest", "least_busy", "lowest_latency", "usage_based", "weighted"])
@pytest.mark.parametrize(("kind", "text"), [("fail", "p0:0.3@70..130"), ("vanish", "p0@70..130")])
def test_and_comes_back_when_the_breaker_has_rested(strategy, kind, text) -> None:
    [shift] = drill(strategy, parse_fault(FaultKind(kind), text), requests=20_000).shifts
    assert shift.back_after_requests is not None
    assert shift.back_after_requests < 4_000  # 30 s of rest at 100 requests a second, and the probes


@pytest.mark.parametrize("strategy", ["least_busy", "lowest_latency"])
def test_strategies_that_look_at_load_or_speed_leave_what_is_slow(strategy) -> None:
    [shift] = drill(strategy, parse_fault(FaultKind.SLOW, "p0:10x@70..130"), requests=14_000).shifts
    assert shift.left_after_requests is not None
    assert shift.left_after_requests < 1000
    assert shift.share_during < 0.1


def test_a_strategy_that_looks_at_neither_stays() -> None:
    [shift] = drill("weighted", parse_fault(FaultKind.SLOW, "p0:10x@70..130"), requests=14_000).shifts
    assert shift.share_during > 0.2

from array import array
from collections import Counter

import pytest

from tests.sim.fleets import NS, make_fleet, placed
from tierway_sim import FaultKind, Query, Run, Traffic, Wishes, parse_fault
from tierway_sim.shifts import shifts


def run_with(chosen):
    """A run in which request n came at second n and this deployment was chosen."""
    fleet = make_fleet(placed("a", "x"), placed("b", "y"))
    traffic = Traffic(
        pool=[Query(prompt="hi")],
        order=array("i", [0] * len(chosen)),
        at_ns=array("q", [second * NS for second in range(len(chosen))]),
    )
    nothing, times = array("i", [0] * len(chosen)), array("d", [0.0] * len(chosen))
    return Run(
        fleet=fleet,
        traffic=traffic,
        wishes=Wishes(),
        chosen=array("i", chosen),
        answered=array("i", chosen),
        tries=nothing,
        is_warm=nothing,
        first_token_s=times,
        latency_s=times,
        input_tokens=array("q", [1]),
        output_tokens=array("q", [1]),
        refusals=Counter(),
    )


def vanished(text):
    return [parse_fault(FaultKind.VANISH, text)]


def test_requests_are_counted_until_traffic_has_left_and_is_back():
    run = run_with([0] * 500 + [0] * 7 + [1] * 493 + [1] * 30 + [0] * 470)
    [shift] = shifts(run, vanished("x@500..1000"))
    assert (shift.deployment, shift.share_before) == ("a@x", 1.0)
    assert shift.share_during == pytest.approx(7 / 500)
    assert (shift.left_after_requests, shift.back_after_requests) == (7, 30)


def test_a_share_of_the_traffic_counts_as_the_whole_does():
    chosen = [0, 1, 1, 1] * 250 + [1] * 1000 + [0, 1, 1, 1] * 250
    [shift] = shifts(run_with(chosen), vanished("x@1000..2000"))
    assert (shift.share_before, shift.left_after_requests, shift.back_after_requests) == (0.25, 0, 0)


def test_a_probe_now_and_then_brings_no_traffic_back():
    during = [0] * 40 + [1] * 460
    during[200] = during[300] = 0
    [shift] = shifts(run_with([0] * 500 + during + [0] * 500), vanished("x@500..1000"))
    assert (shift.left_after_requests, shift.back_after_requests) == (40, 0)


def test_traffic_that_stays_is_said_to_stay():
    [shift] = shifts(run_with([0] * 1500), vanished("x@500..1000"))
    assert (shift.left_after_requests, shift.back_after_requests) == (None, None)


def test_a_deployment_without_traffic_before_has_nothing_to_shift():
    assert shifts(run_with([0] * 1500), vanished("y@500..1000")) == ()

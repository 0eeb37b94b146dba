from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.fleets import make_model
from tests.sim.fleets import asked_at, make_fleet, placed
from tierway_core import Complexity, UnknownStrategyError, estimate_tokens
from tierway_core.policy import BreakerSpec, BudgetSpec, LimitSpec, TenantSpec
from tierway_sim import FaultKind, Pace, Wishes, arriving, parse_fault, replay, summarise, synthetic
from tierway_sim.replay import VANISHED_S
from tierway_sim.run import RATE_LIMITED


def fail(text):
    return parse_fault(FaultKind.FAIL, text)


def names(run, indices):
    return [run.fleet.table.deployments[index].model.name if index >= 0 else None for index in indices]


def test_an_answer_takes_its_first_token_and_every_other():
    run = replay(make_fleet(placed("a", "x")), asked_at(0.0, 5.0), spread=0)
    assert list(run.first_token_s) == [1.0, 1.0]
    assert list(run.latency_s) == pytest.approx([2.0, 2.0])  # 10 more tokens at 0.1 s
    assert list(run.tries) == [1, 1]


def test_what_the_table_expects_is_taken_for_an_unknown_length():
    fleet = make_fleet(placed("a", "x"))
    run = replay(fleet, asked_at(0.0, output_tokens=0), spread=0)
    assert run.output_tokens[0] == fleet.table.routing.expected_output_tokens[Complexity.TRIVIAL] == 100
    assert run.latency_s[0] == pytest.approx(1.0 + 99 * 0.1)


def test_a_failure_goes_down_the_chain_and_takes_its_time():
    fleet = make_fleet(placed("a", "x", 1, fallback=("b",)), placed("b", "y", 2))
    run = replay(fleet, asked_at(0.0, 3.0), [fail("x:1@..2")], spread=0)
    assert (names(run, run.chosen), names(run, run.answered)) == (["a", "a"], ["b", "a"])
    assert list(run.tries) == [2, 1]
    assert list(run.first_token_s) == [2.0, 1.0]


def test_where_the_chain_ends_the_request_has_failed():
    run = replay(make_fleet(placed("a", "x")), asked_at(0.0), [fail("x:1@..")], spread=0)
    assert (run.chosen[0], run.answered[0], run.tries[0]) == (0, -1, 1)


def test_what_has_vanished_is_found_out_after_a_while():
    fleet = make_fleet(placed("a", "x", 1, fallback=("b",)), placed("b", "y", 2))
    run = replay(fleet, asked_at(0.0), [parse_fault(FaultKind.VANISH, "a@x@..")], spread=0)
    assert run.first_token_s[0] == VANISHED_S + 1.0


def test_what_is_slow_takes_times_as_long():
    slow = parse_fault(FaultKind.SLOW, "x:10x@..")
    run = replay(make_fleet(placed("a", "x")), asked_at(0.0), [slow], spread=0)
    assert (run.first_token_s[0], run.latency_s[0]) == (10.0, pytest.approx(20.0))


def test_a_share_of_the_requests_fails():
    fleet = make_fleet(placed("a", "x"))
    run = replay(fleet, asked_at(*range(0, 10_000, 5)), [fail("x:0.3@..")])
    assert list(run.answered).count(-1) / 2000 == pytest.approx(0.3, abs=0.03)


def test_who_finds_no_slot_waits_and_who_finds_no_room_goes_on():
    narrow = Pace(first_token_s=1.0, token_s=0.1, slots=1, queue=1)
    fleet = make_fleet(placed("a", "x", 1, fallback=("b",)), placed("b", "y", 2), paces={"a": narrow})
    run = replay(fleet, asked_at(0.0, 0.5, 0.6, 2.5), spread=0)
    assert names(run, run.answered) == ["a", "a", "b", "a"]
    assert list(run.first_token_s) == pytest.approx([1.0, 2.5, 1.0, 2.5])  # each starts at the end of the one before


def test_deployments_on_one_engine_share_its_slots():
    shared = Pace(first_token_s=1.0, token_s=0.1, slots=1, engine="e")
    fleet = make_fleet(placed("a", "x", 1, fallback=("b",)), placed("b", "x", 2), paces={"a": shared, "b": shared})
    run = replay(fleet, asked_at(0.0, 0.1), spread=0)
    assert names(run, run.answered) == ["a", None]


def test_a_deployment_past_its_limit_is_passed_over():
    fleet = make_fleet(
        placed("a", "x", 1, fallback=("b",), limits=("slow",)),
        placed("b", "y", 2),
        limits=(LimitSpec(name="slow", requests=1, period_s=10.0),),
    )
    run = replay(fleet, asked_at(0.0, 1.0, 11.0), spread=0)
    assert names(run, run.answered) == ["a", "b", "a"]


def test_a_breaker_opens_and_lets_probes_through_until_it_closes():
    breaker = BreakerSpec(error_share=0.5, min_requests=2, window_s=100.0, open_s=20.0, probes=1)
    fleet = make_fleet(placed("a", "x", 1, fallback=("b",), breaker=breaker), placed("b", "y", 2))
    # Two failures open it; at 30 a probe fails and it rests again; at 60 a probe succeeds.
    run = replay(fleet, asked_at(0, 5, 10, 15, 30, 35, 60, 65), [fail("x:1@..50")], spread=0)
    assert names(run, run.answered) == ["b"] * 6 + ["a"] * 2
    waited = [round(first_token_s) for first_token_s in run.first_token_s]
    assert waited == [2, 2, 1, 1, 2, 1, 1, 1]  # whom it kept away from a lost no time there


def test_a_warm_cache_is_sooner_and_cheaper_for_as_long_as_it_holds():
    model = placed("a", "x", 1000)
    fleet = make_fleet(replace(model, cached_input_picousd=100), prefix_s=60.0)
    traffic = asked_at(0.0, 10.0, 100.0, prefix="conversation", prefix_tokens=9 * estimate_tokens("hi"))
    run = replay(fleet, traffic, spread=0)
    assert list(run.is_warm) == [0, 1, 0]
    assert list(run.first_token_s) == pytest.approx([1.0, 0.1, 1.0])
    fresh, cached, output = estimate_tokens("hi"), 9 * estimate_tokens("hi"), 11
    cold_picousd = (fresh + cached + output) * 1000
    assert summarise(run).cost_usd * 1e12 == pytest.approx(3 * cold_picousd - cached * 900)


def test_prefix_affinity_keeps_a_conversation_where_it_began():
    places = ("p", "q", "r", "s")
    fleet = make_fleet(make_model("m", 1, places=places))
    traffic = asked_at(*range(0, 100, 5), prefix="conversation", prefix_tokens=50)
    run = replay(fleet, traffic, wishes=Wishes(strategy="prefix_affinity"))
    assert len(set(run.answered)) == 1
    assert list(run.is_warm) == [0] + [1] * 19


def test_a_tenant_past_its_limit_is_refused_before_anything_is_decided():
    fleet = make_fleet(
        placed("a", "x"),
        limits=(LimitSpec(name="slow", requests=1, period_s=10.0),),
        tenants=(TenantSpec(name="t", limits=("slow",)),),
    )
    assert replay(fleet, asked_at(0.0, 1.0, 11.0, tenant="t")).refusals == {RATE_LIMITED: 1}
    assert replay(fleet, asked_at(0.0, 1.0, 11.0, tenant="other")).refusals == {}


@pytest.mark.parametrize("gap_s", [0.0, 100.0])
def test_a_hard_budget_is_never_overspent_whether_requests_overlap_or_not(gap_s):
    estimate = 1000 * (estimate_tokens("hi") + 100)
    fleet = make_fleet(
        placed("a", "x"),
        budgets=(BudgetSpec(name="b", limit_picousd=4 * estimate + 1, hard=True),),
        tenants=(TenantSpec(name="t", budget="b"),),
    )
    run = replay(fleet, asked_at(*(gap_s * place for place in range(10)), tenant="t", output_tokens=100))
    assert list(run.answered).count(0) == 4
    assert summarise(run).cost_usd * 1e12 <= 4 * estimate + 1


def test_a_soft_budget_is_paid_from_all_the_same():
    fleet = make_fleet(
        placed("a", "x"),
        budgets=(BudgetSpec(name="b", limit_picousd=1, hard=False),),
        tenants=(TenantSpec(name="t", budget="b"),),
    )
    assert list(replay(fleet, asked_at(0.0, 1.0, tenant="t")).answered) == [0, 0]


def test_wishes_are_asked_for_by_every_request():
    fleet = make_fleet(
        placed("slow", "x", 1), placed("fast", "y", 2), paces={"slow": Pace(first_token_s=9.0, token_s=0.1)}
    )
    slow_at_first = [parse_fault(FaultKind.SLOW, "slow@x:3x@..")]
    patient = replay(fleet, asked_at(0.0, 50.0), slow_at_first)
    assert names(patient, patient.chosen) == ["slow", "slow"]
    in_time = replay(fleet, asked_at(0.0, 50.0), slow_at_first, wishes=Wishes(deadline_s=4.0))
    assert names(in_time, in_time.chosen) == ["slow", "fast"]  # the first taught what the second went by
    with pytest.raises(UnknownStrategyError):
        replay(fleet, asked_at(0.0), wishes=Wishes(strategy="nobody"))


def test_what_nothing_may_answer_is_refused_and_counted():
    run = replay(make_fleet(placed("a", "x"), accurate_tier=4), asked_at(0.0, 1.0, agent="security_agent"))
    assert run.refusals == {"PIN_UNSATISFIABLE": 2}
    assert list(run.chosen) == [-1, -1]


def test_the_same_seed_gives_the_same_run():
    fleet = make_fleet(placed("a", "x", 1, fallback=("b",)), placed("b", "y", 2))
    traffic = arriving(synthetic(50), requests=300, rate=5.0)
    one, same, other = (replay(fleet, traffic, [fail("x:0.5@..")], seed=seed) for seed in (1, 1, 2))
    assert (one.answered, one.latency_s) == (same.answered, same.latency_s)
    assert one.latency_s != other.latency_s


@given(
    slots=st.integers(0, 2),
    queue=st.integers(0, 2),
    share=st.floats(0, 1),
    times=st.lists(st.floats(0, 50), min_size=1, max_size=40),
)
def test_every_request_is_accounted_for_and_none_is_left_in_flight(slots, queue, share, times):
    narrow = Pace(first_token_s=1.0, token_s=0.1, slots=slots, queue=queue)
    fleet = make_fleet(placed("a", "x", 1, fallback=("b",)), placed("b", "y", 2), paces={"a": narrow, "b": narrow})
    traffic = asked_at(*sorted(times))
    run = replay(fleet, traffic, [fail(f"x:{share:.3f}@10..30")])
    for chosen, answered, tries, latency_s, first_s in zip(
        run.chosen, run.answered, run.tries, run.latency_s, run.first_token_s, strict=True
    ):
        assert chosen == 0
        assert 1 <= tries <= 2
        assert (answered >= 0) == (latency_s > 0)
        assert latency_s >= first_s

"""What breakers, means, limits and budgets promise, by example. `test_state_machines` holds the same in general."""

import pytest

from tierway_core import NEVER_NS, Breaker, State

SECOND_NS = 10**9
NOW_NS = 10**15
BREAKER = {
    "error_share": 0.05,
    "min_requests": 20,
    "window_ns": 10 * SECOND_NS,
    "open_ns": 30 * SECOND_NS,
    "probes": 3,
}


def make_state(**changes: float) -> State:
    state = State(1, limits=1, budgets=1)
    state.set_breaker(0, **BREAKER | changes)
    return state


def observe(state: State, now_ns: int, *, errors: int = 0, successes: int = 0) -> None:
    for place in range(errors + successes):
        state.observe(0, now_ns, ok=place >= errors)


def opened(**changes: float) -> State:
    """A breaker that opened at NOW_NS."""
    state = make_state(**changes)
    observe(state, NOW_NS, errors=2, successes=18)
    assert state.breaker(0, NOW_NS) is Breaker.OPEN
    return state


DUE_NS = NOW_NS + 30 * SECOND_NS + 2**16

# ---- breakers --------------------------------------------------------------------------------------------------------


def test_a_breaker_without_parameters_never_opens():
    state = State(1)
    observe(state, NOW_NS, errors=1000)
    assert state.breaker(0, NOW_NS) is Breaker.CLOSED
    assert state.try_probe(0, NOW_NS)


def test_a_breaker_opens_above_its_share_of_enough_requests():
    state = make_state()
    observe(state, NOW_NS, errors=1, successes=19)  # 5 %, not more
    assert state.breaker(0, NOW_NS) is Breaker.CLOSED
    observe(state, NOW_NS, errors=1)
    assert state.breaker(0, NOW_NS) is Breaker.OPEN
    assert not state.try_probe(0, NOW_NS)


def test_a_few_requests_open_nothing():
    state = make_state()
    observe(state, NOW_NS, errors=19)
    assert state.breaker(0, NOW_NS) is Breaker.CLOSED


def test_errors_that_left_the_window_do_not_count():
    state = make_state()
    observe(state, NOW_NS, errors=19)
    observe(state, NOW_NS + 10 * SECOND_NS, errors=1, successes=19)
    assert state.breaker(0, NOW_NS + 10 * SECOND_NS) is Breaker.CLOSED


def test_a_window_is_right_after_a_pause_of_years():
    """Slots' numbers go round after 2^23 slots, 121 days of this window."""
    state = make_state()
    slot_ns = BREAKER["window_ns"] // 8
    for rounds in (1, 2, 3):
        observe(state, NOW_NS + rounds * 2**23 * slot_ns // 2, errors=1, successes=19)
        assert state.breaker(0, NOW_NS + rounds * 2**23 * slot_ns // 2) is Breaker.CLOSED


def test_an_open_breaker_is_half_open_once_due_and_lets_its_probes_through():
    state = opened()
    assert not state.try_probe(0, NOW_NS + 30 * SECOND_NS - 1)
    assert state.breaker(0, DUE_NS) is Breaker.HALF_OPEN
    assert [state.try_probe(0, DUE_NS) for _ in range(5)] == [True, True, True, False, False]


def test_as_many_successes_as_probes_close_it_with_an_empty_window():
    state = opened()
    for _ in range(3):
        assert state.breaker(0, DUE_NS) is Breaker.HALF_OPEN
        assert state.try_probe(0, DUE_NS)
        state.observe(0, DUE_NS, ok=True)
    assert state.breaker(0, DUE_NS) is Breaker.CLOSED
    observe(state, DUE_NS, errors=19)
    assert state.breaker(0, DUE_NS) is Breaker.CLOSED


def test_one_failed_probe_opens_it_again():
    state = opened()
    assert state.try_probe(0, DUE_NS)
    state.observe(0, DUE_NS, ok=True)
    assert state.try_probe(0, DUE_NS)
    state.observe(0, DUE_NS, ok=False)
    assert state.breaker(0, DUE_NS + 30 * SECOND_NS - 1) is Breaker.OPEN
    assert state.breaker(0, DUE_NS + 30 * SECOND_NS + 2**16) is Breaker.HALF_OPEN


def test_a_probe_without_an_outcome_comes_back_by_time_or_when_it_is_released():
    state = opened(probes=1)
    assert state.try_probe(0, DUE_NS)
    assert not state.try_probe(0, DUE_NS + 1)
    state.release_probe(0)
    assert state.try_probe(0, DUE_NS + 1)
    assert not state.try_probe(0, DUE_NS + 2)
    assert state.try_probe(0, DUE_NS + 31 * SECOND_NS)


def test_an_override_holds_and_learns_nothing_until_it_is_given_back():
    state = make_state()
    assert state.forced_breaker(0) is None
    state.force_breaker(0, Breaker.OPEN)
    assert (state.breaker(0, NOW_NS), state.forced_breaker(0)) == (Breaker.OPEN, Breaker.OPEN)
    assert not state.try_probe(0, 2 * NOW_NS)
    state.force_breaker(0, Breaker.CLOSED)
    observe(state, NOW_NS, errors=100)
    assert state.try_probe(0, NOW_NS)
    assert state.forced_breaker(0) is Breaker.CLOSED
    state.force_breaker(0, None)
    assert (state.breaker(0, NOW_NS), state.forced_breaker(0)) == (Breaker.CLOSED, None)
    with pytest.raises(ValueError, match="closed or open"):
        state.force_breaker(0, Breaker.HALF_OPEN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_share": 1.0},
        {"error_share": -0.1},
        {"error_share": float("nan")},
        {"min_requests": 0},
        {"window_ns": 999_999},
        {"window_ns": 2**60 + 1},
        {"open_ns": 0},
        {"probes": 0},
        {"probes": 64},
    ],
    ids=repr,
)
def test_a_breaker_s_parameters_have_ranges(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_state(**wrong)


# ---- means and usage -------------------------------------------------------------------------------------------------


def test_a_mean_starts_with_its_first_sample_and_forgets_with_time():
    state = State(1)
    assert (state.first_token_s(0, NOW_NS, 0.25), state.token_s(0, NOW_NS, 0.02)) == (0.25, 0.02)
    state.observe(0, NOW_NS, ok=True, first_token_s=1.0, token_s=0.1)
    assert (state.first_token_s(0, NOW_NS, 0.25), state.token_s(0, NOW_NS, 0.02)) == (1.0, 0.1)
    later_ns = NOW_NS + 10 * SECOND_NS
    state.observe(0, later_ns, ok=True, first_token_s=0.0)
    assert state.first_token_s(0, later_ns, 0.25) == pytest.approx(0.368, abs=1e-3)


def test_a_mean_without_samples_is_believed_less_until_the_default_holds_again():
    """Else one that was slow once, and is tried by nobody since, would stay slow for ever."""
    state = State(1)
    state.observe(0, NOW_NS, ok=True, first_token_s=10.0)
    seen = [state.first_token_s(0, NOW_NS + seconds * SECOND_NS, 1.0) for seconds in (0, 15, 30, 60, 600)]
    assert seen == pytest.approx([10.0, 7.75, 5.5, 1.0, 1.0])


def test_a_single_failure_is_a_fifth_at_most():
    state = State(1)
    assert state.error_share(0) == 0.0
    state.observe(0, NOW_NS, ok=False)
    assert state.error_share(0) == 0.2


def test_usage_is_of_the_last_minute():
    state = State(1)
    state.observe(0, NOW_NS, ok=True, tokens=100)
    state.observe(0, NOW_NS + 30 * SECOND_NS, ok=False, tokens=11)
    assert state.usage(0, NOW_NS + 30 * SECOND_NS) == (2, 111)
    assert state.usage(0, NOW_NS + 61 * SECOND_NS) == (1, 11)
    assert state.usage(0, NOW_NS + 91 * SECOND_NS) == (0, 0)


@pytest.mark.parametrize("wrong", [{"first_token_s": -1.0}, {"token_s": float("inf")}, {"tokens": -1}], ids=repr)
def test_an_outcome_that_cannot_be_changes_nothing(wrong):
    state = State(1)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        state.observe(0, NOW_NS, ok=False, **wrong)
    assert (state.error_share(0), state.usage(0, NOW_NS)) == (0.0, (0, 0))


@pytest.mark.parametrize("now_ns", [-1, 2**62])
def test_a_moment_is_from_0_to_2_to_the_62(now_ns):
    state = make_state()
    for call in (state.breaker, state.try_probe, state.usage, state.take, state.wait_ns, state.remaining_picousd):
        with pytest.raises(ValueError, match="now_ns"):
            call(0, now_ns)


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_a_limit_without_parameters_grants_everything():
    state = State(0, limits=1)
    assert {state.take(0, NOW_NS, 10**12) for _ in range(100)} == {0}


def test_a_limit_that_is_held_grants_nothing_until_then_and_a_longer_hold_stays():
    state = State(0, limits=2)
    for limit in (0, 1):
        state.set_limit(limit, increment_ns=10, burst_ns=50)
    state.hold(0, NOW_NS + 1000)
    state.hold(0, NOW_NS + 400)
    assert [state.take(0, NOW_NS), state.take(0, NOW_NS + 999), state.take(0, NOW_NS + 1000)] == [1000, 1, 0]
    assert state.take(1, NOW_NS) == 0


def test_nothing_is_held_where_nothing_is_limited():
    state = State(0, limits=1)
    state.hold(0, NOW_NS + 1000)
    assert state.take(0, NOW_NS) == 0


def test_a_limit_grants_its_burst_then_one_an_increment():
    state = State(0, limits=1)
    state.set_limit(0, increment_ns=SECOND_NS, burst_ns=3 * SECOND_NS)
    assert [state.take(0, NOW_NS) for _ in range(4)] == [0, 0, 0, SECOND_NS]
    assert [state.take(0, NOW_NS + SECOND_NS) for _ in range(2)] == [0, SECOND_NS]


def test_a_cost_is_taken_whole_or_not_at_all():
    state = State(0, limits=1)
    state.set_limit(0, increment_ns=10, burst_ns=100)
    assert state.take(0, NOW_NS, 11) == NEVER_NS
    assert state.take(0, NOW_NS, 7) == 0
    assert state.take(0, NOW_NS, 4) == 10
    assert state.take(0, NOW_NS, 3) == 0
    assert state.take(0, NOW_NS, 2**62) == NEVER_NS


def test_a_cost_is_not_negative():
    state = State(0, limits=1)
    for call in (
        lambda: state.take(0, NOW_NS, -1),
        lambda: state.wait_ns(0, NOW_NS, -1),
        lambda: state.give_back(0, -1),
    ):
        with pytest.raises(ValueError, match="cost"):
            call()


def test_what_is_given_back_can_be_taken_again():
    state = State(0, limits=1)
    state.set_limit(0, increment_ns=10, burst_ns=10)
    assert state.take(0, NOW_NS) == 0
    state.give_back(0)
    assert [state.wait_ns(0, NOW_NS), state.take(0, NOW_NS), state.take(0, NOW_NS)] == [0, 0, 10]


def test_a_burst_has_room_for_one():
    with pytest.raises(ValueError, match="burst_ns"):
        State(0, limits=1).set_limit(0, increment_ns=10, burst_ns=9)


# ---- budgets ---------------------------------------------------------------------------------------------------------


def make_budget(limit_picousd: int = 100, period_ns: int = 0) -> State:
    state = State(0, budgets=1)
    state.set_budget(0, limit_picousd, period_ns)
    return state


def test_a_budget_that_nobody_has_set_has_nothing():
    state = State(0, budgets=1)
    assert not state.reserve(0, NOW_NS, 1)
    assert state.reserve(0, NOW_NS, 0)


def test_what_is_reserved_cannot_be_reserved_again_and_what_is_not_spent_can():
    state = make_budget()
    assert state.reserve(0, NOW_NS, 60)
    assert not state.reserve(0, NOW_NS, 41)
    assert state.settle(0, NOW_NS, 60, 25) == 0
    assert (state.spent_picousd(0, NOW_NS), state.remaining_picousd(0, NOW_NS)) == (25, 75)
    assert state.reserve(0, NOW_NS, 75)


def test_what_costs_more_than_reserved_is_told_and_not_lost():
    state = make_budget()
    assert state.reserve(0, NOW_NS, 90)
    assert state.settle(0, NOW_NS, 90, 130) == 30
    assert (state.spent_picousd(0, NOW_NS), state.remaining_picousd(0, NOW_NS)) == (130, -30)
    assert not state.reserve(0, NOW_NS, 1)


def test_settling_what_is_not_reserved_is_an_error_and_spends_nothing():
    state = make_budget()
    with pytest.raises(ValueError, match="reserved by worker 0"):
        state.settle(0, NOW_NS, 1, 1)
    assert state.remaining_picousd(0, NOW_NS) == 100


def test_a_period_starts_with_its_first_use_and_forgets_spending_but_no_reservation():
    state = make_budget(period_ns=10)
    assert state.reserve(0, NOW_NS, 40)
    assert state.settle(0, NOW_NS, 40, 40) == 0
    assert state.reserve(0, NOW_NS + 9, 60)
    assert state.remaining_picousd(0, NOW_NS + 9) == 0
    assert (state.spent_picousd(0, NOW_NS + 10), state.remaining_picousd(0, NOW_NS + 10)) == (0, 40)
    assert not state.reserve(0, NOW_NS + 10, 41)
    assert state.settle(0, NOW_NS + 12, 60, 50) == 0
    assert state.remaining_picousd(0, NOW_NS + 19) == 50
    assert state.remaining_picousd(0, NOW_NS + 35) == 100


def test_a_reset_forgives_what_was_spent_and_leaves_what_is_reserved():
    state = make_budget()
    assert state.reserve(0, NOW_NS, 30)
    assert state.reserve(0, NOW_NS, 70)
    assert state.settle(0, NOW_NS, 70, 70) == 0
    state.reset(0)
    assert (state.spent_picousd(0, NOW_NS), state.reserved_picousd(0), state.remaining_picousd(0, NOW_NS)) == (
        0,
        30,
        70,
    )


def test_a_new_limit_holds_at_once():
    state = make_budget()
    assert state.reserve(0, NOW_NS, 80)
    state.set_budget(0, 50)
    assert state.remaining_picousd(0, NOW_NS) == -30
    state.set_budget(0, 200)
    assert state.remaining_picousd(0, NOW_NS) == 120


def test_money_is_0_to_2_to_the_62():
    state = make_budget()
    for wrong in (-1, 2**62 + 1):
        with pytest.raises(ValueError, match="picousd"):
            state.reserve(0, NOW_NS, wrong)
        with pytest.raises(ValueError, match="picousd"):
            state.settle(0, NOW_NS, 0, wrong)
        with pytest.raises(ValueError, match="limit_picousd"):
            state.set_budget(0, wrong)

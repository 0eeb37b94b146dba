"""What a state tells other machines and hears from them. That they agree is shown in tests/shared."""

import pytest

from tierway_core import Breaker, Sharing, State

BUDGET = LIMIT = INDEX = 0
NOW_NS = 10**15
SECOND_NS = 10**9


@pytest.fixture
def sharing() -> Sharing:
    state = State(1, limits=1, budgets=1)
    state.set_budget(BUDGET, 1_000, 3_600 * SECOND_NS)
    state.set_limit(LIMIT, increment_ns=SECOND_NS, burst_ns=5 * SECOND_NS)
    state.set_breaker(INDEX, error_share=0.5, min_requests=1, window_ns=SECOND_NS, open_ns=4 * SECOND_NS, probes=1)
    return Sharing(state)


def test_a_leased_budget_grants_up_to_the_ceiling_of_all_that_was_ever_spent(sharing: Sharing):
    state = sharing.state
    assert state.reserve(BUDGET, NOW_NS, 300)
    state.settle(BUDGET, NOW_NS, 300, 300)
    state.reset(BUDGET)
    sharing.lease(BUDGET, 400, 0)
    assert sharing.paid_picousd(BUDGET) == 300
    assert not state.reserve(BUDGET, NOW_NS, 101)
    assert state.reserve(BUDGET, NOW_NS, 100)
    assert not state.reserve(BUDGET, NOW_NS, 1)


def test_a_leased_budget_tells_what_all_have_left(sharing: Sharing):
    sharing.lease(BUDGET, 100, 250)
    assert sharing.state.reserve(BUDGET, NOW_NS, 100)
    assert sharing.state.remaining_picousd(BUDGET, NOW_NS) == 1_000 - 250 - 100


def test_a_leased_budget_has_no_period_of_its_own(sharing: Sharing):
    sharing.lease(BUDGET, 100, 0)
    assert sharing.state.reserve(BUDGET, NOW_NS, 100)
    assert not sharing.state.reserve(BUDGET, NOW_NS + 7_200 * SECOND_NS, 100)


def test_the_largest_reservation_that_was_refused_is_told_once(sharing: Sharing):
    sharing.lease(BUDGET, 10, 0)
    for picousd in (20, 40, 30, 5):
        sharing.state.reserve(BUDGET, NOW_NS, picousd)
    assert sharing.take_asked_picousd(BUDGET) == 40
    assert sharing.take_asked_picousd(BUDGET) == 0


def test_what_was_taken_of_a_limit_is_counted_without_what_was_refused_or_given_back(sharing: Sharing):
    state = sharing.state
    assert [state.take(LIMIT, NOW_NS, cost) == 0 for cost in (2, 2, 2)] == [True, True, False]
    state.give_back(LIMIT)
    assert sharing.taken(LIMIT) == 3
    assert sharing.ahead_ns(LIMIT, NOW_NS) == 3 * SECOND_NS
    assert sharing.ahead_ns(LIMIT, NOW_NS + 4 * SECOND_NS) == 0


def test_a_limit_is_pushed_back_and_never_forward(sharing: Sharing):
    sharing.push_back(LIMIT, NOW_NS + 4 * SECOND_NS)
    sharing.push_back(LIMIT, NOW_NS + SECOND_NS)
    assert sharing.ahead_ns(LIMIT, NOW_NS) == 4 * SECOND_NS
    sharing.ease(LIMIT, NOW_NS, 0.25)
    assert sharing.ahead_ns(LIMIT, NOW_NS) == SECOND_NS


def test_an_automaton_is_moved_below_what_an_operator_put_over_it(sharing: Sharing):
    state = sharing.state
    state.force_breaker(INDEX, Breaker.CLOSED)
    sharing.set_automaton(INDEX, Breaker.OPEN, NOW_NS)
    breaker, until_ns = sharing.automaton(INDEX)
    assert breaker is Breaker.OPEN
    assert NOW_NS <= until_ns < NOW_NS + 2**16
    assert state.breaker(INDEX, NOW_NS) is Breaker.CLOSED
    state.force_breaker(INDEX, None)
    assert not state.try_probe(INDEX, NOW_NS - SECOND_NS)
    assert state.try_probe(INDEX, until_ns)
    sharing.set_automaton(INDEX, Breaker.CLOSED, 0)
    assert sharing.automaton(INDEX) == (Breaker.CLOSED, 0)


def test_one_that_is_moved_begins_with_an_empty_window(sharing: Sharing):
    sharing.state.observe(INDEX, NOW_NS, ok=True)
    sharing.set_automaton(INDEX, Breaker.CLOSED, 0)
    sharing.state.observe(INDEX, NOW_NS, ok=False)  # all that the window has
    assert sharing.automaton(INDEX)[0] is Breaker.OPEN


def test_usage_is_told_of_all_and_of_here(sharing: Sharing):
    sharing.state.observe(INDEX, NOW_NS, ok=True, tokens=5)
    sharing.set_usage_elsewhere(INDEX, 3, 70)
    assert sharing.state.usage(INDEX, NOW_NS) == (4, 75)
    assert sharing.usage_here(INDEX, NOW_NS) == (1, 5)


@pytest.mark.parametrize("method", ["paid_picousd", "take_asked_picousd", "taken", "automaton"])
def test_what_a_state_has_not_is_refused(sharing: Sharing, method: str):
    with pytest.raises(IndexError):
        getattr(sharing, method)(1)

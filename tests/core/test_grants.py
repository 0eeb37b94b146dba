"""What a table grants, in the state: of one process, and of several that share it."""

import pytest

from tests.core.fleets import make_deployment, make_model, make_table
from tierway_core import NEVER_NS, Breaker, BreakerSpec, BudgetSpec, LimitSpec, State, Table
from tierway_core.grants import grant, joined_state, new_state, state_bytes

NOW_NS = 10**15
SECOND_NS = 10**9
RESTING, NEVER_RESTING = 0, 1
WORKERS = 2


@pytest.fixture
def table() -> Table:
    breaker = BreakerSpec(min_requests=1, error_share=0.0, window_s=10.0, open_s=0.5, probes=1)
    deployments = (make_deployment("m@rests", breaker=breaker), make_deployment("m@never", breaker=None))
    return make_table(
        make_model("m", 1, deployments=deployments),
        limits=(LimitSpec(name="l", requests=2.0, period_s=1.0, burst=3),),
        budgets=(BudgetSpec(name="b", limit_picousd=100, period_s=2.5),),
    )


def fail(state: State, index: int) -> Breaker:
    state.observe(index, NOW_NS, ok=False)
    return state.breaker(index, NOW_NS)


def test_a_new_state_grants_what_the_table_says(table: Table):
    state = new_state(table)
    assert fail(state, RESTING) is Breaker.OPEN
    assert state.breaker(RESTING, NOW_NS + SECOND_NS) is Breaker.HALF_OPEN
    assert fail(state, NEVER_RESTING) is Breaker.CLOSED
    assert state.wait_ns(0, NOW_NS, 3) == 0
    assert state.wait_ns(0, NOW_NS, 4) == NEVER_NS
    assert state.reserve(0, NOW_NS, 100)
    state.settle(0, NOW_NS, 100, 100)
    assert state.remaining_picousd(0, NOW_NS + 2 * SECOND_NS) == 0
    assert state.remaining_picousd(0, NOW_NS + 3 * SECOND_NS) == 100


def test_nothing_is_available_until_somebody_says_so(table: Table):
    state = new_state(table)
    assert not any(state.is_available(index) for index in (RESTING, NEVER_RESTING))


def test_who_joins_a_state_changes_nothing_in_it(table: Table):
    memory = bytearray(state_bytes(table, WORKERS))
    first = new_state(table, workers=WORKERS, buffer=memory)
    first.set_limit(0, increment_ns=SECOND_NS, burst_ns=SECOND_NS)
    joined = joined_state(table, workers=WORKERS, worker=1, buffer=memory)
    assert joined.wait_ns(0, NOW_NS, 2) == NEVER_NS
    assert joined.reserve(0, NOW_NS, 60)
    assert first.reserved_picousd(0) == 60


def test_granting_again_keeps_what_was_counted(table: Table):
    state = new_state(table)
    assert state.take(0, NOW_NS, 3) == 0
    assert state.reserve(0, NOW_NS, 60)
    grant(table, state)
    assert state.wait_ns(0, NOW_NS) > 0
    assert state.reserved_picousd(0) == 60

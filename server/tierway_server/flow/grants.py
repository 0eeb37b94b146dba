"""What the table grants, written into the state: breakers, limits and budgets as they are configured."""

from __future__ import annotations

from tierway_core import State, Table

_NS = 1e9


def new_state(table: Table) -> State:
    """A state of this process alone, for all that the table has."""
    state = State(len(table.deployments), limits=len(table.limits), budgets=len(table.budgets))
    grant(table, state)
    return state


def grant(table: Table, state: State) -> None:
    """Set the parameters of `state`, and none of what has been counted in it: it may be shared, and in use."""
    for deployment in table.deployments:
        breaker = deployment.spec.breaker
        if breaker is not None:
            state.set_breaker(
                deployment.index,
                error_share=breaker.error_share,
                min_requests=breaker.min_requests,
                window_ns=round(breaker.window_s * _NS),
                open_ns=round(breaker.open_s * _NS),
                probes=breaker.probes,
            )
    for index, limit in enumerate(table.limits):
        state.set_limit(index, increment_ns=limit.increment_ns, burst_ns=limit.burst_ns)
    for index, budget in enumerate(table.budgets):
        state.set_budget(index, budget.limit_picousd, round(budget.period_s * _NS))

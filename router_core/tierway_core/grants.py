"""What the table grants, written into the state: breakers, limits and budgets as they are configured."""

from mmap import mmap

from tierway_core._state import State
from tierway_core.table import Table

__all__ = ["grant", "joined_state", "new_state", "state_bytes"]

Buffer = bytearray | memoryview | mmap

_NS = 1e9


def new_state(table: Table, *, workers: int = 1, buffer: Buffer | None = None) -> State:
    """A state for all that the table grants: of this process alone, or the first of those that share it."""
    state = joined_state(table, workers=workers, buffer=buffer)
    grant(table, state)
    return state


def joined_state(table: Table, *, workers: int = 1, worker: int = 0, buffer: Buffer | None = None) -> State:
    """A state as it is: what is granted in it is the affair of who made it, and may have changed since.

    Args:
        table: what there is.
        workers: how many processes share it.
        worker: which of them this is.
        buffer: what they share, of at least `state_bytes`; None for memory of its own.

    """
    return State(
        len(table.deployments),
        limits=len(table.limits),
        budgets=len(table.budgets),
        workers=workers,
        worker=worker,
        buffer=buffer,
    )


def state_bytes(table: Table, workers: int) -> int:
    """How large the buffer of a state is that so many processes share."""
    return State.size_bytes(len(table.deployments), len(table.limits), len(table.budgets), workers)


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

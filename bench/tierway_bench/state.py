"""What the shared state costs: `python -m tierway_bench.state`.

Prints nanoseconds for each operation as the flow calls it, from Python: in one process alone, and in two at once, which is the
worst that can be: both do nothing else, on the same record. Medians of rounds, with their range; of two processes, the slower
one counts. An empty call, printed beside, is what the loop itself costs, and is not taken off.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from mmap import mmap
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from tierway_bench.report import Machine, Spread, table
from tierway_core import State

NOW_NS = 10**15
CALLS = 100_000
ROUNDS = 9
READY_S = 60.0
"""Within this, the other process has to come to a round."""


def make_state(buffer: mmap, worker: int) -> State:
    """One deployment with a breaker, one limit, one budget, none of which ever refuses."""
    state = State(1, limits=1, budgets=1, workers=2, worker=worker, buffer=buffer)
    state.set_breaker(0, error_share=0.05, min_requests=20, window_ns=10**10, open_ns=3 * 10**10, probes=3)
    state.set_limit(0, increment_ns=1, burst_ns=2**60)
    state.set_budget(0, 2**62)
    return state


def operations(state: State) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""

    def count() -> None:
        state.begin(0)
        state.end(0)

    def spend() -> None:
        state.reserve(0, NOW_NS, 1000)
        state.settle(0, NOW_NS, 1000, 0)

    return {
        "empty call": lambda: None,
        "in_flight": lambda: state.in_flight(0),
        "begin, end": count,
        "try_probe": lambda: state.try_probe(0, NOW_NS),
        "observe": lambda: state.observe(0, NOW_NS, ok=True, first_token_s=0.1, token_s=0.01, tokens=300),
        "take": lambda: state.take(0, NOW_NS),
        "reserve, settle": spend,
    }


def measure_ns(buffer: mmap, worker: int, together: Barrier | None) -> dict[str, list[float]]:
    """Nanoseconds a call, by round, of each operation; each round begins together."""
    found: dict[str, list[float]] = {}
    for name, call in operations(make_state(buffer, worker)).items():
        timeit.timeit(call, number=CALLS // 10)
        found[name] = []
        for _ in range(ROUNDS):
            if together is not None:
                together.wait(READY_S)
            found[name].append(timeit.timeit(call, number=CALLS) * 1e9 / CALLS)
    return found


def measure_and_send(buffer: mmap, worker: int, together: Barrier, to: Connection) -> None:
    """The part of the second process."""
    to.send(measure_ns(buffer, worker, together))


def measure_two_ns() -> dict[str, list[float]]:
    """As `measure_ns`, with two processes on the same records: of each round, the slower one's."""
    context = get_context("fork")  # the anonymous memory is shared with who is forked
    buffer = mmap(-1, State.size_bytes(1, 1, 1, 2))
    together = context.Barrier(2)
    here, there = context.Pipe(duplex=False)
    other = context.Process(target=measure_and_send, args=(buffer, 1, together, there), daemon=True)
    other.start()
    mine = measure_ns(buffer, 0, together)
    others: dict[str, list[float]] = here.recv()
    other.join()
    return {name: [max(pair) for pair in zip(mine[name], others[name], strict=True)] for name in mine}


def measure_recovery_us() -> Spread:
    """Microseconds to recover a worker of a state of 1,000 deployments and 100 budgets."""
    state = State(1000, limits=100, budgets=100, workers=16)
    times = timeit.repeat(lambda: state.recover(3), number=1, repeat=100)
    return Spread.of([seconds * 1e6 for seconds in times])


def main() -> None:
    """Measures and prints."""
    print(Machine.here().text())
    alone = measure_ns(mmap(-1, State.size_bytes(1, 1, 1, 2)), 0, None)
    both = measure_two_ns()
    rows = [[name, Spread.of(alone[name]).text(0), Spread.of(both[name]).text(0)] for name in alone]
    print(table(["nanoseconds", "one process", "two at once"], rows))
    print(f"recover, 1,000 deployments and 100 budgets: {measure_recovery_us().text(0)} us")
    print(f"Bytes of a state of 1,000 deployments, 100 limits, 100 budgets: {State.size_bytes(1000, 100, 100, 16):,}")


if __name__ == "__main__":
    main()

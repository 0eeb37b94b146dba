"""What keeping in step through Redis costs: `python -m tierway_bench.shared_rounds [--redis URL]`.

Replicas in this process, each with a state and its keeper, over a real redis-server (of its own, unless `--redis` names another,
whose keys below `bench:` it writes). Each part has so many deployments, all with breakers, and limits and budgets of which every one
is used in every round.

First, what one round takes, from telling to hearing, and for how much of that the event loop is busy: in a quiet second, in the one of
each second that carries usage, and while half of the breakers are open. Then how old what is heard may be: one replica spends, at a
random moment, while all make their rounds by themselves, and it is taken until another one sees that. Reads are those of the server:
more than one a round means that the calls did not fit into one of its buffers, not that a round waits more than once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from redis.asyncio import Redis

from tierway_bench.places import table_of
from tierway_bench.redis_server import redis_server
from tierway_bench.report import Machine, percentile, table, write_json
from tierway_core import BreakerSpec, BudgetSpec, DeploymentSpec, LimitSpec, State, Table
from tierway_core.grants import new_state
from tierway_server.shared.keeper import Keeper, Timing

FLEETS = (10, 100, 1_000)
SITUATIONS = ("quiet", "usage", "usage, half are open")
LOST_AFTER_S = 2.0
"""Longer than by default: what is slow here is to be measured, not given up."""

_USAGE_NS = 10**9
_PICOUSD = 1_000_000
_SEEN_WITHIN_S = 10.0
_POLL_S = 0.0005


class Clock:
    """Monotonic nanoseconds, which can be put forward."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def __call__(self) -> int:
        """The present moment."""
        return time.monotonic_ns() + self.ahead_ns


class Replica:
    """A state and its keeper."""

    def __init__(self, url: str, namespace: str, shared: Table, sync_s: float) -> None:
        self.table = shared
        self.state: State = new_state(shared)
        self.clock = Clock()
        self.keeper = Keeper(
            url,
            table=shared,
            state=self.state,
            namespace=namespace,
            timing=Timing(sync_s=sync_s, lost_after_s=LOST_AFTER_S),
            lease_share=0.2,
            lost_share=None,
            clock_ns=self.clock,
        )

    def work(self) -> None:
        """Use every deployment, limit and budget once."""
        now_ns = self.clock()
        for index in range(len(self.table.deployments)):
            self.state.observe(index, now_ns, ok=True, tokens=100)
        for limit in range(len(self.table.limits)):
            self.state.take(limit, now_ns)
        for budget in range(len(self.table.budgets)):
            self.spend(budget)

    def spend(self, budget: int) -> bool:
        """Pay a little, if the lease has it."""
        now_ns = self.clock()
        is_granted = self.state.reserve(budget, now_ns, _PICOUSD)
        if is_granted:
            self.state.settle(budget, now_ns, _PICOUSD, _PICOUSD)
        return is_granted

    def left_picousd(self) -> int:
        """What is left of the first budget, of all that is known here."""
        return self.state.remaining_picousd(0, self.clock())

    def break_half(self) -> None:
        """Fail so often at every other deployment that its breaker opens."""
        for index in range(0, len(self.table.deployments), 2):
            self.state.observe(index, self.clock(), ok=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What rounds took, in milliseconds."""

    deployments: int
    situation: str
    median_ms: float
    p99_ms: float
    busy_ms: float
    """Median of what the event loop could do nothing else."""
    reads: float
    """Of the server, for one round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """How long it took until another replica saw what one had spent, in milliseconds."""

    deployments: int
    median_ms: float
    p99_ms: float
    most_ms: float


def table_with(deployments: int, records: int) -> Table:
    """So many deployments, and so many limits and budgets, none of which is ever exhausted."""
    # It opens at the first failure, and not again in the time of a benchmark.
    breaker = BreakerSpec(min_requests=1, error_share=0.0, window_s=1.0, open_s=3_600.0, probes=1)
    places = (
        DeploymentSpec(
            name=f"model@{place}", provider="p", context_tokens=32_768, expected_latency_s=0.2, breaker=breaker
        )
        for place in range(deployments)
    )
    limits = (LimitSpec(name=f"limit-{number}", requests=1e6, period_s=1.0, burst=10**6) for number in range(records))
    budgets = (BudgetSpec(name=f"budget-{number}", limit_picousd=10**15) for number in range(records))
    return table_of(places, limits=tuple(limits), budgets=tuple(budgets))


@contextlib.asynccontextmanager
async def replicas(given: argparse.Namespace, url: str, deployments: int) -> AsyncIterator[list[Replica]]:
    """So many as are asked for, each with its leases."""
    namespace = f"bench:{secrets.token_hex(4)}"
    shared = table_with(deployments, given.records)
    all_ = [Replica(url, namespace, shared, given.sync_s) for _ in range(given.replicas)]
    try:
        for replica in all_:
            while not replica.spend(0):  # the first waits, as nobody knows whether others hold leases yet
                await replica.keeper.round()
                await asyncio.sleep(given.sync_s)
        yield all_
    finally:
        for replica in all_:
            await replica.keeper.leave()


async def measure_rounds(given: argparse.Namespace, url: str, server: Redis, deployments: int) -> list[Rounds]:
    """Rounds of one replica in each situation, the others in step."""
    found = []
    async with replicas(given, url, deployments) as [one, *others]:
        for situation in SITUATIONS:
            if situation.endswith("open"):
                one.break_half()
            for replica in (one, *others):
                await replica.keeper.round()
            took_ms, busy_ms, reads = [], [], 0
            for _ in range(given.rounds):
                for replica in (*others, one):
                    replica.work()
                    replica.clock.ahead_ns += 0 if situation == "quiet" else _USAGE_NS
                for replica in others:
                    await replica.keeper.round()
                read = await _reads(server)
                began_s, busy_s = time.perf_counter(), time.thread_time()
                answered = await one.keeper.round()
                busy_ms.append((time.thread_time() - busy_s) * 1e3)
                took_ms.append((time.perf_counter() - began_s) * 1e3)
                reads += await _reads(server) - read - 1  # which is that of the second question
                assert answered, "Redis did not answer"
            found.append(
                Rounds(
                    deployments=deployments,
                    situation=situation,
                    median_ms=percentile(took_ms, 50),
                    p99_ms=percentile(took_ms, 99),
                    busy_ms=percentile(busy_ms, 50),
                    reads=reads / given.rounds,
                )
            )
    return found


async def _reads(server: Redis) -> int:
    return int((await server.info("stats"))["total_reads_processed"])


async def measure_staleness(given: argparse.Namespace, url: str, deployments: int) -> Staleness:
    """Spends at one replica while all make their rounds, and waits until another one knows."""
    moments = Random(1)
    took_ms = []
    async with replicas(given, url, deployments) as all_:
        one, other = all_[0], all_[-1]
        keeping = [asyncio.create_task(replica.keeper.run()) for replica in all_]
        try:
            for _ in range(given.changes):
                one.work()
                await _until_known(one, other)
                await asyncio.sleep(moments.uniform(0, 1) * given.sync_s)
                began_s = time.perf_counter()
                assert one.spend(0), "there is no lease"
                await _until_known(one, other)
                took_ms.append((time.perf_counter() - began_s) * 1e3)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
    return Staleness(
        deployments=deployments,
        median_ms=percentile(took_ms, 50),
        p99_ms=percentile(took_ms, 99),
        most_ms=max(took_ms),
    )


async def _until_known(spender: Replica, other: Replica) -> None:
    async with asyncio.timeout(_SEEN_WITHIN_S):
        while other.left_picousd() != spender.left_picousd():  # noqa: ASYNC110  # of two states, which tell nobody
            await asyncio.sleep(_POLL_S)


@contextlib.contextmanager
def redis_at(url: str | None) -> Iterator[str]:
    """The one that was named, or one of our own."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as own:
        yield own


async def measure(given: argparse.Namespace, url: str) -> tuple[list[Rounds], list[Staleness]]:
    """All figures, by fleet."""
    rounds, staleness = [], []
    async with Redis.from_url(url) as server:
        for deployments in given.deployments:
            rounds += await measure_rounds(given, url, server, deployments)
            staleness.append(await measure_staleness(given, url, deployments))
    return rounds, staleness


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What keeping in step through Redis costs.")
    parser.add_argument(
        "--redis", metavar="URL", help="of a server to measure (default: one of our own, on a Unix socket)"
    )
    parser.add_argument("--deployments", type=int, nargs="+", default=FLEETS, help="fleets (default: 10 100 1000)")
    parser.add_argument("--records", type=int, default=10, help="limits, and budgets, so many of each (default: 10)")
    parser.add_argument("--replicas", type=int, default=4, help="that keep in step, 2 or more (default: 4)")
    parser.add_argument("--rounds", type=int, default=200, help="that are measured in each situation (default: 200)")
    parser.add_argument("--changes", type=int, default=50, help="whose way to another is measured (default: 50)")
    parser.add_argument("--sync-s", type=float, default=0.1, help="from one round to the next (default: 0.1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text())
    print(f"{given.replicas} replicas, {given.records} limits, {given.records} budgets\n")
    with redis_at(given.redis) as url:
        rounds, staleness = asyncio.run(measure(given, url))
    header = ["deployments", "situation", "round P50, ms", "P99, ms", "loop busy, ms", "reads"]
    rows = [
        [f"{each.deployments:,}", each.situation, *_ms(each.median_ms, each.p99_ms, each.busy_ms), f"{each.reads:.1f}"]
        for each in rounds
    ]
    print(table(header, rows))
    print(f"\nHow long until another knows, with a round every {given.sync_s:g} s:\n")
    header = ["deployments", "P50, ms", "P99, ms", "most, ms"]
    rows = [[f"{each.deployments:,}", *_ms(each.median_ms, each.p99_ms, each.most_ms)] for each in staleness]
    print(table(header, rows))
    figures = {"rounds": [asdict(each) for each in rounds], "staleness": [asdict(each) for each in staleness]}
    write_json(given.json, machine, sys.argv, figures)


def _ms(*values: float) -> list[str]:
    return [f"{value:.2f}" for value in values]


if __name__ == "__main__":
    main()

"""Replicas for tests: a state and its keeper each, of one table."""

import asyncio
import time
from contextlib import asynccontextmanager

from tests.core.fleets import make_deployment, make_model, make_table
from tierway_core import BreakerSpec, BudgetSpec, LimitSpec, Table
from tierway_core.grants import new_state
from tierway_server.shared.keeper import Keeper, Timing

USD = 10**12
BUDGET, LIMIT, DEPLOYMENT = 0, 0, 0
PROVIDER_LIMIT = 1
SECOND_NS = 10**9


def table(*, limit_picousd: int = USD, period_s: float = 0.0, requests: float = 10.0, burst: int = 10) -> Table:
    breaker = BreakerSpec(min_requests=2, error_share=0.5, window_s=10, open_s=0.5, probes=1)
    return make_table(
        make_model("m", 1, deployments=(make_deployment("m@p", breaker=breaker),)),
        limits=(
            LimitSpec(name="l", requests=requests, period_s=1.0, burst=burst),
            LimitSpec(name="provider:p", requests=1e9, period_s=1.0, burst=10**9, provider="p"),
        ),
        budgets=(BudgetSpec(name="b", limit_picousd=limit_picousd, period_s=period_s),),
    )


class Replica:
    """What one process has: its state, and the keeper that shares it.

    It waits a second for the others by default: what tests say of several replicas must hold on a busy machine.
    """

    def __init__(
        self, url: str, table: Table, *, sync_s=0.01, lost_after_s=1.0, lease_share=0.2, lost_share=None
    ) -> None:
        self.state = new_state(table)
        self.keeper = Keeper(
            url, table=table, state=self.state, namespace="test", timing=Timing(sync_s=sync_s, lost_after_s=lost_after_s),
            lease_share=lease_share, lost_share=lost_share,
        )  # fmt: skip

    @property
    def now_ns(self) -> int:
        return time.monotonic_ns()

    @property
    def heard_ns(self) -> int:
        """When it last heard of the others. What it then knew holds at this moment, however long ago it is."""
        return self.keeper._heard_ns

    async def answered_round(self) -> None:
        """Returns after a round that came through: on a busy machine, one may take longer than a replica waits for it."""
        async with asyncio.timeout(10):
            while not await self.keeper.round():
                pass

    def spend(self, picousd: int) -> bool:
        """Reserves and settles, whole or not at all."""
        granted = self.state.reserve(BUDGET, self.now_ns, picousd)
        if granted:
            self.state.settle(BUDGET, self.now_ns, picousd, picousd)
        return granted

    @property
    def holds_lease(self) -> bool:
        """Whether anything can be reserved, or nothing is left to lease."""
        if self.remaining_picousd <= 0:
            return True
        granted = self.state.reserve(BUDGET, self.now_ns, 1)
        if granted:
            self.state.settle(BUDGET, self.now_ns, 1, 0)
        return granted

    @property
    def remaining_picousd(self) -> int:
        return self.state.remaining_picousd(BUDGET, self.now_ns)


def fail(replica: Replica) -> None:
    """So often that the deployment's breaker opens."""
    for _ in range(3):
        replica.state.observe(DEPLOYMENT, replica.now_ns, ok=False)


@asynccontextmanager
async def replicas(url: str, table: Table, count: int, **settings):
    """So many replicas, each with its lease of what they share."""
    all_ = [Replica(url, table, **settings) for _ in range(count)]
    try:
        yield all_
    finally:
        for replica in all_:
            await replica.keeper.leave()

"""Hedging: a second deployment is asked too, because the first is slower to begin than it nearly always is; whoever begins first answers.

Both are paid for. So it is done for a small share of all requests only, and never for those with tools (what a model calls may be called
already) or a cost ceiling (which two would break together).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tierway_server.backends.base import Chunk
from tierway_server.config import HedgingConfig
from tierway_server.errors import TierwayError
from tierway_server.flow.allowance import Allowance
from tierway_server.flow.first_token_times import FirstTokenTimes
from tierway_server.flow.job import Job
from tierway_server.flow.runs import Run
from tierway_server.telemetry.metrics import Metrics

_BURST = 5.0
"""Hedges that may come at once, after many requests without one."""


class Hedges:
    """When a second deployment is asked. Of this process alone; lives on the event loop."""

    def __init__(
        self, config: HedgingConfig, deployments: int, metrics: Metrics, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._allowance = Allowance(config.max_share, most=_BURST, clock=clock)
        self._times = [FirstTokenTimes() for _ in range(deployments)]

    def came(self) -> None:
        """Count a request: it adds to what all may hedge."""
        self._allowance.came()

    def began(self, run: Run) -> None:
        """Learn how long a deployment took to its first token."""
        if run.tried is not None:
            self._times[run.deployment.index].observe(run.tried.first_token_s - run.tried.began_s)

    def outran(self, run: Run, seconds: float) -> None:
        """Learn how long one had taken that was outrun: at least so long, or the slow would not be known of."""
        self._times[run.deployment.index].observe(seconds)

    def patience_s(self, job: Job, index: int) -> float | None:
        """How long to wait for a deployment alone; None: until it comes."""
        wanted = self._config.enabled if job.hedges is None else job.hedges
        if not wanted or job.tools is not None or job.max_cost_picousd is not None:
            return None
        return self._times[index].quantile_s(self._config.quantile)

    def take(self) -> bool:
        """Whether a second deployment may be asked now; if so, it counts as asked."""
        return self._allowance.take()

    def sent(self, rival: Run) -> None:
        """Count a second deployment that was asked."""
        self._metrics.hedged(rival.deployment.spec.name, "sent")

    def won(self, rival: Run) -> None:
        """Count one that was faster."""
        self._metrics.hedged(rival.deployment.spec.name, "won")


class Race:
    """One run, or two of which the first to begin answers. Closing it ends both at once."""

    def __init__(self, run: Run) -> None:
        self.leader = run
        """Who answers; or who failed last."""
        self.rival: Run | None = None
        """Who was asked besides, and admitted."""
        self.lost: list[tuple[Run, TierwayError | None]] = []
        """Who does not answer, and how it failed; None: it was outrun."""
        self._runs = [run]

    async def aclose(self) -> None:
        """End whoever runs, and both at once."""
        if len(self._runs) == 1:
            await self.leader.aclose()
        else:
            await asyncio.gather(*(run.aclose() for run in self._runs))

    async def first(self, hedges: Hedges, patience_s: float | None, rival: Callable[[], Run]) -> Chunk:
        """The first chunk, of whoever is first.

        Args:
            hedges: says whether a rival may be asked.
            patience_s: how long to wait for the leader alone; None: until it comes.
            rival: makes the run of the second deployment.

        Raises:
            TierwayError: the leader failed, and a rival, where there is one, before it.

        """
        if patience_s is not None:
            await asyncio.wait((self.leader.first(),), timeout=patience_s)
            if not self.leader.first().done() and hedges.take():
                return await self._first_of_two(hedges, rival())
        return await self.leader.first()

    async def _first_of_two(self, hedges: Hedges, rival: Run) -> Chunk:
        self._runs.append(rival)
        under_way = [self.leader, rival]
        while True:
            await asyncio.wait([run.first() for run in under_way], return_when=asyncio.FIRST_COMPLETED)
            if self.rival is None and rival.tried is not None:
                self.rival = rival
                hedges.sent(rival)
            # The first choice, where both come at once.
            run = next(run for run in under_way if run.first().done())
            under_way.remove(run)
            failure = run.first().exception()
            if failure is None:
                for other in under_way:
                    await self._give_up(hedges, other)
                if run is rival:
                    hedges.won(rival)
                self.leader = run
                return run.first().result()
            if not isinstance(failure, TierwayError):
                raise failure
            # What the first choice says for everybody is not gone around because somebody else has been asked already.
            if not under_way or (run is not rival and not failure.can_fall_back):
                for other in under_way:
                    await self._give_up(hedges, other)
                self.leader = run
                raise failure
            if run.tried is not None:  # a rival that was not admitted was never asked
                self.lost.append((run, failure))

    async def _give_up(self, hedges: Hedges, run: Run) -> None:
        if run.tried is not None:
            failure = run.failed
            if failure is None:
                seconds = run.tried.outrun()
                # The time that a rival had says nothing of it: it began when the other was nearly there.
                if run is self._runs[0]:
                    hedges.outran(run, seconds)
            self.lost.append((run, failure))
        await run.give_up()

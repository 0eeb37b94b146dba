"""The way of one answer: along the chain until a deployment has answered to the end, every slot released, every try accounted for.

One owner a step: `admission` owns what a try takes and gives back, `runs` one try, `hedging` two at once, `retries` whether the same is
asked again, `takeover` what the caller has been given, `walk` who was tried and who follows, `account` what all of it costs; this module
the order of it all. The rules: docs/answers.md.
Cancellation arrives at the innermost `await` and runs back through the `finally` of each.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from tierway_core import Table
from tierway_server.backends.base import Chunk
from tierway_server.errors import StreamBrokenError, TierwayError
from tierway_server.flow.admission import Admission
from tierway_server.flow.drain import Drain, refusal
from tierway_server.flow.events import Delta, Event, Outcome
from tierway_server.flow.failures import is_models_fault
from tierway_server.flow.hedging import Hedges, Race
from tierway_server.flow.job import Job
from tierway_server.flow.retries import Retries
from tierway_server.flow.runs import Run
from tierway_server.flow.schemas import Schemas
from tierway_server.flow.walk import Walk
from tierway_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

_SHARE = 0.5
"""Of the time that is left, what a try may take to its first token while others follow; they have the rest."""


class Answerer:
    """Gets answers. Lives on the event loop."""

    def __init__(
        self,
        table: Table,
        admission: Admission,
        metrics: Metrics,
        retries: Retries,
        hedges: Hedges,
        drain: Drain,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._table = table
        self._admission = admission
        self._metrics = metrics
        self._retries = retries
        self._hedges = hedges
        self._drain = drain
        self._clock = clock
        self._schemas = Schemas()

    async def answer(self, job: Job) -> AsyncGenerator[Event, None]:
        """The events of the answer. Closing the generator, or cancelling its task, stops every generation and frees its slot.

        `Started` comes when a deployment has admitted the request: what fails before it has begun nothing, and may be tried again.

        Raises:
            TierwayError: no deployment of the chain answered, or one failed after its first token and no other went on.

        """
        self._retries.came()
        self._hedges.came()
        walk = Walk(job)
        while True:
            race = Race(self._run(walk, 0))
            try:
                async with aclosing(race):
                    await race.leader.begin()
                    walk.has_started = True
                    for event in walk.news():
                        yield event
                    first = walk.transcript.passed(await self._first(walk, race))
                    for event in walk.news():
                        yield event
                    if first is not None:
                        yield Delta(first)
                    async for chunk in race.leader.chunks:
                        if (given := walk.transcript.passed(chunk)) is not None:
                            yield Delta(given)
            except TierwayError as failure:
                if not walk.is_complete:
                    wait_s = self._goes_on(walk, race.leader, failure)
                    for event in walk.news():
                        yield event
                    await asyncio.sleep(wait_s)
                    continue
            walk.tried(race.leader, Outcome.ANSWERED)
            self._metrics.try_answered(race.leader.deployment.spec.name)
            schema = walk.unchecked_schema
            if schema is not None and not await self._schemas.fits(walk.transcript.text, schema):
                raise StreamBrokenError(
                    "what others added to the answer that broke off does not make of it the JSON that was asked for"
                )
            yield walk.finished(self._clock(), self._metrics)
            return

    def _run(self, walk: Walk, place: int) -> Run:
        """A try at who is so far ahead."""
        index = walk.ahead[place]
        return Run(
            self._admission,
            walk.job,
            self._table.deployments[index],
            walk.generation(self._table, index),
            patience_share=_SHARE if place + 1 < len(walk.ahead) else None,
            waits=place == 0,  # a rival that has to wait is of no use
        )

    async def _first(self, walk: Walk, race: Race) -> Chunk:
        """The first chunk, of the run that leads from then on; the first choice may have a rival."""
        alone_s = None
        if walk.is_at_first_choice and len(walk.ahead) > 1:
            alone_s = self._hedges.patience_s(walk.job, walk.ahead[0])
        try:
            chunk = await race.first(self._hedges, alone_s, lambda: self._run(walk, 1))
        finally:
            for run, failure in race.lost:
                self._lost(walk, run, failure)
        leader = race.leader
        walk.began(leader, self._clock())
        self._hedges.began(leader)
        return chunk

    def _lost(self, walk: Walk, run: Run, failure: TierwayError | None) -> None:
        """Account for one of two that does not answer. Who was only slower may still take over later."""
        if failure is None:
            walk.tried(run, Outcome.OUTRUN)
            self._metrics.try_outrun(run.deployment.spec.name)
        else:
            walk.tried(run, Outcome.FELL_BACK, failure)
            walk.leave(run)
            self._count_failure(run, failure)
            self._count_next(walk, run, failure)

    def _goes_on(self, walk: Walk, run: Run, failure: TierwayError) -> float:
        """Account for a try that failed. How long to wait before the next one, in seconds.

        Raises:
            TierwayError: what the caller sees, where there is no next one.

        """
        self._count_failure(run, failure)
        if run.has_begun:
            walk.broke_off(run, failure)
            may_go_on = walk.job.allow_takeover and isinstance(failure, StreamBrokenError)
        else:
            walk.tried(run, Outcome.FELL_BACK, failure)
            may_go_on = walk.refused is None
        if may_go_on and not self._drain.is_draining:
            left_s = walk.job.give_up_s - self._clock()
            wait = self._retries.wait(
                failure, run.deployment.spec.name, walk.waits, left_s, others_follow=len(walk.ahead) > 1
            )
            if wait is not None:
                walk.waits += (wait,)
                return wait.whole_s
        walk.leave(run)
        if not may_go_on or not walk.ahead:
            raise walk.failure(failure) from None
        if self._drain.is_draining:
            raise walk.failure(refusal()) from None
        self._count_next(walk, run, failure)
        return 0.0

    def _count_next(self, walk: Walk, run: Run, failure: TierwayError) -> None:
        """Another deployment follows."""
        model = run.deployment.model.name
        if not run.has_begun:
            self._metrics.fell_back(model, failure.reason)
            return
        self._metrics.taken_over(model, failure.reason)
        logger.info(
            "taken over",
            extra={
                "decision_id": walk.job.id,
                "deployment": run.deployment.spec.name,
                "by": self._table.deployments[walk.ahead[0]].spec.name,
                "text_characters": walk.transcript.characters,
            },
        )

    def _count_failure(self, run: Run, failure: TierwayError) -> None:
        self._metrics.try_failed(
            run.deployment.model.name,
            run.deployment.spec.name,
            failure.reason,
            is_models_fault=is_models_fault(failure),
        )

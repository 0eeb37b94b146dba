"""The way of one answer: along the chain until a deployment answers, every slot released, every try accounted for.

One owner per step: `admission` owns what a try takes and gives back, this module the chain and the account; the backend owns the
generation. Cancellation arrives at the innermost `await` and runs back through the `finally` of each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tierway_core import Decision, Table
from tierway_core.specs import ModelSpec
from tierway_server.backends.base import Chunk, CostCeiling, Generation, Message, Sampling, Tools
from tierway_server.errors import (
    BudgetExhaustedError,
    InternalError,
    InvalidRequestError,
    RateLimitedError,
    TierwayError,
    UnsatisfiableError,
)
from tierway_server.flow.admission import Admission
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Outcome, Started, Timings, Tried
from tierway_server.flow.priority import Priority
from tierway_server.flow.tries import price_picousd
from tierway_server.telemetry.metrics import Metrics

# Failures that say nothing of the model.
_NOT_THE_MODELS = (InvalidRequestError, UnsatisfiableError, RateLimitedError, BudgetExhaustedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One decided request."""

    id: str
    """The decision's id; names the generations at the engines."""
    decision: Decision
    messages: tuple[Message, ...]
    prefix_keys: tuple[int, ...]
    """What stands for the beginnings that this conversation has in common with others, now and at its next turn."""
    sampling: Sampling
    max_tokens: int
    max_cost_picousd: int | None
    json_schema: Mapping[str, Any] | None
    arrived_s: float
    """When the request arrived, on the server's clock."""
    give_up_s: float
    """When its time is over, on the server's clock."""
    decided_s: float
    """When the decision had been taken, on the server's clock."""
    tools: Tools | None = None
    """What the model may call."""
    allow_takeover: bool = True
    """Whether another deployment may go on where one broke off."""
    hedges: bool | None = None
    """Whether a second deployment may be asked at the same time; None: as configured."""
    escalates: bool | None = None
    """Whether a weak answer may be asked again one tier up; None: as configured."""
    max_cache_age_s: float | None = None
    """How old a kept answer may be; 0: it is neither looked up nor kept; None: as configured."""
    priority: Priority = Priority.NORMAL


class Answerer:
    """Gets answers. Lives on the event loop."""

    def __init__(
        self,
        table: Table,
        admission: Admission,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._table = table
        self._admission = admission
        self._metrics = metrics
        self._clock = clock

    async def answer(self, job: Job) -> AsyncGenerator[Event, None]:
        """The events of the answer. Closing the generator, or cancelling its task, stops the generation and frees its slot.

        `Started` comes when a deployment has admitted the request: what fails before it has begun nothing, and may be tried again.

        Raises:
            TierwayError: no deployment of the chain answered, or one failed after its first token.

        """
        chain = (job.decision.deployment, *job.decision.fallback)
        failures: list[Attempt] = []
        is_announced = False
        for index in chain:
            deployment = self._table.deployments[index]
            attempt = Attempt(deployment.model.name, deployment.spec.name)
            first_token_s = 0.0
            try:
                with self._admission.admitted(index, job.decision, job.give_up_s, job.prefix_keys) as tried:
                    chunks = tried.backend.generate(self._generation(job, index, len(failures)))
                    async with _begun(chunks) as first:
                        if not is_announced:
                            is_announced = True
                            yield Started(job.decision)
                            for failed in failures:
                                yield Tried(failed)
                        last, chunk = None, await first
                        first_token_s = self._clock()
                        while chunk is not None:
                            tried.came(chunk)
                            yield Delta(chunk)
                            last, chunk = chunk, await anext(chunks, None)
                self._metrics.try_answered(attempt.deployment)
                yield self._settle(job, deployment.model, last, first_token_s, (*failures, attempt))
                return
            except TierwayError as failure:
                is_models_fault = not isinstance(failure, _NOT_THE_MODELS)
                self._metrics.try_failed(
                    attempt.model, attempt.deployment, failure.reason, is_models_fault=is_models_fault
                )
                if first_token_s or not failure.can_fall_back or index == chain[-1]:
                    raise
                failures.append(Attempt(attempt.model, attempt.deployment, Outcome.FELL_BACK, failure.reason))
                self._metrics.fell_back(attempt.model, failure.reason)
                if is_announced:
                    yield Tried(failures[-1])

    def _generation(self, job: Job, index: int, tries: int) -> Generation:
        model = self._table.deployments[index].model
        ceiling = None
        if job.max_cost_picousd is not None:
            ceiling = CostCeiling(
                max_picousd=job.max_cost_picousd, input_picousd=model.input_picousd, output_picousd=model.output_picousd
            )
        return Generation(
            id=f"{job.id}-{tries}" if tries else job.id,
            messages=job.messages,
            sampling=job.sampling,
            max_tokens=job.max_tokens,
            cost_ceiling=ceiling,
            json_schema=job.json_schema,
            tools=job.tools,
        )

    def _settle(
        self, job: Job, model: ModelSpec, last: Chunk | None, first_token_s: float, attempts: tuple[Attempt, ...]
    ) -> Finished:
        if last is None or last.usage is None or last.finish_reason is None:
            raise InternalError("the answer ended without its account")
        now_s = self._clock()
        timings = Timings(job.decided_s - job.arrived_s, first_token_s - job.arrived_s, now_s - job.arrived_s)
        usage = last.usage
        cost_picousd = price_picousd(model, usage)
        self._metrics.answered(
            model.name,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            cost_picousd=cost_picousd,
        )
        later_tokens = usage.output_tokens - 1
        self._metrics.paced(
            model.name, timings.first_token_s, (now_s - first_token_s) / later_tokens if later_tokens > 0 else None
        )
        return Finished(usage, cost_picousd, timings, last.finish_reason, attempts)


@asynccontextmanager
async def _begun(chunks: AsyncGenerator[Chunk, None]) -> AsyncIterator[asyncio.Task[Chunk | None]]:
    """The first chunk, on its way: the engine works already while the caller is told that it does. Closes `chunks` in the end."""

    async def first_of() -> Chunk | None:
        return await anext(chunks, None)

    first = asyncio.create_task(first_of())
    try:
        await asyncio.sleep(0)  # the engine has the request before the caller is told
        yield first
    finally:
        if not first.done():
            first.cancel()
            await asyncio.wait((first,))
        if not first.cancelled():
            first.exception()  # seen, even if the caller left before it asked
        await chunks.aclose()

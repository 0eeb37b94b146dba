"""Escalation: an answer that seems weak is asked again one tier up, once a request at most.

A layer above the walk, with the same seam. Of a stream it holds back the first tokens until it has judged them; of an answer that nobody
reads along it judges the whole. A weak one is told of as an attempt, and what follows is the answer of a second decision on the same
request, with a higher lowest tier and what is left of its time and money. Where that finds nobody, the weak answer is shown. See
docs/escalation.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol

from tierway_core import Decision, Request, Table
from tierway_server.backends.base import Chunk, FinishReason
from tierway_server.config import EscalationConfig
from tierway_server.errors import TierwayError
from tierway_server.flow.allowance import Allowance
from tierway_server.flow.confidence import Impression, Verdict
from tierway_server.flow.decide import Decider
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Outcome, Started, Tried
from tierway_server.flow.job import Job
from tierway_server.flow.weak_alarm import WeakAlarm
from tierway_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

_BURST = 5.0
"""Escalations that may come at once, after many requests without one."""

REQUEST_FIELDS = tuple(name for name in dir(Request) if not name.startswith("_"))
"""What a request of the core states."""


class Answering(Protocol):
    """What gets answers: the seam between the layers of the flow."""

    def answer(self, job: Job) -> AsyncGenerator[Event, None]:
        """The events of one answer; closing the generator gives back whatever it holds."""


@dataclass(slots=True)
class _Answer:
    """One answer under way."""

    job: Job
    is_held: bool
    """Whether the caller has seen nothing of it and may never."""
    impression: Impression
    held: list[Event] = field(default_factory=list)
    finished: Finished | None = None
    """Its end, where it came."""

    def verdict(self) -> Verdict | None:
        """How sure it seems. What a provider's filter ended is not weak: another's answer would go around that."""
        if self.finished is not None and self.finished.finish_reason is FinishReason.CONTENT_FILTER:
            return None
        return self.impression.verdict(
            self.job.decision.base, is_whole=self.finished is not None, is_free=self.job.json_schema is None
        )


class Escalating:
    """Gets answers, and better ones for weak ones. Lives on the event loop."""

    def __init__(
        self,
        below: Answering,
        decider: Decider,
        table: Table,
        config: EscalationConfig,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._below = below
        self._decider = decider
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._top_tier = max(deployment.model.tier for deployment in table.deployments)
        self._allowance = Allowance(config.max_share, most=_BURST, clock=clock)
        self._alarm = WeakAlarm(config.alert_share, metrics, clock)

    async def answer(self, job: Job) -> AsyncGenerator[Event, None]:
        """The events of the answer.

        Raises:
            TierwayError: as the layer below.

        """
        self._allowance.came()
        first = _Answer(job, self._may_escalate(job), Impression(self._config.prior))
        second: Job | None = None
        async with aclosing(self._below.answer(replace(job, is_judged=first.is_held))) as events:
            async for event in events:
                if isinstance(event, Tried):
                    # Its time and money went into finding somebody who answers at all.
                    for held in _released(first):
                        yield held
                shown = self._taken_in(first, event)
                if not first.is_held or isinstance(event, Started):
                    yield shown
                    continue
                first.held.append(shown)
                if self._is_time(first):
                    second = self._second(first)
                    if second is not None:
                        break
                    for held in _released(first):
                        yield held
        if second is not None:
            async with aclosing(self._escalated(first, second)) as better:
                async for event in better:
                    yield event

    def _may_escalate(self, job: Job) -> bool:
        decision = job.decision
        return (
            job.escalates is not False
            and job.tools is None
            and not decision.request.force_model
            and decision.pin <= 1
            and decision.tier < min(self._top_tier, decision.request.max_tier)
        )

    def _taken_in(self, answer: _Answer, event: Event) -> Event:
        """What the caller sees of an event, once the answer's account has it."""
        match event:
            case Delta(chunk):
                answer.impression.came(chunk)
                return _shown(answer.job, event)
            case Finished():
                answer.finished = event
                verdict = answer.verdict()
                if verdict is None:
                    return event
                self._metrics.confidence(event.attempts[-1].model, verdict.confidence)
                answer.finished = replace(event, confidence=verdict.confidence)
                return answer.finished
            case _:
                return event

    def _is_time(self, first: _Answer) -> bool:
        """Whether as much has come as is judged."""
        if first.finished is not None:
            return True
        return first.job.streams and first.impression.tokens >= self._config.look_ahead_tokens

    def _second(self, first: _Answer) -> Job | None:
        """The request once more, one tier up; None where the first answer is good enough, or must be."""
        job, verdict = first.job, first.verdict()
        tier = job.decision.tier
        is_weak = verdict is not None and verdict.confidence < self._config.threshold
        self._metrics.judged(tier, is_weak=is_weak)
        self._alarm.judged(is_weak=is_weak)
        if verdict is None or not is_weak:
            return None
        decision = self._decider.reconsider(self._raised(job))
        if decision is None:
            self._metrics.not_escalated(tier, "nobody")
            return None
        if not self._allowance.take():
            self._metrics.not_escalated(tier, "share")
            return None
        self._metrics.escalated(tier, verdict.sign)
        logger.info(
            "escalated",
            extra={
                "decision_id": job.id,
                "deployment": _deployment(job.decision),
                "by": _deployment(decision),
                "sign": verdict.sign.value,
                "confidence": round(verdict.confidence, 3),
            },
        )
        return replace(job, id=f"{job.id}-up", decision=decision, is_judged=True)

    def _raised(self, job: Job) -> Request:
        """What the second decision reads: the same, with a higher lowest tier, and what is left of time and money."""
        request, now_s = job.decision.request, self._clock()
        stated = {name: getattr(request, name) for name in REQUEST_FIELDS}
        stated |= {"min_tier": job.decision.tier + 1, "deadline_s": max(0.0, job.give_up_s - now_s)}
        # The caller waits for its first character still.
        stated["latency_budget_s"] = max(0.0, request.latency_budget_s - (now_s - job.arrived_s))
        if (left_picousd := job.left_picousd) is not None:
            stated["max_cost_picousd"] = left_picousd
        return Request(stated.pop("text"), **stated)

    async def _escalated(self, first: _Answer, job: Job) -> AsyncGenerator[Event, None]:
        """The second answer, or where nothing comes of it, the first one after all."""
        attempts = [_ended(first.job, Outcome.ESCALATED, ())]
        yield Tried(attempts[0])
        second = _Answer(job, False, Impression(self._config.prior))
        try:
            async with aclosing(self._below.answer(job)) as events:
                async for event in events:
                    shown = self._taken_in(second, event)
                    match shown:
                        case Started():
                            pass
                        case Finished():
                            yield replace(shown, attempts=(attempts[0], *shown.attempts))
                        case _:
                            if isinstance(shown, Tried):
                                attempts.append(shown.attempt)
                            yield shown
            return
        except TierwayError as failure:
            if second.impression.has_begun:
                raise
            attempts.append(_ended(job, Outcome.FELL_BACK, attempts, failure.reason))
        yield Tried(attempts[-1])
        async with aclosing(self._after_all(first, attempts)) as after_all:
            async for event in after_all:
                yield event

    async def _after_all(self, first: _Answer, attempts: list[Attempt]) -> AsyncGenerator[Event, None]:
        """The first answer, although it seemed weak: the one that is there, or that which was stopped, from its beginning."""
        if first.finished is not None:
            for event in first.held[:-1]:
                yield event
            yield replace(
                first.finished,
                usage=first.job.account.usage,
                cost_picousd=first.job.account.cost_picousd,
                timings=replace(first.finished.timings, total_s=self._clock() - first.job.arrived_s),
                attempts=(*attempts, replace(first.finished.attempts[-1], cost_picousd=0)),
            )
            return
        again = replace(first.job, id=f"{first.job.id}-again")
        last = _Answer(again, False, Impression(self._config.prior))
        async with aclosing(self._below.answer(again)) as events:
            async for event in events:
                shown = self._taken_in(last, event)
                if isinstance(shown, Finished):
                    yield replace(shown, attempts=(*attempts, *shown.attempts))
                elif not isinstance(shown, Started):
                    yield shown


def _released(first: _Answer) -> list[Event]:
    """What was held back of the first answer, which is the caller's from now on."""
    held, first.held, first.is_held = first.held, [], False
    return held


def _shown(job: Job, delta: Delta) -> Delta:
    """What the caller sees of a delta: log-probabilities only if it asked for them."""
    chunk: Chunk = delta.chunk
    return Delta(replace(chunk, logprobs=())) if chunk.logprobs and job.sampling.top_logprobs is None else delta


def _ended(job: Job, outcome: Outcome, earlier: Sequence[Attempt], reason: str = "") -> Attempt:
    """How an answer ended that the caller does not get: at the cost of all that was not told of yet."""
    told_picousd = sum(attempt.cost_picousd for attempt in earlier)
    cost_picousd = job.account.cost_picousd - told_picousd
    return Attempt(job.decision.model.name, _deployment(job.decision), outcome, reason, cost_picousd=cost_picousd)


def _deployment(decision: Decision) -> str:
    return decision.table.deployments[decision.deployment].spec.name

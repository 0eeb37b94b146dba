"""Where one answer stands on its way along the chain: who was tried, what the caller has been given, who follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tierway_core import Deployment, Feature, Table
from tierway_server.backends.base import CostCeiling, FinishReason, Generation, Sampling
from tierway_server.errors import TierwayError
from tierway_server.flow.events import Attempt, Event, Finished, Outcome, Started, Timings, Tried
from tierway_server.flow.failures import most_useful
from tierway_server.flow.job import Job
from tierway_server.flow.retries import Wait
from tierway_server.flow.runs import Run
from tierway_server.flow.takeover import Transcript
from tierway_server.telemetry.metrics import Metrics


class Walk:
    """One answer under way."""

    __slots__ = (
        "_attempts",
        "_failures",
        "_first_model",
        "_runs",
        "_told",
        "ahead",
        "broken",
        "first_token_s",
        "has_started",
        "job",
        "refused",
        "transcript",
        "waits",
    )

    def __init__(self, job: Job) -> None:
        self.job = job
        self.ahead = [job.decision.deployment, *job.decision.fallback]
        """Who has not been tried, in order."""
        self.waits: tuple[Wait, ...] = ()
        """The waits before the tries at the deployment that is tried now."""
        self.has_started = False
        """Whether somebody was admitted."""
        self.transcript = Transcript(job.sampling.stop)
        self.broken: TierwayError | None = None
        """Why the answer broke off after its first token, lately; None: it did not."""
        self.refused: TierwayError | None = None
        """A failure that is everybody's, or that nobody else should go around; None: there was none."""
        self.first_token_s = 0.0
        """When the answer began, on the server's clock; 0: not yet."""
        self._first_model = ""
        self._runs = 0
        self._attempts: list[Attempt] = []
        self._told = 0  # one more than the attempts, once it was told that it has started
        self._failures: list[TierwayError] = []

    @property
    def is_at_first_choice(self) -> bool:
        """Whether nobody has been tried."""
        return not self._attempts

    @property
    def is_complete(self) -> bool:
        """Whether the caller has the end of the answer, or as many tokens as it asked for."""
        return self.transcript.finish_reason is not None or self.transcript.tokens >= self.job.max_tokens

    @property
    def unchecked_schema(self) -> Mapping[str, Any] | None:
        """What nobody has held the whole text to, for several wrote it; None: nothing."""
        return self.job.json_schema if self.broken is not None else None

    def generation(self, table: Table, index: int) -> Generation:
        """What to ask a deployment for: the answer, or the rest of it."""
        job, model, given = self.job, table.deployments[index].model, self.transcript
        ceiling = None
        if (left_picousd := job.left_picousd) is not None:
            ceiling = CostCeiling(
                max_picousd=left_picousd,
                input_picousd=model.input_picousd,
                output_picousd=model.output_picousd,
            )
        self._runs += 1
        return Generation(
            id=f"{job.id}-{self._runs - 1}" if self._runs > 1 else job.id,
            messages=job.messages,
            sampling=self._sampling(table.deployments[index]),
            max_tokens=job.max_tokens - given.tokens,
            cost_ceiling=ceiling,
            # Engines hold a text to a schema from its beginning only: the rest of one is not held to it, but checked at the end.
            json_schema=None if given.characters else job.json_schema,
            tools=job.tools,
            answered=given.text,
        )

    def _sampling(self, deployment: Deployment) -> Sampling:
        sampling, model = self.job.sampling, deployment.model
        if not self.job.is_judged or sampling.top_logprobs is not None:
            return sampling
        gives_logprobs = model.logprobs and not deployment.spec.lacks & Feature.LOGPROBS
        return replace(sampling, top_logprobs=0) if gives_logprobs else sampling

    def tried(self, run: Run, outcome: Outcome, failure: TierwayError | None = None) -> None:
        """Account for a try that is over."""
        model, name = run.deployment.model.name, run.deployment.spec.name
        cost_picousd = 0 if run.tried is None else run.tried.cost_picousd
        reason = failure.reason if failure else ""
        self._attempts.append(Attempt(model, name, outcome, reason, self.transcript.characters, cost_picousd))
        if failure is not None:
            self._failures.append(failure)
            if outcome is Outcome.FELL_BACK and not failure.can_fall_back:
                self.refused = failure

    def broke_off(self, run: Run, failure: TierwayError) -> None:
        """Account for a try that failed in the middle."""
        self.transcript.cut()
        self.broken = failure
        self.tried(run, Outcome.BROKE_OFF, failure)

    def leave(self, run: Run) -> None:
        """Go on without a deployment."""
        self.ahead.remove(run.deployment.index)
        self.waits = ()

    def news(self) -> Sequence[Event]:
        """What the caller has not been told of the way: nothing before somebody was admitted."""
        if not self.has_started or self._told > len(self._attempts):
            return ()
        untold: list[Event] = [Tried(attempt) for attempt in self._attempts[max(0, self._told - 1) :]]
        if self._told == 0:
            untold.insert(0, Started(self.job.decision))
        self._told = 1 + len(self._attempts)
        return untold

    def failure(self, latest: TierwayError) -> TierwayError:
        """What the caller sees when nobody follows.

        Of a text that broke off, that it did: nothing else may say that trying again is safe. Else the failure that ended the walk, or
        when the chain is at its end, the most useful of all.
        """
        if self.broken is not None:
            return self.broken
        if self.refused is not None:
            return self.refused
        return most_useful(self._failures) if latest.can_fall_back else latest

    def began(self, run: Run, now_s: float) -> None:
        """The first token of a run came."""
        if not self.first_token_s:
            self.first_token_s, self._first_model = now_s, run.deployment.model.name

    def finished(self, now_s: float, metrics: Metrics) -> Finished:
        """The end of the answer, counted; whoever answered is accounted for already."""
        job, broken = self.job, self.broken
        metrics.answered(self._attempts[-1].model)
        timings = Timings(job.decided_s - job.arrived_s, self.first_token_s - job.arrived_s, now_s - job.arrived_s)
        # A text that broke off stood still in between: its pace is nobody's.
        later_tokens = 0 if broken else self.transcript.tokens - 1
        per_token_s = (now_s - self.first_token_s) / later_tokens if later_tokens > 0 else None
        metrics.paced(self._first_model, timings.first_token_s, per_token_s)
        # Without one the last token was said, and the stream broke before its account.
        finish_reason = self.transcript.finish_reason or FinishReason.LENGTH
        return Finished(job.account.usage, job.account.cost_picousd, timings, finish_reason, tuple(self._attempts))

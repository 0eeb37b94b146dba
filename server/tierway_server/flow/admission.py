"""Admission and settlement of one try: what it takes of a deployment, and what it gives back, whatever becomes of it.

Taken in this order: a place, for which it may wait, a probe of the breaker where it is half-open, a reservation in each budget, and last
the rate limits, so that nothing that follows can refuse what was taken from these. Given back in the opposite order; what was learnt goes
to the state, by which the next decisions are made, and what was paid to the metrics: here, because here every try ends, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from tierway_core import Decision, Prefixes, State, Table
from tierway_core.cost import estimate_picousd
from tierway_server.errors import (
    BreakerOpenError,
    EngineLostError,
    InternalError,
    NotReadyError,
    ProviderError,
    ProviderOverloadedError,
    TierwayError,
)
from tierway_server.flow.budgets import Budgets
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.holds import Holds
from tierway_server.flow.limits import Limits
from tierway_server.flow.priority import Priority
from tierway_server.flow.queues import Queues
from tierway_server.flow.tries import Try
from tierway_server.telemetry.metrics import Metrics

_RETRY_AFTER_S = 0.5
_PATIENCE = 0.95
"""Who hangs up after this share of the time has waited it out: the caller's own clock may be a little ahead of ours."""

_SLOW = 2.0
"""Times the mean time to its first token: by so long a silence a deployment has failed, be there ever so little time."""


class Admission:
    """Lets tries in, and settles them. Lives on the event loop; the state may be shared."""

    def __init__(
        self,
        table: Table,
        state: State,
        deployments: Deployments,
        queues: Queues,
        limits: Limits,
        budgets: Budgets,
        prefixes: Prefixes,
        holds: Holds,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._table = table
        self._state = state
        self._deployments = deployments
        self._queues = queues
        self._limits = limits
        self._budgets = budgets
        self._prefixes = prefixes
        self._holds = holds
        self._metrics = metrics
        self._clock = clock
        self._now_ns = now_ns

    @asynccontextmanager
    async def admitted(
        self,
        index: int,
        decision: Decision,
        give_up_s: float,
        prefix_keys: Sequence[int] = (),
        *,
        priority: Priority = Priority.NORMAL,
        waits: bool = True,
    ) -> AsyncIterator[Try]:
        """A try at a deployment, settled when the block ends. Waits for a place, where there is none and `waits`.

        Args:
            index: the deployment.
            decision: for whom, and what it is estimated to read and write.
            give_up_s: when the request's time is over, on the server's clock.
            prefix_keys: what stands for the beginnings of prompts that it will hold in its cache.
            priority: how urgent it is among those that wait for a place.
            waits: whether it may wait for one at all.

        Raises:
            NotReadyError: it cannot answer now.
            BreakerOpenError: it failed too often.
            QueueFullError: it has no place, and a wait for one is not allowed, not worth it, or was in vain.
            BudgetExhaustedError: a hard budget has no room.
            RateLimitedError: one of its limits has none.
            ProviderOverloadedError: its provider asks to be left alone.

        """
        deployment = self._table.deployments[index]
        backend = self._deployments.backend(index)
        if backend is None:
            raise self._not_ready(index)
        places = self._queues.of(index)
        if not places.enter(index):
            if not self._state.breaker_allows(index, self._now_ns()):
                raise self._resting(index)
            await self._queues.wait(index, decision, priority, give_up_s, waits=waits)
        tried: Try | None = None
        try:
            if self._deployments.backend(index) is not backend:
                raise self._not_ready(index)  # it went while we waited
            if not self._state.try_probe(index, self._now_ns()):
                raise self._resting(index)
            expected_picousd = estimate_picousd(deployment.model, decision.input_tokens, decision.output_tokens)
            try:
                with self._budgets.reserved(decision.budgets, expected_picousd) as bill:
                    self._limits.take(deployment.limits)
                    tried = Try(backend, deployment.model, decision.input_tokens, bill, self._clock)
                    yield tried
            except TierwayError as failure:
                # An engine that is gone has left the decision already, and comes back healthy: its breaker is not for that.
                if tried is not None and not self._deployments.has_gone(index):
                    tried.failed = isinstance(failure, EngineLostError | ProviderError | InternalError) and not (
                        tried.was_hurried and not self._was_slow(index, tried)
                    )
                if tried is not None and isinstance(failure, ProviderOverloadedError) and failure.retry_after_s:
                    self._holds.hold(deployment.spec.provider, failure.retry_after_s)
                raise
            except asyncio.CancelledError:
                # Who leaves says nothing of the deployment; who waited for its first token until the time was over does.
                if tried is not None and not tried.first_token_s and (left_s := give_up_s - tried.began_s) > 0:
                    has_waited = self._clock() - tried.began_s >= _PATIENCE * left_s
                    tried.failed = has_waited and self._was_slow(index, tried)
                raise
            finally:
                self._learn(index, tried, prefix_keys)
                if tried is not None:
                    self._count(deployment.model.name, tried)
        finally:
            places.leave(index, None if tried is None else self._clock() - tried.began_s)

    def _was_slow(self, index: int, tried: Try) -> bool:
        """Whether it was silent for long by its own measure: else whoever has little time would open the breakers of all others."""
        expected_s = self._table.deployments[index].spec.expected_latency_s
        usual_s = self._state.first_token_s(index, self._now_ns(), expected_s)
        return self._clock() - tried.began_s >= _SLOW * usual_s

    def _not_ready(self, index: int) -> NotReadyError:
        name = self._table.deployments[index].spec.name
        return NotReadyError(
            f"deployment {name} is not ready", metadata={"deployment": name}, retry_after_s=_RETRY_AFTER_S
        )

    def _resting(self, index: int) -> BreakerOpenError:
        name = self._table.deployments[index].spec.name
        return BreakerOpenError(
            f"deployment {name} is given a rest: it {self._deployments.rest(index)}",
            metadata={"deployment": name},
            retry_after_s=_RETRY_AFTER_S,
        )

    def _count(self, model: str, tried: Try) -> None:
        usage = tried.usage
        self._metrics.spent(
            model,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            cost_picousd=tried.cost_picousd,
        )

    def _learn(self, index: int, tried: Try | None, prefix_keys: Sequence[int]) -> None:
        now_ns = self._now_ns()
        if tried is not None and tried.first_token_s:
            for key in prefix_keys:
                self._prefixes.remember(key, index, now_ns)
        if tried is None or not (tried.failed or tried.answered):
            self._state.release_probe(index)
            return
        self._state.observe(
            index,
            now_ns,
            ok=tried.answered,
            first_token_s=tried.first_token_s - tried.began_s if tried.first_token_s else None,
            token_s=tried.token_s,
            tokens=tried.tokens,
        )

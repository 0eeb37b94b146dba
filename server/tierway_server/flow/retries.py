"""Retries: when the deployment that failed is asked once more, and how long is waited before.

Only failures that may be over at the next moment, only so many times, only while there is time, and only while they stay a small share of
all requests: what fails under load must not be asked twice by everybody. Going on to another deployment is no retry.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple

from tierway_server.config import RetriesConfig
from tierway_server.errors import ProviderOverloadedError, TierwayError
from tierway_server.flow.allowance import Allowance
from tierway_server.flow.failures import is_transient
from tierway_server.telemetry.metrics import Metrics

_BURST = 10.0
"""Retries that may come at once, after a quiet time or at the start."""
_GROWTH = 3.0
_MOST_WAITED = 0.5
"""Of the time that is left, the share that may be waited away; the rest is for the answer."""


class Wait(NamedTuple):
    """What is waited before a deployment is asked again, in seconds."""

    asked_s: float
    """What its provider asks for."""
    drawn_s: float
    """What comes on top by chance: the provider has asked all others for the same. The next one is drawn by this alone, so that a provider
    that asks for long waits spreads those who come back no wider than any other."""

    @property
    def whole_s(self) -> float:
        """Both."""
        return self.asked_s + self.drawn_s


class Retries:
    """The rules, and the budget of this process. Lives on the event loop."""

    def __init__(
        self,
        config: RetriesConfig,
        metrics: Metrics,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin with a full budget.

        Args:
            config: the rules.
            metrics: counts retries, and those that the budget refused.
            draw: a number from 0 to below 1, by chance.
            clock: seconds.

        """
        self._config = config
        self._metrics = metrics
        self._draw = draw
        self._allowance = Allowance(config.max_share, most=_BURST, left=_BURST, per_s=config.min_per_s, clock=clock)

    def came(self) -> None:
        """Count a request: it adds to what all may retry."""
        self._allowance.came()

    def wait(
        self, failure: TierwayError, deployment: str, waits: tuple[Wait, ...], left_s: float, *, others_follow: bool
    ) -> Wait | None:
        """How long to wait before a deployment is asked again; None: not at all.

        Args:
            failure: how its latest try failed.
            deployment: its name, for the metrics.
            waits: those before its tries so far.
            left_s: the time that is left for the whole answer.
            others_follow: whether the chain goes on without it.

        """
        if len(waits) >= self._config.max_retries or not is_transient(failure):
            return None
        # Whoever follows is asked rather than waited for; without them, waiting is all there is.
        most_s = _MOST_WAITED * left_s
        if others_follow:
            most_s = min(most_s, self._config.max_wait_s)
        # Who is overloaded asks for a while. What other failures tell the caller of it is a guess of ours, and nothing to wait for here.
        asked_s = (failure.retry_after_s or 0.0) if isinstance(failure, ProviderOverloadedError) else 0.0
        wait = Wait(asked_s, self.next_drawn_s(waits[-1].drawn_s if waits else 0.0))
        if wait.whole_s > most_s:
            return None
        if not self._allowance.take():
            self._metrics.retry_refused(deployment)
            return None
        self._metrics.retried(deployment, failure.reason)
        return wait

    def next_drawn_s(self, last_s: float) -> float:
        """Decorrelated jitter: between the shortest wait and three times the last one drawn (0: none yet), never above the longest."""
        least_s = self._config.min_wait_s
        most_s = _GROWTH * max(last_s, least_s)
        return min(self._config.max_wait_s, least_s + self._draw() * (most_s - least_s))

"""The alarm of escalation: so many of the latest answers seemed weak that something is wrong.

By the share that seemed weak, not by the share that was asked again: `max_share` bounds that one, and would keep any alarm silent.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from tierway_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

LATEST = 200
"""Judged answers that count: of so many, a share of 5 % seems to be above 10 % once in a thousand times."""
LEAST = 100
"""Nothing is said before as many have been judged: of fewer, chance alone would raise the alarm."""
CALM = 0.5
"""The alarm ends at this part of the share at which it began, so that it does not flutter about it."""
QUIET_S = 600.0
"""Between two lines in the log, however long the alarm lasts and however often it begins."""


class WeakAlarm:
    """Watches the judged answers of this process. Lives on the event loop."""

    def __init__(self, share: float, metrics: Metrics, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin without an alarm.

        Args:
            share: of weak answers, above which it is raised, 0 to 1.
            metrics: tells whether it is.
            clock: seconds.

        """
        self._share = share
        self._metrics = metrics
        self._clock = clock
        self._latest: deque[bool] = deque(maxlen=LATEST)
        self._weak = 0
        self._is_raised = False
        self._said_s: float | None = None

    def judged(self, *, is_weak: bool) -> None:
        """Take in the verdict on one answer."""
        if len(self._latest) == LATEST:
            self._weak -= self._latest[0]
        self._latest.append(is_weak)
        self._weak += is_weak
        if len(self._latest) < LEAST:
            return
        share = self._weak / len(self._latest)
        is_raised = share > (self._share * CALM if self._is_raised else self._share)
        if is_raised != self._is_raised:
            self._is_raised = is_raised
            self._metrics.weak_alarm(is_raised=is_raised)
        if is_raised:
            self._say(share)

    def _say(self, share: float) -> None:
        now_s = self._clock()
        if self._said_s is not None and now_s - self._said_s < QUIET_S:
            return
        self._said_s = now_s
        logger.warning(
            "many weak answers",
            extra={"weak_share": round(share, 3), "alert_share": self._share, "judged": len(self._latest)},
        )

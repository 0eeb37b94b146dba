"""When an answer reached its caller, which is not when its tokens came: layers of the flow hold back what may not be shown.

Escalation does until it has judged a stream, takeover while a text may be the beginning of a stop text, and models that reason write what
nobody sees. So the times that a caller is told are taken where events leave, above all layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tierway_server.flow.events import Delta, Event, Finished
from tierway_server.flow.job import Job
from tierway_server.telemetry.metrics import Metrics


class Shown:
    """What one caller has seen of its answer. Lives on the event loop."""

    __slots__ = ("_clock", "_first_s", "_job", "_metrics")

    def __init__(self, job: Job, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._job = job
        self._metrics = metrics
        self._clock = clock
        self._first_s = 0.0

    def passed(self, event: Event) -> Event:
        """The event as the caller is told of it: the last one with the times at which it saw what came."""
        if isinstance(event, Delta):
            if not self._first_s and (event.chunk.text or event.chunk.tool_calls):
                self._first_s = self._clock()
            return event
        return self._timed(event) if isinstance(event, Finished) else event

    def _timed(self, finished: Finished) -> Finished:
        arrived_s, timings = self._job.arrived_s, finished.timings
        first_token_s, hold_s = timings.first_token_s, 0.0
        if self._job.streams and self._first_s:
            first_token_s = self._first_s - arrived_s
            hold_s = max(0.0, first_token_s - timings.first_token_s)
            self._metrics.held(hold_s)
        total_s = self._clock() - arrived_s
        return replace(finished, timings=replace(timings, first_token_s=first_token_s, total_s=total_s, hold_s=hold_s))

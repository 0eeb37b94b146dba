"""Rate limits: who draws on several takes from all of them or from none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from tierway_core import State, Table
from tierway_server.errors import ProviderOverloadedError, RateLimitedError
from tierway_server.telemetry.metrics import Metrics

_NS = 1e-9


class Limits:
    """The rate limits of tenants and deployments. Lives on the event loop; the state may be shared."""

    def __init__(
        self, table: Table, state: State, metrics: Metrics, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._limits = table.limits
        self._state = state
        self._metrics = metrics
        self._now_ns = now_ns

    def take(self, limits: Sequence[int]) -> None:
        """Take one request from each of these limits.

        Raises:
            RateLimitedError: one has no room; nothing was taken.
            ProviderOverloadedError: likewise, and it is a provider that asks to be left alone.

        """
        now_ns = self._now_ns()
        for place, limit in enumerate(limits):
            wait_ns = self._state.take(limit, now_ns)
            if wait_ns:
                for taken in limits[:place]:
                    self._state.give_back(taken)
                raise self._refusal(limit, wait_ns)

    def refusal(self, drawn: Iterable[Sequence[int]]) -> RateLimitedError | ProviderOverloadedError | None:
        """Why none of several deployments may be asked now, given what each draws on; None when one of them may again."""
        now_ns = self._now_ns()
        # A deployment waits for the slowest of its limits, the request for the first of the deployments.
        waits = [
            max(((self._state.wait_ns(limit, now_ns), limit) for limit in limits), default=(0, 0)) for limits in drawn
        ]
        wait_ns, limit = min(waits, default=(0, 0))
        return self._refusal(limit, wait_ns) if wait_ns else None

    def _refusal(self, limit: int, wait_ns: int) -> RateLimitedError | ProviderOverloadedError:
        name, provider, wait_s = self._limits[limit].name, self._limits[limit].provider, wait_ns * _NS
        if provider:
            return ProviderOverloadedError(
                f"provider {provider} asks to be left alone for {wait_s:.3g} s more",
                metadata={"provider": provider},
                retry_after_s=wait_s,
            )
        self._metrics.limit_refused(name)
        return RateLimitedError(
            f"the rate limit {name} has no room for {wait_s:.3g} s", metadata={"limit": name}, retry_after_s=wait_s
        )

"""Providers that ask to be left alone: nothing is sent to them until then, and decisions go elsewhere meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tierway_core import State, Table

MOST_S = 300.0
"""The longest that a provider is left alone: who says more is asked again all the same."""


class Holds:
    """Holds the limits that stand for providers. The state may be shared: then all who share it leave the provider alone."""

    def __init__(self, table: Table, state: State, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._limits = {limit.provider: index for index, limit in enumerate(table.limits) if limit.provider}
        self._state = state
        self._now_ns = now_ns

    def hold(self, provider: str, retry_after_s: float) -> None:
        """Leave a provider alone for so many seconds from now; a hold that ends later stays. Nothing happens where it is none."""
        limit = self._limits.get(provider)
        if limit is not None and retry_after_s > 0 and math.isfinite(retry_after_s):
            self._state.hold(limit, self._now_ns() + round(min(retry_after_s, MOST_S) * 1e9))

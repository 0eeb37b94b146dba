"""How long a deployment took to its first token lately, as a spread: means (the state has them) say nothing of the slow few.

Buckets that grow by a fifth, so that a quantile is at most so much too long; counts that are halved when there are many, so that what was
long ago fades. Of this process alone.
"""

from __future__ import annotations

import math
from array import array
from itertools import accumulate

_SHORTEST_S = 0.001
_BUCKETS_A_DOUBLING = 4
_BUCKETS = 84
"""From 1 ms to more than half an hour."""
_MANY = 1_024
_FEW = 20
"""With fewer, nobody knows the slowest twentieth."""


class FirstTokenTimes:
    """The spread of one deployment."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = array("l", bytes(array("l").itemsize * _BUCKETS))
        self._total = 0

    def observe(self, seconds: float) -> None:
        """Count one."""
        doublings = math.log2(max(seconds, _SHORTEST_S) / _SHORTEST_S)
        self._counts[min(_BUCKETS - 1, int(doublings * _BUCKETS_A_DOUBLING))] += 1
        self._total += 1
        if self._total >= _MANY:
            self._counts = array("l", (count // 2 for count in self._counts))
            self._total = sum(self._counts)

    def quantile_s(self, share: float) -> float | None:
        """The time within which this share began to answer, in seconds; None while too few are known."""
        if self._total < _FEW:
            return None
        wanted = share * self._total
        bucket = next(bucket for bucket, seen in enumerate(accumulate(self._counts), 1) if seen >= wanted)
        return float(_SHORTEST_S * 2 ** (bucket / _BUCKETS_A_DOUBLING))

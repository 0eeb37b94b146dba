"""The knee: the highest open-loop rate that a server sustains."""

from __future__ import annotations

from collections.abc import Callable

_GROWTH = 1.5
_BISECTIONS = 4


def find_knee(sustains: Callable[[float], bool], *, start: float, limit: float) -> float:
    """The highest rate found to be sustained: upwards by half as much again until one is not, then by halving the gap.

    A rate counts as too high when it fails twice in a row, because on a shared machine anything may fail once.

    Args:
        sustains: tries a rate, in requests per second.
        start: the first rate tried.
        limit: no higher rate is tried.

    Returns:
        The rate; 0 when not even `start` is sustained.

    """
    low, high = 0.0, start
    while high <= limit and (sustains(high) or sustains(high)):
        low, high = high, high * _GROWTH
    if not low:
        return 0.0
    high = min(high, limit)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if sustains(middle) or sustains(middle):
            low = middle
        else:
            high = middle
    return low

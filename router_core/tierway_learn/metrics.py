"""How good a score is that sends some prompts to a strong model and the others to a weak one.

APGR and CPT are RouteLLM's (arXiv 2406.18665, `routellm/evals/evaluate.py`): the thresholds are the 11 edges of the score's
deciles; a prompt goes to the strong model if its score is at least the threshold (above it, at the last edge); quality is
integrated over the share sent to the strong model by the trapezoid rule. Shares are fractions here, percent in reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tierway_learn.arrays import Booleans, Floats, Integers

__all__ = [
    "Curve",
    "Interval",
    "apgr",
    "auc",
    "bootstrap",
    "cost_at_quality",
    "cpt",
    "ece",
    "route_curve",
    "straight_curve",
]

_DECILES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Quality against the share of prompts that the strong model answers, by rising share."""

    share: Floats
    """From 0 to 1."""
    quality: Floats
    """Mean outcome of the mix, 0 to 1."""
    weak: float
    """Mean outcome of the weak model alone."""
    strong: float
    """Mean outcome of the strong model alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with the range that resampling the groups gives it."""

    value: float
    low: float
    high: float


def route_curve(score: Floats, strong: Floats, weak: Floats, bins: int = _DECILES) -> Curve:
    """The curve of a score (higher: needs the strong model) over the outcomes of both models."""
    by_score = np.argsort(-score, kind="stable")
    descending = score[by_score]
    edges = np.quantile(score, np.linspace(0.0, 1.0, bins + 1))
    # How many scores are at least each edge; strictly above it at the last.
    counts = np.searchsorted(-descending, -edges, side="right")
    counts[-1] = np.searchsorted(-descending, -edges[-1], side="left")
    gained = np.concatenate(([0.0], np.cumsum((strong - weak)[by_score])))
    counts = np.sort(counts)
    return Curve(
        share=counts / len(score),
        quality=weak.mean() + gained[counts] / len(score),
        weak=float(weak.mean()),
        strong=float(strong.mean()),
    )


def straight_curve(strong: Floats, weak: Floats) -> Curve:
    """The curve that a random choice has on average."""
    ends = np.array([weak.mean(), strong.mean()])
    return Curve(share=np.array([0.0, 1.0]), quality=ends, weak=float(ends[0]), strong=float(ends[1]))


def apgr(curve: Curve) -> float:
    """Average performance gap recovered: 0.5 for a random choice, NaN if the models are equally good."""
    gap = curve.strong - curve.weak
    if gap == 0:
        return float("nan")
    return float(np.trapezoid((curve.quality - curve.weak) / gap, curve.share) / (curve.share[-1] - curve.share[0]))


def cpt(curve: Curve, recovered: float) -> float:
    """The least share of strong calls that recovers this share of the gap in quality. NaN if none does."""
    return _first_crossing(curve.share, curve.quality, curve.weak + recovered * (curve.strong - curve.weak))


def cost_at_quality(curve: Curve, kept: float = 0.95, weak_price: float = 0.01) -> float:
    """The least cost, relative to sending all to the strong model, that keeps this share of the strong model's quality.

    Args:
        curve: of a score.
        kept: share of the strong model's mean outcome.
        weak_price: price of a call to the weak model, that of the strong one being 1.
    """
    share = _first_crossing(curve.share, curve.quality, kept * curve.strong)
    return share + (1.0 - share) * weak_price


def _first_crossing(x: Floats, y: Floats, target: float) -> float:
    """The least x at which the polyline reaches the target."""
    if y[0] >= target:
        return float(x[0])
    reached = np.flatnonzero(y >= target)
    if not len(reached):
        return float("nan")
    right = reached[0]
    left = right - 1
    return float(x[left] + (x[right] - x[left]) * (target - y[left]) / (y[right] - y[left]))


def auc(score: Floats, positive: Booleans) -> float:
    """The chance that a positive row has a higher score than another; ties count half. NaN without both kinds."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = mean_rank[inverse][positive].sum()
    return float((rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives))


def ece(predicted: Floats, actual: Floats, bins: int = _DECILES) -> float:
    """Expected calibration error: over bins of equally many rows by prediction, the mean distance between prediction and outcome."""
    by_prediction = np.argsort(predicted, kind="stable")
    parts = np.array_split(by_prediction, bins)
    error = sum(abs(predicted[part].sum() - actual[part].sum()) for part in parts)
    return float(error / len(predicted))


def bootstrap(
    value: Callable[[Integers], Sequence[float]],
    groups: Sequence[str],
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """Values with their percentile intervals, whole groups drawn with replacement.

    Args:
        value: the values over the rows of these indices.
        groups: of each row.
        resamples: how often to draw.
        level: share of the draws inside the interval.
        seed: of the draws.
    """
    exact = value(np.arange(len(groups)))
    _, group_of_row = np.unique(np.array(groups), return_inverse=True)
    rows = np.argsort(group_of_row, kind="stable")
    ends = np.cumsum(np.bincount(group_of_row))
    starts = np.concatenate(([0], ends[:-1]))
    random = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(exact)))
    for resample in range(resamples):
        chosen = random.integers(0, len(ends), len(ends))
        drawn[resample] = value(np.concatenate([rows[starts[group] : ends[group]] for group in chosen]))
    tail = (1.0 - level) / 2.0
    return [_interval(one, drawn[:, column], tail) for column, one in enumerate(exact)]


def _interval(value: float, drawn: Floats, tail: float) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(value=value, low=float("nan"), high=float("nan"))
    # Resampling makes some figures worse on average (a calibration error above all): the range is moved back by that much.
    low, high = np.quantile(known, [tail, 1.0 - tail]) - (known.mean() - value)
    return Interval(value=value, low=float(low), high=float(high))

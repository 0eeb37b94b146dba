"""What tiers are worth: the cost at which a policy reaches most of the quality of always asking the most expert band of models."""

from dataclasses import dataclass

import numpy as np

from tierway_learn.arrays import Floats

__all__ = ["COSTS", "BandCurve", "cost_to_expert", "policy_curve", "static_curve"]

COSTS = np.array([1.0, 3.0, 10.0, 30.0, 100.0])
"""Of a call to each band."""

_LAMBDAS = np.concatenate(([0.0], np.logspace(-4, 2, 121)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BandCurve:
    """Quality against cost, by rising cost; the cost of always asking the experts is 1."""

    cost: Floats
    quality: Floats


def policy_curve(predicted: Floats, passed: Floats) -> BandCurve:
    """The curve of the policy that maximises predicted pass rate minus lambda times cost, over all lambdas.

    Args:
        predicted: pass rate of each band, a row a prompt.
        passed: what came of it, in the same shape.
    """
    rows = np.arange(len(passed))
    cost, quality = [], []
    for weight in _LAMBDAS:
        chosen = np.argmax(predicted - weight * COSTS / COSTS[-1], axis=1)
        cost.append(COSTS[chosen].mean() / COSTS[-1])
        quality.append(passed[rows, chosen].mean())
    order = np.lexsort((quality, cost))
    return BandCurve(cost=np.array(cost)[order], quality=np.array(quality)[order])


def static_curve(passed: Floats) -> BandCurve:
    """The best mixes of bands that look at no prompt: the upper hull of the five."""
    points = list(zip(COSTS / COSTS[-1], passed.mean(axis=0), strict=True))
    hull: list[tuple[float, float]] = []
    for cost, quality in points:
        while hull and _is_below(hull, (cost, quality)):
            hull.pop()
        hull.append((cost, quality))
    return BandCurve(cost=np.array([cost for cost, _ in hull]), quality=np.array([quality for _, quality in hull]))


def cost_to_expert(curve: BandCurve, passed: Floats, kept: float = 0.95) -> float:
    """The least cost at which the curve keeps this share of the experts' quality. NaN if nowhere."""
    target = kept * passed[:, -1].mean()
    reached = np.flatnonzero(curve.quality >= target)
    if not len(reached):
        return float("nan")
    right = reached[0]
    if right == 0:
        return float(curve.cost[0])
    left = right - 1
    part = (target - curve.quality[left]) / (curve.quality[right] - curve.quality[left])
    return float(curve.cost[left] + part * (curve.cost[right] - curve.cost[left]))


def _is_below(hull: list[tuple[float, float]], point: tuple[float, float]) -> bool:
    """Whether the hull's last point is no better than a mix of the one before it and this one."""
    cost, quality = hull[-1]
    if quality >= point[1]:
        return False
    if len(hull) == 1:
        return False
    before_cost, before_quality = hull[-2]
    share = (cost - before_cost) / (point[0] - before_cost)
    return quality <= before_quality + share * (point[1] - before_quality)

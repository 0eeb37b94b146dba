import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierway_learn.metrics import (
    apgr,
    auc,
    bootstrap,
    cost_at_quality,
    cpt,
    ece,
    route_curve,
    straight_curve,
)

OUTCOMES = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.booleans()), min_size=1, max_size=60)


def arrays(rows):
    score, strong, weak = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return score, strong, weak


def brute_force_points(score, strong, weak):
    """RouteLLM's loop: for each decile edge, who answers and how well."""
    edges = np.quantile(score, np.linspace(0, 1, 11))
    points = []
    for index, edge in enumerate(edges):
        is_strong = score >= edge if index < len(edges) - 1 else score > edge
        points.append((is_strong.mean(), np.where(is_strong, strong, weak).mean()))
    return sorted(points, key=lambda point: point[0])


@given(OUTCOMES)
def test_curve_is_that_of_a_loop_over_thresholds(rows) -> None:
    score, strong, weak = arrays(rows)
    curve = route_curve(score, strong, weak)
    expected = brute_force_points(score, strong, weak)
    np.testing.assert_allclose(np.column_stack((curve.share, curve.quality)), expected, atol=1e-12)


@given(OUTCOMES)
def test_apgr_is_the_area_between_the_weak_and_the_strong_model(rows) -> None:
    score, strong, weak = arrays(rows)
    measured = apgr(route_curve(score, strong, weak))
    if strong.mean() == weak.mean():
        assert math.isnan(measured)
        return
    points = brute_force_points(score, strong, weak)
    area = sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in itertools.pairwise(points))
    assert measured == pytest.approx((area - weak.mean()) / (strong.mean() - weak.mean()))


@given(OUTCOMES, st.floats(0.05, 0.95))
def test_cpt_is_the_first_share_that_recovers_enough(rows, recovered) -> None:
    score, strong, weak = arrays(rows)
    if strong.mean() <= weak.mean():
        return
    curve = route_curve(score, strong, weak)
    share = cpt(curve, recovered)
    target = weak.mean() + recovered * (strong.mean() - weak.mean())
    assert np.interp(share, curve.share, curve.quality) == pytest.approx(target) or curve.quality[0] >= target
    assert (curve.quality[curve.share < share - 1e-9] < target).all()


def test_score_that_knows_everything_recovers_the_gap_with_the_calls_that_need_it() -> None:
    strong = np.ones(10)
    weak = np.array([1.0] * 8 + [0.0] * 2)
    curve = route_curve(1.0 - weak + np.linspace(0.0, 0.1, 10), strong, weak)
    assert cpt(curve, 0.5) == pytest.approx(0.1)
    assert cpt(curve, 1.0) == pytest.approx(0.2)
    assert apgr(curve) == pytest.approx(0.9)


def test_random_choice_recovers_half_and_score_without_meaning_is_one() -> None:
    strong, weak = np.ones(50), np.zeros(50)
    assert apgr(straight_curve(strong, weak)) == pytest.approx(0.5)
    assert cpt(straight_curve(strong, weak), 0.8) == pytest.approx(0.8)
    assert apgr(route_curve(np.zeros(50), strong, weak)) == pytest.approx(0.5)


def test_cost_counts_the_calls_of_the_weak_model_too() -> None:
    strong, weak = np.ones(100), np.zeros(100)
    assert cost_at_quality(straight_curve(strong, weak), 0.95, weak_price=0.1) == pytest.approx(0.95 + 0.05 * 0.1)
    assert cost_at_quality(straight_curve(strong, strong), 0.95, weak_price=0.1) == pytest.approx(0.1)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=40))
def test_auc_is_the_share_of_pairs_in_order(rows) -> None:
    score = np.array([float(row[0]) for row in rows])
    positive = np.array([row[1] for row in rows])
    pairs = [(one > other) + 0.5 * (one == other) for one in score[positive] for other in score[~positive]]
    measured = auc(score, positive)
    assert math.isnan(measured) if not pairs else measured == pytest.approx(np.mean(pairs))


def test_ece_is_the_mean_distance_of_bins() -> None:
    predicted = np.array([0.1] * 10 + [0.9] * 10)
    assert ece(predicted, predicted) == pytest.approx(0.0)
    assert ece(predicted, np.array([0.0] * 10 + [1.0] * 10)) == pytest.approx(0.1)
    assert ece(predicted, np.array([0.0, 1.0] * 10), bins=2) == pytest.approx(0.4)


def test_interval_holds_the_value_and_narrows_with_the_number_of_groups() -> None:
    def width(count: int) -> float:
        outcome = np.arange(count) % 2
        (interval,) = bootstrap(lambda rows: [float(outcome[rows].mean())], [str(index) for index in range(count)])
        assert interval.low < interval.value < interval.high
        return interval.high - interval.low

    assert width(1600) == pytest.approx(width(100) / 4, rel=0.35)


def test_rows_of_a_group_are_drawn_together() -> None:
    outcome = np.array([0.0, 0.0, 1.0, 1.0])
    seen = set()

    def value(rows) -> list[float]:
        seen.add(tuple(sorted(rows.tolist())))
        return [float(outcome[rows].mean())]

    bootstrap(value, ["a", "a", "b", "b"])
    assert seen == {(0, 1, 2, 3), (0, 0, 1, 1), (2, 2, 3, 3)}

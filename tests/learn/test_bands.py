import numpy as np
import pytest

from tierway_learn.bands import COSTS, cost_to_expert, policy_curve, static_curve

EASY, HARD = [1.0] * 5, [0.0, 0.0, 0.0, 0.0, 1.0]


def test_policy_that_knows_pays_for_experts_only_where_they_are_needed() -> None:
    passed = np.array([EASY] * 50 + [HARD] * 50)
    cost = cost_to_expert(policy_curve(passed, passed), passed, kept=1.0)
    assert cost == pytest.approx((50 * COSTS[0] + 50 * COSTS[-1]) / (100 * COSTS[-1]))


def test_static_mix_is_the_best_line_between_bands() -> None:
    passed = np.array([[0.0, 0.0, 0.5, 0.5, 1.0]] * 4)
    # From band 3 (cost 0.1, quality 0.5) to band 5 (cost 1, quality 1): 0.95 lies nine tenths of the way.
    assert cost_to_expert(static_curve(passed), passed) == pytest.approx(0.1 + 0.9 * 0.9)


def test_cheap_band_that_is_as_good_is_enough() -> None:
    passed = np.array([EASY] * 3)
    assert cost_to_expert(static_curve(passed), passed) == pytest.approx(0.01)


def test_policy_that_never_gets_there_has_no_cost() -> None:
    passed = np.array([HARD] * 3)
    blind = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]] * 3)
    assert np.isnan(cost_to_expert(policy_curve(blind, passed), passed))

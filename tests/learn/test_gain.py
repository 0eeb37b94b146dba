from dataclasses import replace

import numpy as np
import pytest

from tests.learn.outcomes import make_rows
from tierway_core import Classifier
from tierway_core.calibration import Calibration, Pair
from tierway_core.signals import BUCKETS
from tierway_learn.baselines import word_counts
from tierway_learn.features import Counts, Encoded, encode
from tierway_learn.gain import choose, fit_gain, quantised, solve
from tierway_learn.metrics import apgr, ece, route_curve
from tierway_learn.ridge import Design, Penalties


@pytest.fixture(scope="module")
def learned(classifier):
    rows = make_rows(400)
    encoded = encode(classifier, [row["prompt"] for row in rows])
    target = np.array([float(row["outcomes"]["strong"] - row["outcomes"]["weak"]) for row in rows])
    return encoded, target, [row["group"] for row in rows]


def dense_matrix(encoded) -> np.ndarray:
    counts = encoded.counts
    matrix = np.zeros((counts.rows, BUCKETS))
    for row in range(counts.rows):
        inside = slice(counts.starts[row], counts.starts[row + 1])
        np.add.at(matrix[row], counts.buckets[inside], counts.values[inside])
    return matrix


def test_counts_are_a_matrix(learned) -> None:
    encoded, target, _ = learned
    few = encoded.take(np.array([5, 3, 3, 0]))
    matrix = dense_matrix(few)
    column = np.random.default_rng(0).normal(size=BUCKETS)
    np.testing.assert_allclose(few.counts.dot(column), matrix @ column)
    np.testing.assert_allclose(few.counts.transposed_dot(target[:4]), matrix.T @ target[:4], atol=1e-12)
    np.testing.assert_allclose(few.counts.squares(), (matrix**2).sum(axis=0))
    np.testing.assert_allclose(few.counts.weighted(column).dot(np.ones(BUCKETS)), matrix @ column)


def test_solution_is_the_least_of_what_is_minimised(learned) -> None:
    """No small change of a weight makes the penalised error smaller: the gradient vanishes."""
    encoded, target, _ = learned
    few, wanted = encoded.take(np.arange(60)), target[:60]
    solution = Design(few).solve(wanted, Penalties(3.0, float("inf")))
    assert (solution.hashed == 0).all()
    scale = few.dense.std(axis=0)
    varies = scale > 1e-9
    standardised = (few.dense - few.dense.mean(axis=0))[:, varies] / scale[varies] / np.sqrt(varies.sum())
    expected = np.linalg.solve(
        standardised.T @ standardised + 3.0 * np.eye(varies.sum()), standardised.T @ (wanted - wanted.mean())
    )
    np.testing.assert_allclose(solution.predict(few), standardised @ expected + wanted.mean(), atol=0.02)


def test_stronger_penalty_means_less_is_claimed(learned) -> None:
    encoded, target, _ = learned
    spreads = [Design(encoded).solve(target, Penalties(p, p)).predict(encoded).std() for p in (1.0, 100.0, 10_000.0)]
    assert spreads[0] > spreads[1] > spreads[2]


def test_gain_beats_word_count_where_words_tell(classifier, learned) -> None:
    encoded, target, groups = learned
    gain = fit_gain(encoded, target, groups)
    fresh = make_rows(600, seed=1)
    calibration = Calibration(
        weights=classifier.weights.identity,
        created="2026-11-20T12:00:00+00:00",
        labels=400,
        pair=Pair(strong="strong", weak="weak", gain=gain.gain),
    )
    calibrated = Classifier(classifier.weights, calibration)
    strong, weak = (np.array([float(row["outcomes"][name]) for row in fresh]) for name in ("strong", "weak"))
    prompts = [row["prompt"] for row in fresh]
    gains = np.array([calibrated.assess(prompt).gain for prompt in prompts])
    assert apgr(route_curve(gains, strong, weak)) > 0.7
    assert abs(apgr(route_curve(word_counts(prompts), strong, weak)) - 0.5) < 0.1
    assert gain.choice.explained > 0.2


def test_core_computes_the_gain_that_was_learned(classifier, learned) -> None:
    """But for the rounding of the column to bytes."""
    encoded, target, _ = learned
    solution = Design(encoded).solve(target, Penalties(30.0, 10.0))
    calibration = Calibration(
        weights=classifier.weights.identity,
        created="2026-11-20T12:00:00+00:00",
        labels=400,
        pair=Pair(strong="strong", weak="weak", gain=quantised(solution)),
    )
    calibrated = Classifier(classifier.weights, calibration)
    prompts = [row["prompt"] for row in make_rows(50)]
    exact = solution.predict(encode(classifier, prompts))
    assert [calibrated.assess(prompt).gain for prompt in prompts] == pytest.approx(list(exact), abs=0.03)


def test_nothing_is_learned_where_nothing_differs(classifier, learned) -> None:
    encoded, _, groups = learned
    gain = fit_gain(encoded, np.full(len(groups), 0.25), groups)
    assert gain.gain.bias == pytest.approx(0.25)
    assert gain.choice.explained == 0.0
    assert set(gain.gain.column) == {0}


def remembering(count: int, seed: int, *, remembers: bool) -> tuple[Encoded, np.ndarray]:
    """Prompts with one counter that tells a little, and weights that repeat it and, where they remember, the very outcome."""
    random = np.random.default_rng(seed)
    counter = random.normal(0.0, 0.2, count)
    target = counter + random.normal(0.0, 0.5, count)
    noise = target - counter if remembers else random.normal(0.0, 0.5, count)
    nothing = Counts(starts=np.zeros(count + 1, dtype=np.int64), buckets=np.empty(0, np.int64), values=np.empty(0))
    return Encoded(dense=np.column_stack((counter, counter + noise)), counts=nothing, plain=slice(0, 1)), target


def test_weights_that_remember_the_outcomes_do_not_make_the_gain_bold() -> None:
    """Fitted on what the weights were trained on, a gain is still no larger than what comes of it elsewhere."""
    known, target = remembering(3000, 0, remembers=True)
    choice = choose(known, target, [str(index) for index in range(3000)])
    fresh, came = remembering(3000, 1, remembers=False)
    predicted = solve(known, target, choice).predict(fresh)
    bold = solve(known, target, replace(choice, slope=choice.slope / 0.25)).predict(fresh)
    assert ece(predicted, came) < 0.5 * ece(bold, came)
    assert choice.explained > 0.5

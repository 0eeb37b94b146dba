"""On a corpus written for the project: short questions that all models get right, long ones that most fail."""

import hashlib

import numpy as np
import pytest
from confidence import fit_confidence
from data import Example
from encode import encode
from export import export, seen_buckets
from fit import Recipe, fit

from tierway_core.assessment import assess, vector
from tierway_core.weights import Weights

EASY = [f"What is the capital of country number {number}?" for number in range(40)]
HARD = [
    f"Prove, for every prime p above {number}, that the ring has a maximal ideal; derive its norm."
    for number in range(40)
]
RECIPE = Recipe(epochs=12, batch=16, rate=1e-2)


def example(text: str, is_hard: bool) -> Example:
    results = [("weak", 0.0 if is_hard else 1.0), ("middling", 0.0 if is_hard else 1.0), ("strong", 1.0)]
    return Example(
        text,
        hashlib.sha256(text.encode()).hexdigest()[:16],
        {"mmlupro_multi"},
        results,
        bands=(0.0, 0.0, 0.2, 0.4, 0.9) if is_hard else (0.9, 0.9, 1.0, 1.0, 1.0),
        domain=12 if is_hard else 16,
        label=3 if is_hard else 0,
        abilities=[-2.0, 0.0, 2.0],
    )


@pytest.fixture(scope="module")
def examples():
    return [example(text, False) for text in EASY] + [example(text, True) for text in HARD]


@pytest.fixture(scope="module")
def encoded(examples):
    return encode([example.text for example in examples])


@pytest.fixture(scope="module")
def model(examples, encoded):
    return fit(examples, encoded, np.arange(len(examples)), RECIPE)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, model, examples, encoded):
    path = tmp_path_factory.mktemp("weights") / "small.weights"
    rows = np.arange(len(examples))
    confidence = fit_confidence(examples, encoded, model, rows, rows)
    export(
        path,
        model,
        encoded,
        seen_buckets(encoded),
        confidence,
        0.3,
        (-2.0, -1.0, 0.0, 1.0, 2.0),
        "a test",
        "2026-01-01",
    )
    return Weights.load(path)


def test_what_models_fail_is_more_difficult(weights):
    easy, hard = assess(weights, EASY[3]), assess(weights, HARD[3])

    assert hard.difficulty > easy.difficulty + 1.0
    assert easy.bands[0] > 0.5 > hard.bands[0]
    assert (easy.label, hard.label) == ("SIMPLE", "REASONING")
    assert (easy.domain, hard.domain) == ("trivia", "mathematics")
    assert easy.tier < hard.tier


def test_noise_is_trusted_less_than_what_is_familiar(weights):
    assert assess(weights, "xqz wvj kkpr zzt oiuwe qqp").confidence < assess(weights, EASY[3]).confidence


def test_the_written_weights_say_what_the_fitted_model_says_but_for_rounding(model, encoded, weights):
    difficulty, log_sigma, bands, _, _, z = model.predict(encoded, np.arange(len(encoded)))

    for row, text in enumerate(EASY + HARD):
        numbers = vector(weights, text)
        assert numbers[: z.shape[1]] == pytest.approx(z[row], abs=0.05)
        assert numbers[z.shape[1]] == pytest.approx(difficulty[row], abs=0.1)
        assert numbers[z.shape[1] + 1] == pytest.approx(log_sigma[row], abs=0.1)
        assert numbers[z.shape[1] + 2 : z.shape[1] + 7] == pytest.approx(bands[row], abs=0.2)


def test_the_same_seed_gives_the_same_model(examples, encoded, model):
    again = fit(examples, encoded, np.arange(len(examples)), RECIPE)

    assert np.array_equal(again.table.weights, model.table.weights)


def test_a_batch_of_texts_has_their_signals(encoded):
    rows = np.array([5, 70, 5])
    taken = encoded.take(rows)

    for ids, starts, all_ids, all_starts in zip(taken.ids, taken.starts, encoded.ids, encoded.starts, strict=True):
        for place, row in enumerate(rows):
            assert np.array_equal(
                ids[starts[place] : starts[place + 1]], all_ids[all_starts[row] : all_starts[row + 1]]
            )
    assert np.array_equal(taken.counters, encoded.counters[rows])

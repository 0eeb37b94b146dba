"""How far an assessment can be trusted: the weights of the logistic that makes one number of what `assessment.QUANTITIES` names.

Fitted on texts that were left out: there, to be trusted is to have a mean pass rate over the bands within TOLERANCE of the
truth. Noise and ciphers of such texts stand for input of a kind never seen: there nothing is to be trusted.
"""

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ciphers import cipher
from data import Example
from encode import Encoded, encode
from export import seen_buckets
from fit import Model

from tierway_core.signals import COUNTERS

TOLERANCE = 0.3
STRANGE_SHARE = 0.5
"""How many strange texts there are for a known one."""

Floats = npt.NDArray[np.float64]


def familiar(examples: Sequence[Example], encoded: Encoded, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which buckets hold words of the texts at `rows` that teach difficulty, or stand near those: English ones."""
    return seen_buckets(encoded.take(np.array([row for row in rows if examples[row].language in {"", "en"}])))


def noise(seed: int) -> str:
    """Words of random letters."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join(
        "".join(chance.choice(letters) for _ in range(chance.randint(2, 9))) for _ in range(chance.randint(3, 60))
    )


def quantities(model: Model, encoded: Encoded, seen: npt.NDArray[np.bool_]) -> Floats:
    """What the confidence is made of, a row a text: as `assessment.QUANTITIES` names it."""
    _, log_sigma, _, domains, _, _ = model.predict(encoded, np.arange(len(encoded)))
    words = np.diff(encoded.starts[0])
    known = np.concatenate([[0], np.cumsum(seen[encoded.ids[0]])])
    familiarity = (known[encoded.starts[0][1:]] - known[encoded.starts[0][:-1]]) / np.maximum(1, words)
    odds = np.exp(domains - domains.max(1, keepdims=True))
    return np.stack(
        [
            np.ones(len(words)),
            np.exp(log_sigma),
            familiarity,
            np.log1p(words),
            encoded.counters[:, COUNTERS.index("share of other scripts")],
            odds.max(1) / odds.sum(1),
        ],
        1,
    )


def fit_confidence(
    examples: Sequence[Example],
    encoded: Encoded,
    model: Model,
    learned: npt.NDArray[np.int64],
    judged: npt.NDArray[np.int64],
) -> list[float]:
    """Fits the weights.

    Args:
        examples: all examples.
        encoded: their signals.
        model: fitted to the rows `learned`.
        learned: what is familiar.
        judged: other rows, to judge by.
    """
    seen = familiar(examples, encoded, learned)
    rows = np.array([row for row in judged if examples[row].bands is not None])
    truth = np.array([np.mean(examples[row].bands or ()) for row in rows])
    predicted = 1 / (1 + np.exp(-model.predict(encoded, rows)[2]))
    trusted = (np.abs(predicted.mean(1) - truth) < TOLERANCE).astype(float)
    strange = [examples[row].text for row in rows[:: round(2 / STRANGE_SHARE)]]
    texts = [cipher(text, place) for place, text in enumerate(strange)] + [
        noise(place) for place in range(len(strange))
    ]
    x = np.concatenate([quantities(model, encoded.take(rows), seen), quantities(model, encode(texts), seen)])
    y = np.concatenate([trusted, np.zeros(len(texts))])
    weights = np.zeros(x.shape[1])
    for _ in range(50):  # Newton's method with a small ridge
        p = 1 / (1 + np.exp(-x @ weights))
        curvature = x.T @ (x * (p * (1 - p))[:, None]) + 0.1 * np.eye(len(weights))
        weights += np.linalg.solve(curvature, x.T @ (y - p) - 0.1 * weights)
    return [float(weight) for weight in weights]

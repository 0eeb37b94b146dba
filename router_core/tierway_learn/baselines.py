"""What every score is shown beside: routing that costs nothing to build, and what others learn from the same labels."""

from collections.abc import Sequence

import numpy as np

from tierway_core import extract
from tierway_core.reference import classify
from tierway_core.types import Complexity
from tierway_core.weights import LABELS
from tierway_learn.arrays import Floats, Integers
from tierway_learn.features import Counts, Encoded

__all__ = ["RULE_LABELS", "binned_rates", "class_scores", "embedded", "word_counts"]

RULE_LABELS = {
    Complexity.TRIVIAL: LABELS[0],
    Complexity.SIMPLE: LABELS[1],
    Complexity.MODERATE: LABELS[2],
    Complexity.COMPLEX: LABELS[3],
}
"""The four classes as the four labels, in their order."""

_BINS = 10


def word_counts(prompts: Sequence[str]) -> Floats:
    """How many words each prompt has, as a score."""
    return np.array([float(extract(prompt).words) for prompt in prompts])


def class_scores(prompts: Sequence[str]) -> Floats:
    """The class that the rules of words, code and planning give each prompt, as a score from 1 to 4."""
    return np.array([float(classify(extract(prompt))) for prompt in prompts])


def embedded(vectors: Floats, beside: Encoded | None = None) -> Encoded:
    """The prompts by their sentence embeddings, alone or beside other features."""
    if beside is None:
        nothing = Counts(
            starts=np.zeros(len(vectors) + 1, dtype=np.int64), buckets=np.empty(0, np.int64), values=np.empty(0)
        )
        return Encoded(dense=vectors, counts=nothing)
    return Encoded(dense=np.hstack((beside.dense, vectors)), counts=beside.counts)


def binned_rates(score: Floats, rates: Floats, folds: Integers) -> Floats:
    """Predicts rates (a row a prompt) from one score: the mean of the prompts of a like score in the other folds."""
    predicted = np.empty_like(rates)
    for fold in np.unique(folds):
        known = folds != fold if len(np.unique(folds)) > 1 else folds == fold
        edges = np.unique(np.quantile(score[known], np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
        bins = np.searchsorted(edges, score, side="right")
        for part in np.unique(bins):
            inside = known & (bins == part)
            mean = rates[inside].mean(axis=0) if inside.any() else rates[known].mean(axis=0)
            predicted[(folds == fold) & (bins == part)] = mean
    return predicted

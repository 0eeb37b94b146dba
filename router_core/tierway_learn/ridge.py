"""Least squares over a dense and a hashed part, each with a penalty of its own, by conjugate gradients.

Minimises  |y - bias - dense b - counts w|^2 + dense_penalty |b|^2 + hashed_penalty |w / s|^2,  where s is larger for rarer
buckets, so that what occurs everywhere must earn its weight. Both parts are scaled to rows of length one on average: a penalty
means the same for both, and on any data.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tierway_learn.arrays import Floats
from tierway_learn.features import Counts, Encoded

__all__ = ["Design", "Penalties", "Solution"]

_ITERATIONS = 60
_TOLERANCE = 1e-2
"""Of the length of the gradient; predictions on other rows do not change beyond it."""
_TRUSTED_ROWS = 20
"""Up to here, shipped weights are trusted like counters."""

_FEWEST_ROWS = 2
"""A bucket of fewer rows says nothing about others."""


@dataclass(frozen=True, slots=True)
class Penalties:
    """How strongly the weights of each part are drawn to nothing."""

    dense: float
    hashed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Weights of the features as they are: prediction = bias + dense . b + counts . w."""

    bias: float
    dense: Floats
    hashed: Floats

    def predict(self, encoded: Encoded) -> Floats:
        """What is expected of each row."""
        predicted: Floats = self.bias + encoded.dense @ self.dense + encoded.counts.dot(self.hashed)
        return predicted

    def steeper(self, slope: float, mean: float) -> "Solution":
        """The same with predictions this many times as far from the mean."""
        bias = mean + slope * (self.bias - mean)
        return Solution(bias=bias, dense=slope * self.dense, hashed=slope * self.hashed)


class Design:
    """Rows to learn from, made ready once for any number of penalties."""

    def __init__(self, encoded: Encoded) -> None:
        self._columns = encoded.dense.shape[1]
        self._centre, self._scale = encoded.dense.mean(axis=0), _scale(encoded)
        self._dense = (encoded.dense - self._centre) * self._scale
        self._gram = self._dense.T @ self._dense
        self._rarity = _rarity(encoded.counts)
        self._counts = encoded.counts.weighted(self._rarity)
        self._mean_row = self._counts.transposed_dot(np.ones(self._counts.rows)) / self._counts.rows
        self._squares = self._counts.squares()

    def solve(self, target: Floats, penalties: Penalties) -> Solution:
        """Fits the target, one number a row. An infinite penalty leaves a part out."""
        columns = self._columns
        with_dense, with_hashed = math.isfinite(penalties.dense), math.isfinite(penalties.hashed)
        dense_penalty = penalties.dense if with_dense else 1.0
        hashed_penalty = penalties.hashed if with_hashed else 1.0
        inverse = np.linalg.inv(self._gram + dense_penalty * np.eye(columns)) * with_dense
        # Nothing moves along what the preconditioner takes to be nothing: that is how a part is left out.
        diagonal = with_hashed / (self._squares + hashed_penalty)

        def precondition(vector: Floats) -> Floats:
            return np.concatenate((inverse @ vector[:columns], diagonal * vector[columns:]))

        def image(weights: Floats) -> Floats:
            penalty = np.concatenate((dense_penalty * weights[:columns], hashed_penalty * weights[columns:]))
            return self._transposed_dot(self._dot(weights)) + penalty

        weights = _conjugate_gradients(image, self._transposed_dot(target - target.mean()), precondition)
        dense, hashed = weights[:columns] * self._scale, weights[columns:] * self._rarity
        bias = target.mean() - self._centre @ dense - self._mean_row @ weights[columns:]
        return Solution(bias=float(bias), dense=dense, hashed=hashed)

    def _dot(self, weights: Floats) -> Floats:
        hashed = weights[self._columns :]
        dotted: Floats = self._dense @ weights[: self._columns] + self._counts.dot(hashed) - self._mean_row @ hashed
        return dotted

    def _transposed_dot(self, residual: Floats) -> Floats:
        hashed = self._counts.transposed_dot(residual) - self._mean_row * residual.sum()
        return np.concatenate((self._dense.T @ residual, hashed))


def _conjugate_gradients(
    image: Callable[[Floats], Floats], wanted: Floats, precondition: Callable[[Floats], Floats]
) -> Floats:
    """The weights whose image is wanted."""
    weights = np.zeros_like(wanted)
    residual = wanted
    direction = towards = precondition(residual)
    size = start = residual @ towards
    for _ in range(_ITERATIONS):
        if size <= _TOLERANCE**2 * start:
            break
        moved = image(direction)
        step = size / (direction @ moved)
        weights = weights + step * direction
        residual = residual - step * moved
        towards = precondition(residual)
        previous, size = size, residual @ towards
        direction = towards + size / previous * direction
    return weights


def _scale(encoded: Encoded) -> Floats:
    """Makes columns of deviation one, divided so that rows have length one on average; constant columns go.

    What shipped weights make of a prompt counts for less than counters, and for less the more labels there are: it may come from
    outcomes of these very prompts (operators fit on public data too), and then looks better than it is.
    """
    deviation = encoded.dense.std(axis=0)
    varies = deviation > 1e-9
    is_plain = np.zeros(len(deviation), dtype=bool)
    is_plain[encoded.plain] = True
    trust = np.where(is_plain, 1.0, max(1.0, len(encoded.dense) / _TRUSTED_ROWS) ** -0.25)
    length = np.sqrt(max(1, (varies & is_plain).sum()))
    scale: Floats = np.where(varies, trust / np.where(varies, deviation, 1.0), 0.0) / length
    return scale


def _rarity(counts: Counts) -> Floats:
    """The logarithm of how rare each bucket is, scaled so that rows have length one on average; nothing for lone buckets."""
    rows = counts.occurrences()
    rarity = np.where(rows >= _FEWEST_ROWS, np.log1p(counts.rows / np.maximum(1, rows)), 0.0)
    length = np.sqrt(counts.weighted(rarity).squares().sum() / counts.rows)
    return rarity / length if length > 0 else rarity

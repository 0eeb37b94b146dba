"""Prompts as the arrays that a gain is learned from: the classifier's dense vector, and hashed counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from tierway_core.signals import BUCKETS, COUNTERS
from tierway_core.weights import Weights
from tierway_learn.arrays import Floats, Integers

__all__ = ["Counts", "Encoded", "Reader", "counters_of", "counters_only", "encode"]

_FAMILIES = 3


class Reader(Protocol):
    """What is needed of `tierway_core.Classifier`."""

    def vector(self, text: str) -> tuple[float, ...]:
        """The input of the network, then its raw outputs."""

    def buckets(self, text: str) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Ids of words, pairs and n-grams, with repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A sparse matrix, row by row: hashed ids and how often each occurs, divided by the root of the family's ids in the row."""

    starts: Integers
    """Where each row starts in the other arrays, and where the last ends."""
    buckets: Integers
    values: Floats

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Integers) -> "Counts":
        """The matrix of these rows, in this order."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        positions = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        return Counts(starts=starts, buckets=self.buckets[positions], values=self.values[positions])

    def weighted(self, weights: Floats) -> "Counts":
        """The matrix with each bucket's column multiplied by its weight."""
        return replace(self, values=self.values * weights[self.buckets])

    def dot(self, column: Floats) -> Floats:
        """The matrix by a column of one number a bucket."""
        # A sum that runs over all, then differences: unlike `reduceat`, it is right for rows without an id.
        running = np.concatenate(([0.0], np.cumsum(self.values * column[self.buckets])))
        dotted: Floats = running[self.starts[1:]] - running[self.starts[:-1]]
        return dotted

    def transposed_dot(self, row: Floats) -> Floats:
        """The transposed matrix by one number a row."""
        spread = np.repeat(row, np.diff(self.starts))
        dotted: Floats = np.bincount(self.buckets, self.values * spread, BUCKETS).astype(np.float64)
        return dotted

    def squares(self) -> Floats:
        """The sum of squares of each bucket's column."""
        squares: Floats = np.bincount(self.buckets, self.values**2, BUCKETS).astype(np.float64)
        return squares

    def occurrences(self) -> Integers:
        """In how many rows each bucket occurs (in how many of its families, where several share one)."""
        return np.bincount(self.buckets, minlength=BUCKETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Prompts as arrays, a row each."""

    dense: Floats
    """The classifier's vector."""
    counts: Counts
    plain: slice = field(default_factory=lambda: slice(None))
    """The columns of `dense` that owe nothing to outcomes: counters. The others are what shipped weights make of the prompt."""

    @property
    def is_plain(self) -> bool:
        """Whether no column owes anything to outcomes."""
        return self.plain == slice(None)

    def take(self, rows: Integers) -> "Encoded":
        """These rows, in this order."""
        return replace(self, dense=self.dense[rows], counts=self.counts.take(rows))


def counters_of(weights: Weights) -> slice:
    """Where the counters are in the vector of a classifier."""
    first = 3 * weights.columns
    return slice(first, first + len(COUNTERS))


def counters_only(encoded: Encoded) -> Encoded:
    """The prompts without what shipped weights make of them: counters and hashed counts."""
    return Encoded(dense=encoded.dense[:, encoded.plain], counts=encoded.counts)


def encode(reader: Reader, texts: Iterable[str], plain: slice = slice(None)) -> Encoded:
    """Reads the texts.

    Args:
        reader: a classifier.
        texts: the prompts.
        plain: the columns of its vector that owe nothing to outcomes.

    Raises:
        InvalidTextError: a text holds a lone surrogate.
    """
    dense: list[tuple[float, ...]] = []
    lengths: list[int] = []
    buckets: list[Integers] = []
    values: list[Floats] = []
    for text in texts:
        dense.append(reader.vector(text))
        length = 0
        for family in reader.buckets(text):
            ids, counts = np.unique(np.asarray(family, dtype=np.int64), return_counts=True)
            buckets.append(ids)
            values.append(counts / np.sqrt(max(1, len(family))))
            length += len(ids)
        lengths.append(length)
    return Encoded(
        dense=np.array(dense, dtype=np.float64).reshape(len(dense), -1),
        counts=Counts(
            starts=np.concatenate(([0], np.cumsum(np.array(lengths, dtype=np.int64)))),
            buckets=np.concatenate(buckets) if buckets else np.empty(0, dtype=np.int64),
            values=np.concatenate(values) if values else np.empty(0),
        ),
        plain=plain,
    )

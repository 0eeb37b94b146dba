"""Which fold a group belongs to: always the same one, in every data set and every process.

So weights trained without a fold, and a fit made without it, leave out the same prompts.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from tierway_learn.arrays import Integers

__all__ = ["fold_of", "folds_of"]


def fold_of(group: str, folds: int = 5) -> int:
    """The fold of a group, from 0."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % folds


def folds_of(groups: Sequence[str], folds: int = 5) -> Integers:
    """The folds of many groups."""
    return np.array([fold_of(group, folds) for group in groups], dtype=np.int64)

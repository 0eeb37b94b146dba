"""Signals of all texts, as arrays. They are read by the pure-Python specification, once, and cached in a temporary folder."""

import hashlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tierway_core import signals as specification
from tierway_core.signals import Signals, signals

FAMILIES = ("words", "pairs", "grams")


class Encoded:
    """Signals of texts: for each family all ids behind each other, and where each text's begin."""

    def __init__(
        self, ids: list[npt.NDArray[np.uint16]], starts: list[npt.NDArray[np.int64]], counters: npt.NDArray[np.float64]
    ):
        self.ids = ids
        self.starts = starts
        self.counters = counters

    def __len__(self) -> int:
        return len(self.counters)

    def thin(self, share: float, random: np.random.Generator) -> "Encoded":
        """The same texts with a random `share` of their ids left out."""
        ids, starts = [], []
        for all_ids, all_starts in zip(self.ids, self.starts, strict=True):
            kept = random.random(len(all_ids), dtype=np.float32) >= share
            ids.append(all_ids[kept])
            starts.append(np.concatenate([[0], np.cumsum(kept)])[all_starts])
        return Encoded(ids, starts, self.counters)

    def take(self, rows: npt.NDArray[np.int64]) -> "Encoded":
        """The signals of some of the texts."""
        ids, starts = [], []
        for all_ids, all_starts in zip(self.ids, self.starts, strict=True):
            first, lengths = all_starts[rows], all_starts[rows + 1] - all_starts[rows]
            begin = np.concatenate([[0], np.cumsum(lengths)])
            ids.append(all_ids[np.repeat(first - begin[:-1], lengths) + np.arange(begin[-1])])
            starts.append(begin)
        return Encoded(ids, starts, self.counters[rows])


def encode(texts: Sequence[str]) -> Encoded:
    """Reads the texts, or finds them in the cache."""
    key = hashlib.sha256(Path(specification.__file__).read_bytes())
    for text in texts:
        key.update(text.encode() + b"\0")
    cache = Path(tempfile.gettempdir()) / "tierway-training" / f"{key.hexdigest()[:24]}.npz"
    if cache.exists():
        stored = np.load(cache)
        return Encoded([stored[f] for f in FAMILIES], [stored[f"{f}_starts"] for f in FAMILIES], stored["counters"])
    with ProcessPoolExecutor(2) as pool:
        read = list(pool.map(_compact, texts, chunksize=200))
    ids = [np.concatenate([one[family] for one in read]) for family in range(3)]
    starts = [np.concatenate([[0], np.cumsum([len(one[family]) for one in read])]) for family in range(3)]
    counters = np.array([one[3] for one in read])
    cache.parent.mkdir(parents=True, exist_ok=True)
    named = dict(zip(FAMILIES, ids, strict=True)) | {f"{f}_starts": s for f, s in zip(FAMILIES, starts, strict=True)}
    np.savez(cache, counters=counters, **named)  # type: ignore[arg-type]  # numpy's stub takes the names for options
    return Encoded(ids, starts, counters)


def _compact(
    text: str,
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16], npt.NDArray[np.uint16], tuple[float, ...]]:
    read: Signals = signals(text)
    words, pairs, grams = (np.array(family, np.uint16) for family in read[:3])
    return words, pairs, grams, read.counters

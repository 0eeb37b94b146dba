"""Writes a fitted model as the file that `tierway_core.weights` reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from data import TRAINED
from domains import DOMAINS
from encode import Encoded
from fit import Model

from tierway_core.signals import BUCKETS, COUNTERS
from tierway_core.weights import Tensor, dump

SEEN_IN = 3
"""Texts that a word must be in to be familiar. Fewer would call noise familiar: one bucket in two has seen some word once."""


def seen_buckets(encoded: Encoded) -> npt.NDArray[np.bool_]:
    """Which buckets hold a word of at least SEEN_IN of these texts."""
    ids, starts = encoded.ids[0], encoded.starts[0]
    text = np.repeat(np.arange(len(encoded)), np.diff(starts))
    pairs = np.unique(text * BUCKETS + ids)
    return np.bincount(pairs % BUCKETS, minlength=BUCKETS) >= SEEN_IN


def quantisation_steps(table: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """For each column, what one step of a byte stands for: the step with the least error, rare buckets counting less.

    A few large numbers would leave the others coarse; cutting them off harms what is frequent.
    """
    largest = np.maximum(np.abs(table).max(0), 1e-6)
    weight = np.sqrt(counts)[:, None]
    candidates = [largest * share / 127 for share in (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2)]
    errors = [
        np.square((np.clip(np.rint(table / step), -127, 127) * step - table) * weight).sum(0) for step in candidates
    ]
    best: npt.NDArray[np.float32] = np.choose(np.argmin(errors, 0), candidates).astype(np.float32)
    return best


def export(
    path: Path,
    model: Model,
    encoded: Encoded,
    seen: npt.NDArray[np.bool_],
    confidence: Sequence[float],
    tier_lambda: float,
    theta_bands: Sequence[float],
    note: str,
    trained: str,
) -> None:
    """Quantises the table to a byte a number, column by column, and writes everything.

    Args:
        path: the file to write.
        model: what was fitted.
        encoded: the texts that it was fitted to: they tell which buckets are not empty.
        seen: which buckets hold familiar words.
        confidence: weights of the quantities of the confidence.
        tier_lambda: what cost is worth when a tier is named.
        theta_bands: mean ability of the models of each band.
        note: one sentence on what this is.
        trained: the date.
    """
    counts = sum(np.bincount(ids, minlength=BUCKETS) for ids in encoded.ids)
    table = np.where(
        counts[:, None] > 0, model.table.weights, 0
    )  # what was never trained is the noise that it started from
    step = quantisation_steps(table, counts)
    quantised = np.clip(np.rint(table / step), -127, 127).astype(np.int8)
    state = {name: value.detach().numpy() for name, value in model.network.state_dict().items()}
    numbers = {
        "table": quantised,
        "scales": state["scales"] * step,
        "mean": state["mean"],
        "deviation": state["deviation"],
        "w1": state["hidden.weight"].T,
        "b1": state["hidden.bias"],
        "skip": state["skip.weight"].T,
        "w2": state["heads.weight"].T,
        "b2": state["heads.bias"],
        "seen": np.packbits(seen, bitorder="little"),
        "confidence": np.array(confidence),
    }
    header = {
        "format": 1,
        "counters": list(COUNTERS),
        "domains": list(DOMAINS),
        "trained": trained,
        "data": list(TRAINED),
        "theta_bands": list(theta_bands),
        "tier_lambda": tier_lambda,
        "note": note,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump(header, {name: _tensor(array) for name, array in numbers.items()}))


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    dtype = {"int8": "i1", "uint8": "u1"}.get(array.dtype.name, "f4")
    stored = np.ascontiguousarray(array, "<f4" if dtype == "f4" else None)
    return Tensor(dtype=dtype, shape=stored.shape, data=stored.tobytes())

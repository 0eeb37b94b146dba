"""Small random weights, for tests that need a classifier and not a good one."""

import random
from array import array
from math import log
from typing import Any

from tierway_core import Classifier, Weights
from tierway_core.calibration import Ability, Calibration, Gain, Pair
from tierway_core.signals import BUCKETS, COUNTERS
from tierway_core.weights import FORMAT, QUANTITIES, Tensor, dump

DOMAINS = ("mathematics", "code", "chat")


def floats(*values: float, shape: tuple[int, ...] | None = None) -> Tensor:
    numbers = array("f", values)
    return Tensor(dtype="f4", shape=shape or (len(numbers),), data=numbers.tobytes())


def make_tensors(seed: int = 1, *, columns: int = 4, hidden: int = 3, **changes: Tensor) -> dict[str, Tensor]:
    """Random weights of these sizes, small enough that no output is extreme."""
    chance = random.Random(seed)
    inputs = 3 * columns + len(COUNTERS)
    outputs = 11 + len(DOMAINS)

    def draw(*shape: int, spread: float = 0.3) -> Tensor:
        size = 1
        for extent in shape:
            size *= extent
        return floats(*(chance.gauss(0.0, spread) for _ in range(size)), shape=shape)

    tensors = {
        "table": Tensor(dtype="i1", shape=(BUCKETS, columns), data=chance.randbytes(BUCKETS * columns)),
        "scales": draw(3, columns, spread=0.002),
        "mean": draw(len(COUNTERS)),
        "deviation": floats(*(chance.uniform(0.5, 2.0) for _ in COUNTERS)),
        "w1": draw(inputs, hidden),
        "b1": draw(hidden),
        "skip": draw(inputs, outputs, spread=0.1),
        "w2": draw(hidden, outputs),
        "b2": draw(outputs),
        "seen": Tensor(dtype="u1", shape=(BUCKETS // 8,), data=chance.randbytes(BUCKETS // 8)),
        "confidence": draw(QUANTITIES),
    }
    return tensors | changes


def certain_tensors(
    *,
    difficulty: float = 0.0,
    sigma: float = 1.0,
    domain: str = "mathematics",
    confidence: float = 0.9,
    familiarity: float = 0.0,
) -> dict[str, Tensor]:
    """Weights that say the same of every text; with `familiarity`, its logit rises by so much with the share of known words."""
    tensors = {
        name: Tensor(dtype=tensor.dtype, shape=tensor.shape, data=bytes(len(tensor.data)))
        for name, tensor in make_tensors(columns=1, hidden=1).items()
    }
    domains = [5.0 if name == domain else 0.0 for name in DOMAINS]
    outputs = [difficulty, log(sigma), *[0.0] * 5, *domains, 2.0, 0.0, 0.0, 0.0]
    logit = log(confidence / (1.0 - confidence))
    return tensors | {
        "b2": floats(*outputs),
        "deviation": floats(*[1.0] * len(COUNTERS)),
        "confidence": floats(logit, 0.0, familiarity, 0.0, 0.0, 0.0),
    }


def make_header(**changes: Any) -> dict[str, Any]:
    header = {
        "format": FORMAT,
        "counters": COUNTERS,
        "domains": DOMAINS,
        "trained": "2026-11-20",
        "data": ["nothing"],
        "theta_bands": [-1.5, -0.5, 0.5, 1.5, 2.5],
        "tier_lambda": 0.5,
        "note": "random",
    }
    return header | changes


def make_weights(seed: int = 1, **sizes: Any) -> Weights:
    return Weights.parse(dump(make_header(), make_tensors(seed, **sizes)))


def certain(calibration: Any = None, **judgement: Any) -> Classifier:
    """A classifier that says the same of every text; `calibration(weights)` makes its calibration."""
    weights = Weights.parse(dump(make_header(), certain_tensors(**judgement)))
    return Classifier(weights, calibration and calibration(weights))


def constant_gain(weights: Weights, gain: float) -> Gain:
    """A gain that is the same for every text."""
    return Gain(
        bias=gain,
        dense=(0.0,) * (weights.inputs + weights.outputs),
        column=bytes(BUCKETS),
        factors=(0.0, 0.0, 0.0),
    )


def make_gain(weights: Weights, seed: int = 1) -> Gain:
    chance = random.Random(seed)
    return Gain(
        bias=0.1,
        dense=tuple(chance.gauss(0.0, 0.05) for _ in range(weights.inputs + weights.outputs)),
        column=chance.randbytes(BUCKETS),
        factors=(0.001, -0.002, 0.0005),
    )


def make_calibration(
    weights: Weights,
    *,
    pair: tuple[str, str] | None = ("strong", "weak"),
    abilities: Any = None,
    gain: Gain | None = None,
) -> Calibration:
    return Calibration(
        weights=weights.identity,
        created="2026-11-20T12:00:00+00:00",
        labels=200,
        abilities={"strong": Ability(overall=2.0)} if abilities is None else abilities,
        pair=pair and Pair(strong=pair[0], weak=pair[1], gain=gain or make_gain(weights)),
    )


def make_classifier(seed: int = 1, **sizes: Any) -> Classifier:
    return Classifier(make_weights(seed, **sizes))

"""Weights whose judgement can be worked out by hand: the more words, the harder; all else is as it is stated."""

from __future__ import annotations

from array import array
from math import log
from pathlib import Path

from tests.core.networks import DOMAINS, floats, make_header, make_tensors
from tierway_core.calibration import Ability, Calibration, Gain, Pair, save
from tierway_core.signals import BUCKETS, COUNTERS
from tierway_core.weights import LABELS, QUANTITIES, Tensor, Weights, dump

DOMAIN, LABEL = "code", "COMPLEX"
"""What every query is judged to be."""
EASY = "Hello there"
HARD = "many words that say nothing at all " * 8
SIGMA = 0.5
_MIDDLE_WORDS = 12
_OUTPUTS = 11 + len(DOMAINS)


def write_weights(path: Path, *, confidence: float = 0.9) -> Weights:
    """Weights by which `EASY` has a difficulty of about -3 and `HARD` of 3, each with this confidence."""
    inputs = 3 + len(COUNTERS)
    skip = [0.0] * (inputs * _OUTPUTS)
    skip[(3 + COUNTERS.index("words")) * _OUTPUTS] = 1.0
    out = [0.0, log(SIGMA), -1.0, -0.5, 0.0, 0.5, 1.0]
    out += [2.0 if domain == DOMAIN else 0.0 for domain in DOMAINS]
    out += [2.0 if label == LABEL else 0.0 for label in LABELS]
    mean = [0.0] * len(COUNTERS)
    mean[COUNTERS.index("words")] = log(1 + _MIDDLE_WORDS)
    tensors = make_tensors(columns=1, hidden=1) | {
        "table": Tensor(dtype="i1", shape=(BUCKETS, 1), data=bytes(BUCKETS)),
        "scales": floats(*[0.0] * 3, shape=(3, 1)),
        "mean": floats(*mean),
        "deviation": floats(*[0.5] * len(COUNTERS)),
        "w1": floats(*[0.0] * inputs, shape=(inputs, 1)),
        "b1": floats(0.0),
        "skip": floats(*skip, shape=(inputs, _OUTPUTS)),
        "w2": floats(*[0.0] * _OUTPUTS, shape=(1, _OUTPUTS)),
        "b2": floats(*out),
        "confidence": floats(log(confidence / (1 - confidence)), *[0.0] * (QUANTITIES - 1)),
    }
    path.write_bytes(dump(make_header(), tensors))
    return Weights.load(path)


def write_calibration(
    path: Path, weights: Weights, *, abilities: dict[str, float], gain: float | None = None
) -> Calibration:
    """A calibration that states these abilities, and that `expert` gains this much over `nano` whatever is asked."""
    pair = None
    if gain is not None:
        size = weights.inputs + weights.outputs
        constant = Gain(bias=gain, dense=(0.0,) * size, column=array("b", bytes(BUCKETS)).tobytes(), factors=(0, 0, 0))
        pair = Pair(strong="expert", weak="nano", gain=constant)
    calibration = Calibration(
        weights=weights.identity,
        created="2026-11-20T12:00:00+00:00",
        labels=200,
        abilities={name: Ability(overall=ability) for name, ability in abilities.items()},
        pair=pair,
    )
    save(path, calibration)
    return calibration

"""What the classifier says of a text, and the pure-Python twin that says it: the specification of `_classifier.pyx`.

Everything is computed in doubles, each sum in the order in which it is written here, so that the two agree to the last bit
wherever `exp`, `log1p` and `sqrt` do.

1. Signals of the text (`tierway_core.signals`): buckets of three families (words, pairs, n-grams) and counters.
2. Pooled, for each family and column: scale * sum of the table's column over the buckets / sqrt(max(1, buckets)).
3. z: the pooled numbers of the three families, then the counters, each less its mean, by its deviation, clipped to CLIP.
4. out = b2 + z @ skip + relu(b1 + z @ w1) @ w2: difficulty, log_sigma, five bands, domains, labels.
5. Confidence: a logistic of QUANTITIES: how sure the network is, and how much of the text it has ever seen.
6. Tier: the band whose pass probability less its cost (COSTS), at the exchange rate of the weights, is the highest.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p, sqrt

from tierway_core.calibration import Gain
from tierway_core.signals import COUNTERS, Signals, signals
from tierway_core.weights import BANDS, LABELS, Weights

__all__ = ["CLIP", "COSTS", "QUANTITIES", "Assessment", "assess", "inputs", "logistic", "outputs", "vector"]

CLIP = 4.0
"""Counters count at most this many deviations from their means."""

SIGMA_CLIP = 5.0
"""log_sigma is held within this, so that sigma is a sane number."""

LOGISTIC_CLIP = 40.0
"""A logistic is 0 or 1 beyond this, for all that matters; its exponential never overflows."""

COSTS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""What an answer of each band's models costs, relative to the cheapest."""

QUANTITIES = ("one", "sigma", "familiarity", "words", "other scripts", "domain probability")
"""What confidence is a logistic of; words are log1p'd."""

_OTHER_SCRIPTS = COUNTERS.index("share of other scripts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the classifier says of a text."""

    difficulty: float
    """How difficult: a model of the same ability gets it right half of the time. About -4 to 4."""
    sigma: float
    """Standard deviation of what `difficulty` leaves open, above 0."""
    bands: tuple[float, ...]
    """The share of models of each of five bands of capability that get it right, 0 to 1, never falling."""
    domain: str
    """The most probable domain, one of the weights'."""
    domain_probability: float
    label: str
    """The most probable label: SIMPLE, MEDIUM, COMPLEX or REASONING."""
    label_probabilities: tuple[float, ...]
    """Of the four labels, in that order."""
    confidence: float
    """How far all this is to be trusted, 0 to 1."""
    familiarity: float
    """Share of the words that training had seen, 0 to 1; 0 without a word."""
    tier: int
    """The tier whose pass probability is worth its cost, 1 to 5."""
    gain: float | None
    """P(strong right) - P(weak right) of the calibrated pair; None without one."""


def assess(weights: Weights, text: str, gain: Gain | None = None) -> Assessment:
    """Assesses `text`.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    found = signals(text)
    z = inputs(weights, found)
    out = outputs(weights, z)
    difficulty, log_sigma = out[:2]
    bands = _rising([logistic(logit) for logit in out[2 : 2 + BANDS]])
    domains = _softmax(out[2 + BANDS : -len(LABELS)])
    labels = _softmax(out[-len(LABELS) :])
    domain = domains.index(max(domains))
    sigma = exp(_clipped(log_sigma, SIGMA_CLIP))
    familiarity = _familiarity(weights, found)
    quantities = (
        1.0,
        sigma,
        familiarity,
        log1p(len(found.words)),
        found.counters[_OTHER_SCRIPTS],
        domains[domain],
    )
    return Assessment(
        difficulty=difficulty,
        sigma=sigma,
        bands=tuple(bands),
        domain=weights.domains[domain],
        domain_probability=domains[domain],
        label=LABELS[labels.index(max(labels))],
        label_probabilities=tuple(labels),
        confidence=logistic(_dot(0.0, weights.tensors["confidence"].numbers(), quantities)),
        familiarity=familiarity,
        tier=_tier(bands, weights.tier_lambda),
        gain=None if gain is None else _gain(gain, [*z, *out], found),
    )


def vector(weights: Weights, text: str) -> tuple[float, ...]:
    """What goes into the network, then what comes out of it, raw: what `Gain.dense` weighs.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    z = inputs(weights, signals(text))
    return (*z, *outputs(weights, z))


def logistic(x: float) -> float:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + exp(-_clipped(x, LOGISTIC_CLIP)))


# ---- the network ------------------------------------------------------------------------------------------------------


def inputs(weights: Weights, found: Signals) -> list[float]:
    """z: what goes into the network."""
    table, columns = weights.tensors["table"].numbers(), weights.columns
    scales = weights.tensors["scales"].numbers()
    z = []
    for family, buckets in enumerate((found.words, found.pairs, found.grams)):
        root = sqrt(max(1, len(buckets)))
        sums = [0.0] * columns  # whole numbers, far below 2^53: exact
        for bucket in buckets:
            row = table[bucket * columns : (bucket + 1) * columns]
            sums = [total + number for total, number in zip(sums, row, strict=True)]
        z += [scales[family * columns + column] * sums[column] / root for column in range(columns)]
    means, deviations = weights.tensors["mean"].numbers(), weights.tensors["deviation"].numbers()
    for counter, mean, deviation in zip(found.counters, means, deviations, strict=True):
        z.append(_clipped((counter - mean) / deviation, CLIP))
    return z


def outputs(weights: Weights, z: Sequence[float]) -> list[float]:
    """out: what comes out of the network, raw."""
    hidden = [max(0.0, unit) for unit in _layer(weights, weights.tensors["b1"].numbers(), "w1", z)]
    skipped = _layer(weights, weights.tensors["b2"].numbers(), "skip", z)
    return _layer(weights, skipped, "w2", hidden)


def _layer(weights: Weights, start: Sequence[float], name: str, values: Sequence[float]) -> list[float]:
    """start + values @ matrix."""
    matrix, width = weights.tensors[name].numbers(), len(start)
    return [_dot(start[column], values, matrix[column::width]) for column in range(width)]


def _dot(start: float, left: Sequence[float], right: Sequence[float]) -> float:
    """The sum of the products, added to `start` one by one: Python's own `sum` rounds otherwise."""
    for one, other in zip(left, right, strict=True):
        start += one * other
    return start


# ---- what is made of its outputs ----------------------------------------------------------------------------------------


def _rising(values: Sequence[float]) -> list[float]:
    highest = values[0]
    return [highest := max(highest, value) for value in values]


def _softmax(logits: Sequence[float]) -> list[float]:
    highest = max(logits)
    exponentials = [exp(logit - highest) for logit in logits]
    total = _dot(0.0, exponentials, [1.0] * len(exponentials))
    return [exponential / total for exponential in exponentials]


def _familiarity(weights: Weights, found: Signals) -> float:
    seen = weights.tensors["seen"].data
    return sum(seen[bucket >> 3] >> (bucket & 7) & 1 for bucket in found.words) / max(1, len(found.words))


def _tier(bands: Sequence[float], tier_lambda: float) -> int:
    worth = [band - tier_lambda * cost / COSTS[-1] for band, cost in zip(bands, COSTS, strict=True)]
    return worth.index(max(worth)) + 1


def _gain(gain: Gain, numbers: Sequence[float], found: Signals) -> float:
    column = array("b", gain.column)
    total = _dot(gain.bias, gain.dense, numbers)
    for factor, buckets in zip(gain.factors, (found.words, found.pairs, found.grams), strict=True):
        total += factor * sum(column[bucket] for bucket in buckets) / sqrt(max(1, len(buckets)))
    return total


def _clipped(value: float, most: float) -> float:
    return min(max(value, -most), most)

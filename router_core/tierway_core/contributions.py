"""What in a text moved its difficulty most: counters, words, pairs and n-grams by name, each with how far it moved it.

The network is linear around each text (each hidden unit is on or off), so the difficulty is a sum: what every text starts
from, and a share of each input. An input of the table is itself a sum over buckets. Names come from the text, as it was
read: two words of one bucket count as one, under the name of the first.

Pure Python, some milliseconds for a long text: for who asks why, not for decisions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from tierway_core.assessment import inputs
from tierway_core.signals import COUNTERS, Reader, Signals, window
from tierway_core.weights import Weights

__all__ = ["Contribution", "contributions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """A share of the difficulty."""

    kind: str
    """`counter`, `word`, `pair` or `characters`."""
    name: str
    """A name of `signals.COUNTERS`; a word, two words, or 3 to 5 characters of the text, folded."""
    weight: float
    """What it added to the difficulty, on the scale of difficulty: above 0 made it harder, below 0 easier."""


def contributions(weights: Weights, text: str, most: int = 10) -> tuple[Contribution, ...]:
    """The `most` that moved the difficulty furthest, the furthest first.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    size, stretches = window(text)
    reader = _NamingReader()
    for stretch in stretches:
        reader.read(stretch)
    found = Signals(reader.words, reader.pairs, reader.grams, reader.counters(size))
    z = inputs(weights, found)
    slopes = _slopes(weights, z)
    shares = [
        *_of_counters(weights, z, slopes),
        *_of_buckets(weights, slopes, 0, "word", found.words, reader.word_names),
        *_of_buckets(weights, slopes, 1, "pair", found.pairs, reader.pair_names),
        *_of_buckets(weights, slopes, 2, "characters", found.grams, reader.gram_names),
    ]
    shares.sort(key=lambda share: -abs(share.weight))
    return tuple(share for share in shares[:most] if share.weight != 0.0)


class _NamingReader(Reader):
    """Reads, and keeps what each bucket was."""

    def __init__(self) -> None:
        super().__init__()
        self.word_names: list[str] = []
        self.pair_names: list[str] = []
        self.gram_names: list[str] = []
        self._word = ""
        self._before = ""

    def start_stretch(self) -> None:
        super().start_stretch()
        self._word = self._before = ""

    def add_word_character(self, point: int, folded: int) -> None:
        super().add_word_character(point, folded)
        self._word += chr(folded)

    def add_unspaced(self, point: int) -> None:
        self._word = chr(point)
        super().add_unspaced(point)

    def add_word(self, word_hash: int) -> None:
        super().add_word(word_hash)
        self.word_names.append(self._word)
        self.pair_names.append(f"{self._before} {self._word}".strip())
        self._word, self._before = "", self._word

    def add_gram_character(self, folded: int) -> None:
        super().add_gram_character(folded)
        recent = "".join(map(chr, self.recent))
        self.gram_names += [recent[-length:] for length in range(3, len(recent) + 1)]


def _slopes(weights: Weights, z: Sequence[float]) -> list[float]:
    """How the difficulty moves with each input, around these."""
    w1, b1, skip, w2 = (weights.tensors[name].numbers() for name in ("w1", "b1", "skip", "w2"))
    hidden, outputs = len(b1), weights.outputs
    slopes = [skip[place * outputs] for place in range(len(z))]
    for unit in range(hidden):
        column = w1[unit::hidden]
        if b1[unit] + sum(value * weight for value, weight in zip(z, column, strict=True)) > 0.0:
            slopes = [slope + weight * w2[unit * outputs] for slope, weight in zip(slopes, column, strict=True)]
    return slopes


def _of_counters(weights: Weights, z: Sequence[float], slopes: Sequence[float]) -> Iterator[Contribution]:
    first = 3 * weights.columns
    for name, value, slope in zip(COUNTERS, z[first:], slopes[first:], strict=True):
        yield Contribution(kind="counter", name=name, weight=value * slope)


def _of_buckets(
    weights: Weights, slopes: Sequence[float], family: int, kind: str, buckets: Sequence[int], names: Sequence[str]
) -> Iterator[Contribution]:
    table, columns = weights.tensors["table"].numbers(), weights.columns
    scales = weights.tensors["scales"].numbers()[family * columns : (family + 1) * columns]
    root = sqrt(max(1, len(buckets)))
    factors = [scale * slope / root for scale, slope in zip(scales, slopes[family * columns :][:columns], strict=True)]
    times: dict[int, int] = {}
    name_of: dict[int, str] = {}
    for bucket, name in zip(buckets, names, strict=True):
        times[bucket] = times.get(bucket, 0) + 1
        name_of.setdefault(bucket, name)
    for bucket, count in times.items():
        row = table[bucket * columns : (bucket + 1) * columns]
        weight = count * sum(factor * number for factor, number in zip(factors, row, strict=True))
        yield Contribution(kind=kind, name=name_of[bucket], weight=weight)

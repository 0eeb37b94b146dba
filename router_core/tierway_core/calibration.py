"""A calibration: what an operator's own outcomes add to the shipped weights. `tierway fit` writes it, the server loads it.

A small JSON file. It names the weights that it was fitted on, because its numbers mean nothing to others:

    {"version": 1, "weights": "<identity>", "created": "<ISO 8601>", "labels": 1500,
     "abilities": {"<model>": {"overall": 1.2, "domains": {"mathematics": 0.9}}},
     "pair": {"strong": "...", "weak": "...", "gain": {"bias": 0.1, "dense": [...], "column": "<base64>", "factors": [a, b, c]}}}

`abilities` may be empty, `pair` may be null, not both.
"""

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from tierway_core.errors import CalibrationError

__all__ = ["VERSION", "Ability", "Calibration", "Gain", "Pair", "load", "parse", "save", "to_json"]

VERSION = 1
"""The version of the file's format."""

_BUCKETS = 2**16
_FAMILIES = 3
_MAX_BYTES = 16 * 2**20
"""No calibration comes near this; a larger file is something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What sending a prompt to the strong model of a pair is expected to add: P(strong right) - P(weak right), about -1 to 1.

    With z' the input of the network followed by its raw outputs, and for each family of ids f (words, pairs, n-grams) of
    n_f ids:  gain = bias + dense . z' + sum over f of factors[f] * sum(column[id]) / sqrt(max(1, n_f)).
    """

    bias: float
    """The gain of a prompt of which nothing is known."""
    dense: tuple[float, ...]
    """A weight for each element of z'."""
    column: bytes
    """A signed byte for each of the 65,536 buckets."""
    factors: tuple[float, float, float]
    """From sums of the column to gain: words, pairs, n-grams."""

    def __post_init__(self) -> None:
        _finite("bias", self.bias)
        for index, weight in enumerate(self.dense):
            _finite(f"dense[{index}]", weight)
        if len(self.column) != _BUCKETS:
            raise CalibrationError("column", f"must have {_BUCKETS} bytes, has {len(self.column)}")
        if len(self.factors) != _FAMILIES:
            raise CalibrationError("factors", f"must have {_FAMILIES} numbers, has {len(self.factors)}")
        for index, factor in enumerate(self.factors):
            _finite(f"factors[{index}]", factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """How able a model is, on the scale of difficulty: it gets half of the prompts right that are as difficult as it is able."""

    overall: float
    """Where no domain says otherwise."""
    domains: Mapping[str, float] = field(default_factory=dict)
    """By domain of the prompt, for the domains with outcomes enough."""

    def __post_init__(self) -> None:
        _finite("overall", self.overall)
        for name, ability in self.domains.items():
            _finite(f"domains[{name!r}]", ability)
        object.__setattr__(self, "domains", MappingProxyType(dict(self.domains)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models, and what the strong one gains over the weak one."""

    strong: str
    """A model's name."""
    weak: str
    """Another model's name."""
    gain: Gain

    def __post_init__(self) -> None:
        for name, model in (("strong", self.strong), ("weak", self.weak)):
            if not model:
                raise CalibrationError(name, "must not be empty")
        if self.strong == self.weak:
            raise CalibrationError("weak", f"must be another model than the strong one, {self.strong!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Everything that was learned from an operator's outcomes. Immutable: a new file is a new object."""

    weights: str
    """Identity of the weights that it was fitted on."""
    created: str
    """When it was fitted: ISO 8601 with an offset."""
    labels: int
    """Rows that it was fitted on."""
    abilities: Mapping[str, Ability] = field(default_factory=dict)
    """By the model's name."""
    pair: Pair | None = None
    """The pair whose gain is known, if any."""

    def __post_init__(self) -> None:
        if not self.weights:
            raise CalibrationError("weights", "must not be empty")
        try:
            moment = datetime.fromisoformat(self.created)
        except ValueError:
            raise CalibrationError("created", f"must be a time in ISO 8601, not {self.created!r}") from None
        if moment.tzinfo is None:
            raise CalibrationError("created", f"must state its offset from UTC: {self.created!r}")
        if self.labels < 0:
            raise CalibrationError("labels", f"must not be negative: {self.labels}")
        if "" in self.abilities:
            raise CalibrationError("abilities", "a model's name must not be empty")
        if not self.abilities and self.pair is None:
            raise CalibrationError("abilities", "there is neither an ability nor a pair")
        object.__setattr__(self, "abilities", MappingProxyType(dict(self.abilities)))

    @property
    def identity(self) -> str:
        """16 hex digits that tell this calibration from others, whatever the layout of its file."""
        return hashlib.sha256(to_json(self).encode()).hexdigest()[:16]


def load(path: Path, weights_identity: str) -> Calibration:
    """Reads a calibration for the weights of this identity.

    Raises:
        OSError: the file cannot be read.
        CalibrationError: it is not valid, or made for other weights.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise CalibrationError("", f"a calibration has at most {_MAX_BYTES} bytes")
    calibration = parse(content)
    if calibration.weights != weights_identity:
        raise CalibrationError("weights", f"made for the weights {calibration.weights}, these are {weights_identity}")
    return calibration


def save(path: Path, calibration: Calibration) -> None:
    """Writes a calibration; who reads the path meanwhile sees the old file or the new one, never a part.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(to_json(calibration) + "\n", encoding="utf-8")
    draft.replace(path)


def to_json(calibration: Calibration) -> str:
    """The file's text, the same for equal calibrations."""
    pair = calibration.pair
    return json.dumps(
        {
            "version": VERSION,
            "weights": calibration.weights,
            "created": calibration.created,
            "labels": calibration.labels,
            "abilities": {
                model: {"overall": float(ability.overall), "domains": _floats(ability.domains)}
                for model, ability in sorted(calibration.abilities.items())
            },
            "pair": pair
            and {
                "strong": pair.strong,
                "weak": pair.weak,
                "gain": {
                    "bias": float(pair.gain.bias),
                    "dense": [float(weight) for weight in pair.gain.dense],
                    "column": base64.b64encode(pair.gain.column).decode(),
                    "factors": [float(factor) for factor in pair.gain.factors],
                },
            },
        }
    )


def parse(content: bytes) -> Calibration:
    """Reads a calibration from the bytes of its file.

    Raises:
        CalibrationError: it is not valid; names the field.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CalibrationError("", f"not JSON: {error}") from None
    fields = _object("", document, {"version", "weights", "created", "labels", "abilities", "pair"})
    version = _integer("version", fields["version"])
    if version != VERSION:
        raise CalibrationError("version", f"is {version}; this release reads {VERSION}")
    abilities = _object("abilities", fields["abilities"])
    return Calibration(
        weights=_text("weights", fields["weights"]),
        created=_text("created", fields["created"]),
        labels=_integer("labels", fields["labels"]),
        abilities={model: _ability(f"abilities[{model!r}]", value) for model, value in abilities.items()},
        pair=None if fields["pair"] is None else _pair(fields["pair"]),
    )


def _ability(path: str, value: object) -> Ability:
    fields = _object(path, value, {"overall", "domains"})
    domains = _object(f"{path}.domains", fields["domains"])
    with _inside(path):
        return Ability(
            overall=_number("overall", fields["overall"]),
            domains={name: _number(f"domains[{name!r}]", ability) for name, ability in domains.items()},
        )


def _pair(value: object) -> Pair:
    fields = _object("pair", value, {"strong", "weak", "gain"})
    gain = _object("pair.gain", fields["gain"], {"bias", "dense", "column", "factors"})
    with _inside("pair"):
        with _inside("gain"):
            words, pairs, grams = _numbers("factors", gain["factors"], _FAMILIES)
            learned = Gain(
                bias=_number("bias", gain["bias"]),
                dense=_numbers("dense", gain["dense"]),
                column=_column(gain["column"]),
                factors=(words, pairs, grams),
            )
        return Pair(strong=_text("strong", fields["strong"]), weak=_text("weak", fields["weak"]), gain=learned)


@contextmanager
def _inside(path: str) -> Iterator[None]:
    """Names the fields of errors raised inside from the root of the file."""
    try:
        yield
    except CalibrationError as error:
        raise CalibrationError(f"{path}.{error.path}", error.message) from None


def _object(path: str, value: object, keys: set[str] | None = None) -> dict[str, object]:
    """A JSON object, with exactly these keys if any are given."""
    if not isinstance(value, dict):
        raise CalibrationError(path, "must be an object")
    if keys is not None and value.keys() != keys:
        unknown, missing = sorted(value.keys() - keys), sorted(keys - value.keys())
        what = f"there is no field {unknown[0]!r}" if unknown else f"the field {missing[0]!r} is missing"
        raise CalibrationError(path, what)
    return value


def _text(path: str, value: object) -> str:
    if not isinstance(value, str):
        raise CalibrationError(path, "must be a string")
    return value


def _integer(path: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise CalibrationError(path, "must be a whole number")
    return value


def _number(path: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise CalibrationError(path, "must be a number")
    try:
        return float(value)
    except OverflowError:
        raise CalibrationError(path, "must be finite") from None


def _numbers(path: str, value: object, count: int | None = None) -> tuple[float, ...]:
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise CalibrationError(path, f"must be a list of {'' if count is None else f'{count} '}numbers")
    return tuple(_number(f"{path}[{index}]", item) for index, item in enumerate(value))


def _column(value: object) -> bytes:
    try:
        return base64.b64decode(_text("column", value), validate=True)
    except ValueError:
        raise CalibrationError("column", "must be base64") from None


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in sorted(values.items())}


def _finite(path: str, value: float) -> None:
    if not math.isfinite(value):
        raise CalibrationError(path, f"must be finite, not {value}")

"""Outcomes as they lie in files: JSONL, plain or gzip, one object a line.

    {"id": "q1", "prompt": "...", "group": "...", "outcomes": {"qwen3-4b": 1, "grok-4": 0.5}}

`id` and `prompt` must be there. `group` names what must not be split between learning and judging (default: a hash of the
prompt). Outcomes are numbers from 0 (wrong) to 1 (right), null where there is none, in any of three forms: `outcomes`, an object
by model; `correct`, a list in the order of a file of model names (`models.json`, by the name of the data set); fields whose name
ends in `_correct`, or that are asked for by name. `cost_usd` is a list beside `correct`. `label` or `tier` may hold one of the
four labels, `band_pass` five pass rates. Other fields are the owner's, and are kept as they are.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierway_core.weights import BANDS, LABELS
from tierway_learn.errors import DataError

__all__ = ["DataSet", "Row", "data_set_name", "read_data_set"]

_GZIP_MAGIC = b"\x1f\x8b"
_SUFFIX = "_correct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A prompt and what became of it."""

    id: str
    prompt: str
    group: str
    """Rows of one group are about the same."""
    outcomes: Mapping[str, float]
    """By model or field: 0 wrong, 1 right."""
    costs_usd: Mapping[str, float]
    """By model; empty where unknown."""
    label: str | None
    """One of the four labels."""
    band_pass: tuple[float, ...] | None
    """Pass rates of five bands of models, the cheapest first."""
    fields: Mapping[str, Any]
    """The whole object, as it stood in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """The rows of one file."""

    name: str
    rows: Sequence[Row]

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """Whose outcomes there are, by first appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.outcomes))

    def where(self, holds: Callable[[Row], bool]) -> "DataSet":
        """The rows for which `holds` does, under the same name."""
        return DataSet(name=self.name, rows=[row for row in self.rows if holds(row)])


def data_set_name(path: Path) -> str:
    """The name of a data set: its file's name without `.jsonl` and `.gz`."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def read_data_set(path: Path, models: Path | None = None, fields: Iterable[str] = ()) -> DataSet:
    """Reads a file of outcomes.

    Args:
        path: the file; gzip is known by its content.
        models: names of the models of `correct`, by data set. Default: `models.json` beside the file, if a row needs it.
        fields: further fields that hold an outcome.

    Raises:
        OSError: a file cannot be read.
        DataError: a line, or the file of models, is not as it should be; says where.
    """
    name = data_set_name(path)
    names = _Names(models or path.with_name("models.json"), name)
    rows = []
    for number, line in _lines(path):
        rows.append(_Line(path, number, line).row(names, tuple(fields)))
    if not rows:
        raise DataError(path, 0, "", "has no row")
    return DataSet(name=name, rows=rows)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == _GZIP_MAGIC
    number = 0
    try:
        with gzip.open(path, "rb") if is_gzip else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line.decode()
    except UnicodeDecodeError as error:
        raise DataError(path, number, "", f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(path, number, "", f"broken gzip: {error}") from None


class _Names:
    """Names of the models of `correct`, read when a row needs them."""

    def __init__(self, path: Path, data_set: str) -> None:
        self._path = path
        self._data_set = data_set
        self._names: list[str] | None = None

    def get(self) -> list[str]:
        if self._names is None:
            self._names = self._read()
        return self._names

    def _read(self) -> list[str]:
        try:
            by_data_set = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            raise DataError(self._path, 0, "", "is missing, and `correct` has no names without it") from None
        except ValueError as error:
            raise DataError(self._path, 0, "", f"not JSON: {error}") from None
        if not isinstance(by_data_set, dict):
            raise DataError(self._path, 0, "", "must be an object of lists of names")
        names = by_data_set.get(self._data_set)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(self._path, 0, self._data_set, "must be a list of the models' names")
        return names


class _Line:
    """One line, as it is checked."""

    def __init__(self, path: Path, number: int, text: str) -> None:
        self._path = path
        self._number_of_line = number
        try:
            self._fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._error("", f"not JSON: {error}") from None
        if not isinstance(self._fields, dict):
            raise self._error("", "must be an object")

    def row(self, names: _Names, fields: tuple[str, ...]) -> Row:
        prompt = self._text("prompt")
        try:
            encoded = prompt.encode()
        except UnicodeEncodeError as error:
            raise self._error("prompt", f"has a lone surrogate at index {error.start}") from None
        group = (
            self._text("group") if self._fields.get("group") is not None else hashlib.sha256(encoded).hexdigest()[:16]
        )
        return Row(
            id=self._id(),
            prompt=prompt,
            group=group,
            outcomes=self._outcomes(names, fields),
            costs_usd=self._listed("cost_usd", names, most=math.inf),
            label=self._label(),
            band_pass=self._band_pass(),
            fields=self._fields,
        )

    def _id(self) -> str:
        value = self._fields.get("id")
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self._text("id")

    def _outcomes(self, names: _Names, fields: tuple[str, ...]) -> dict[str, float]:
        by_model = self._fields.get("outcomes", {})
        if not isinstance(by_model, dict):
            raise self._error("outcomes", "must be an object of numbers by model")
        found = {model: (f"outcomes.{model}", value) for model, value in by_model.items()}
        for field, value in self._fields.items():
            if field in fields or field.endswith(_SUFFIX):
                found.setdefault(field, (field, value))
        outcomes = {name: self._number(where, value) for name, (where, value) in found.items() if value is not None}
        return self._listed("correct", names) | outcomes

    def _listed(self, field: str, names: _Names, most: float = 1.0) -> dict[str, float]:
        values = self._fields.get(field)
        if values is None:
            return {}
        if not isinstance(values, list):
            raise self._error(field, "must be a list of numbers, one a model")
        models = names.get()
        if len(values) != len(models):
            raise self._error(field, f"has {len(values)} values for {len(models)} models")
        return {
            model: self._number(f"{field}[{index}]", value, most)
            for index, (model, value) in enumerate(zip(models, values, strict=True))
            if value is not None
        }

    def _label(self) -> str | None:
        for field in ("label", "tier"):
            value = self._fields.get(field)
            if isinstance(value, str):
                if value not in LABELS:
                    raise self._error(field, f"must be one of {', '.join(LABELS)}, not {value!r}")
                return value
        return None

    def _band_pass(self) -> tuple[float, ...] | None:
        values = self._fields.get("band_pass")
        if values is None:
            return None
        if not isinstance(values, list) or len(values) != BANDS:
            raise self._error("band_pass", f"must be a list of {BANDS} numbers")
        if None in values:
            return None
        return tuple(self._number(f"band_pass[{index}]", value) for index, value in enumerate(values))

    def _text(self, field: str) -> str:
        value = self._fields.get(field)
        if not isinstance(value, str):
            raise self._error(field, "is missing" if value is None else "must be a string")
        return value

    def _number(self, field: str, value: object, most: float = 1.0) -> float:
        if not isinstance(value, int | float) or not 0 <= value <= most:
            raise self._error(
                field, f"must be a number from 0 to {most:g}" if math.isfinite(most) else "must be a number from 0"
            )
        return float(value)

    def _error(self, field: str, message: str) -> DataError:
        return DataError(self._path, self._number_of_line, field, message)

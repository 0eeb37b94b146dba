"""The weights of the classifier: one file, made by training and only read here.

    TIERWAY1  <length of the header, 4 bytes, little-endian>  <header, JSON>  <data of the tensors, little-endian>

The header has the keys of HEADER; its `tensors` list name, dtype (`f4`, `i1`, `u1`) and shape of each tensor, whose data
follow in that order without gaps. TENSORS says which there are. `tierway_core.assessment` says what they mean.

K columns, C counters, H hidden units and D domains are whatever the shapes say, up to MOST; Z = 3K + C numbers go into the
network, and O = 11 + D come out.
"""

import hashlib
import json
import math
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

from tierway_core.errors import WeightsError
from tierway_core.signals import BUCKETS, COUNTERS

__all__ = ["BANDS", "FORMAT", "HEADER", "LABELS", "MOST", "TENSORS", "Tensor", "Weights", "dump"]

MAGIC = b"TIERWAY1"
FORMAT = 1
"""The version of the meaning of the tensors."""

BANDS = 5
"""Bands of capability: tiers."""

LABELS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
"""The labels, in the order of their outputs."""

FAMILIES = 3

HEADER = ("format", "counters", "domains", "trained", "data", "theta_bands", "tier_lambda", "note", "tensors")
"""Keys of the header."""

TENSORS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "table": ("i1", "BK"),
        "scales": ("f4", "FK"),
        "mean": ("f4", "C"),
        "deviation": ("f4", "C"),
        "w1": ("f4", "ZH"),
        "b1": ("f4", "H"),
        "skip": ("f4", "ZO"),
        "w2": ("f4", "HO"),
        "b2": ("f4", "O"),
        "seen": ("u1", "S"),
        "confidence": ("f4", "Q"),
    }
)
"""Dtype and shape of each tensor, in letters: B buckets, F families, S = B/8, Q quantities of confidence, and those above."""

QUANTITIES = 6
"""Quantities that the confidence is made of; `tierway_core.assessment` names them."""

MOST = MappingProxyType({"K": 64, "C": 64, "H": 128, "D": 32})
"""The largest sizes: the compiled classifier's work space is on the stack."""

_MAX_BYTES = 16 * 2**20
_ITEM_BYTES = {"f4": 4, "i1": 1, "u1": 1}
_TYPECODES = {"f4": "f", "i1": "b", "u1": "B"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An array of numbers, row by row.

    Raises:
        WeightsError: the data are not as long as the shape says.
    """

    dtype: str
    """`f4`, `i1` or `u1`."""
    shape: tuple[int, ...]
    data: bytes
    """Little-endian."""

    def __post_init__(self) -> None:
        if self.dtype not in _ITEM_BYTES:
            raise WeightsError("", f"a tensor is of {', '.join(_ITEM_BYTES)}, not {self.dtype!r}")
        size = math.prod(self.shape) * _ITEM_BYTES[self.dtype]
        if len(self.data) != size:
            raise WeightsError("", f"a tensor of {size} bytes has {len(self.data)}")

    def numbers(self) -> Sequence[float]:
        """The numbers in a row."""
        numbers = array(_TYPECODES[self.dtype], self.data)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Validated weights: however they were made, every tensor is there and of the size that the others ask for. Immutable.

    Raises:
        WeightsError: they are not valid; names the value at fault.
    """

    identity: str
    """The first 16 hex digits of the SHA-256 of the file: calibrations name the weights that they belong to by it."""
    header: Mapping[str, object]
    """The header, as it is in the file."""
    tensors: Mapping[str, Tensor]
    """By name: all of TENSORS."""

    def __post_init__(self) -> None:
        _check_shapes(self.header, self.tensors)
        object.__setattr__(self, "header", MappingProxyType(dict(self.header)))
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))

    @classmethod
    def default(cls) -> Self:
        """The weights that are shipped."""
        return cls.load(Path(__file__).with_name("data") / "classifier.weights")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file of weights.

        Raises:
            OSError: the file cannot be read.
            WeightsError: it is not valid.
        """
        with path.open("rb") as file:
            return cls.parse(file.read(_MAX_BYTES + 1))

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Reads weights from the bytes of their file.

        Raises:
            WeightsError: they are not valid; names the value at fault.
        """
        if len(content) > _MAX_BYTES:
            raise WeightsError("", f"weights have at most {_MAX_BYTES} bytes")
        if content[: len(MAGIC)] != MAGIC or len(content) < len(MAGIC) + 4:
            raise WeightsError("", f"not a file of weights: it does not start with {MAGIC.decode()}")
        (length,) = struct.unpack_from("<I", content, len(MAGIC))
        start = len(MAGIC) + 4 + length
        if start > len(content):
            raise WeightsError("", "the file ends within its header")
        header = _read_header(content[len(MAGIC) + 4 : start])
        tensors = _read_tensors(header["tensors"], memoryview(content)[start:])
        return cls(identity=hashlib.sha256(content).hexdigest()[:16], header=header, tensors=tensors)

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains, in the order of their outputs."""
        return tuple(self.header["domains"])  # type: ignore[arg-type]  # checked when parsed

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets that the weights were trained on."""
        return tuple(self.header["data"])  # type: ignore[arg-type]

    @property
    def tier_lambda(self) -> float:
        """What a tier's cost, as a share of the dearest tier's, is worth in pass probability."""
        return float(self.header["tier_lambda"])  # type: ignore[arg-type]

    @property
    def columns(self) -> int:
        """K, the columns of the table."""
        return self.tensors["table"].shape[1]

    @property
    def inputs(self) -> int:
        """Z, the numbers that go into the network."""
        return self.tensors["w1"].shape[0]

    @property
    def outputs(self) -> int:
        """O, the numbers that come out of it."""
        return self.tensors["b2"].shape[0]


def dump(header: Mapping[str, object], tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a file of weights. `header` has all keys of HEADER but `tensors`.

    Raises:
        WeightsError: they are not valid.
    """
    directory = [{"name": name, "dtype": tensor.dtype, "shape": tensor.shape} for name, tensor in tensors.items()]
    encoded = json.dumps({**header, "tensors": directory}, ensure_ascii=False).encode()
    data = b"".join(tensor.data for tensor in tensors.values())
    content = MAGIC + struct.pack("<I", len(encoded)) + encoded + data
    Weights.parse(content)
    return content


def _read_header(encoded: bytes) -> dict[str, object]:
    try:
        header = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise WeightsError("header", f"not JSON: {error}") from None
    if not isinstance(header, dict):
        raise WeightsError("header", "must be an object")
    for key in HEADER:
        if key not in header:
            raise WeightsError(key, "is missing")
    if header["format"] != FORMAT:
        raise WeightsError("format", f"is {header['format']}; this release reads {FORMAT}")
    if _strings("counters", header["counters"]) != COUNTERS:
        raise WeightsError("counters", "are not those of this release")
    _strings("domains", header["domains"])
    _strings("data", header["data"])
    if len(_reals("theta_bands", header["theta_bands"])) != BANDS:
        raise WeightsError("theta_bands", f"must have {BANDS} numbers")
    if _reals("tier_lambda", [header["tier_lambda"]])[0] < 0.0:
        raise WeightsError("tier_lambda", "must not be negative")
    return header


def _read_tensors(directory: object, data: memoryview) -> dict[str, Tensor]:
    if not isinstance(directory, list):
        raise WeightsError("tensors", "must be a list")
    tensors: dict[str, Tensor] = {}
    at = 0
    for place, entry in enumerate(directory):
        name, dtype, shape = _entry(f"tensors[{place}]", entry)
        if name in tensors:
            raise WeightsError(f"tensors.{name}", "is listed twice")
        size = math.prod(shape) * _ITEM_BYTES[dtype]
        if at + size > len(data):
            raise WeightsError(f"tensors.{name}", "the file ends within its data")
        tensors[name] = Tensor(dtype=dtype, shape=shape, data=bytes(data[at : at + size]))
        at += size
    if at != len(data):
        raise WeightsError("", f"{len(data) - at} bytes follow the last tensor")
    return tensors


def _entry(path: str, entry: object) -> tuple[str, str, tuple[int, ...]]:
    if not isinstance(entry, dict) or entry.keys() != {"name", "dtype", "shape"}:
        raise WeightsError(path, "must be an object of name, dtype and shape")
    name, dtype, shape = entry["name"], entry["dtype"], entry["shape"]
    if name not in TENSORS:
        raise WeightsError(f"{path}.name", f"there is no tensor {name!r}")
    if dtype != TENSORS[name][0]:
        raise WeightsError(f"tensors.{name}.dtype", f"must be {TENSORS[name][0]}, not {dtype!r}")
    if not isinstance(shape, list) or not all(type(size) is int and 0 < size <= BUCKETS for size in shape):
        raise WeightsError(f"tensors.{name}.shape", f"must be a list of sizes from 1 to {BUCKETS}")
    return name, dtype, tuple(shape)


def _check_shapes(header: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Every size follows from those of `table`, `w1` and the header's lists; then the numbers themselves."""
    for name in TENSORS:
        if name not in tensors:
            raise WeightsError(f"tensors.{name}", "is missing")
    domains = len(_strings("domains", header["domains"]))
    sizes = {"B": BUCKETS, "F": FAMILIES, "S": BUCKETS // 8, "Q": QUANTITIES, "C": len(COUNTERS), "D": domains}
    for letter, name in (("K", "table"), ("H", "w1")):
        shape = tensors[name].shape
        if len(shape) != 2:
            raise WeightsError(f"tensors.{name}.shape", "must have two sizes")
        sizes[letter] = shape[1]
    for letter, most in MOST.items():
        if sizes[letter] > most:
            raise WeightsError("", f"there are {sizes[letter]} {_WHAT[letter]}, at most {most} can be")
    sizes["Z"] = FAMILIES * sizes["K"] + sizes["C"]
    sizes["O"] = 2 + BANDS + domains + len(LABELS)
    for name, (dtype, letters) in TENSORS.items():
        expected = tuple(sizes[letter] for letter in letters)
        if tensors[name].dtype != dtype:
            raise WeightsError(f"tensors.{name}.dtype", f"must be {dtype}, not {tensors[name].dtype!r}")
        if tensors[name].shape != expected:
            raise WeightsError(f"tensors.{name}.shape", f"must be {list(expected)}, not {list(tensors[name].shape)}")
        if dtype == "f4" and not all(map(math.isfinite, tensors[name].numbers())):
            raise WeightsError(f"tensors.{name}", "must be finite")
    if min(tensors["deviation"].numbers()) <= 0.0:
        raise WeightsError("tensors.deviation", "must be above 0")


_WHAT = {"K": "columns", "C": "counters", "H": "hidden units", "D": "domains"}


def _strings(path: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise WeightsError(path, "must be a list of names")
    if len(set(value)) != len(value):
        raise WeightsError(path, "has a name twice")
    return tuple(value)


def _reals(path: str, value: object) -> Sequence[float]:
    if not isinstance(value, list) or not all(_is_finite(item) for item in value):
        raise WeightsError(path, "must be finite numbers")
    return value


def _is_finite(item: object) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item)

"""Checks of single values. Every function raises TableError with the path of the value when it is out of bounds."""

import math
from collections.abc import Iterable

from tierway_core.errors import TableError

__all__ = ["check_integer", "check_known", "check_name", "check_number", "check_positive"]


def check_name(path: str, name: str) -> None:
    """It is not empty."""
    if not name:
        raise TableError(path, "must not be empty")


def check_integer(path: str, value: int, least: int, most: int) -> None:
    """It is within bounds."""
    if not least <= value <= most:
        raise TableError(path, f"must be {least} to {most}, not {value}")


def check_number(path: str, value: float, most: float) -> None:
    """It is 0 or more, and finite."""
    # The comparison is false for NaN; infinity is never meant.
    if not (0.0 <= value <= most and math.isfinite(value)):
        bounds = f"0 to {most:g}" if math.isfinite(most) else "0 or more, and finite"
        raise TableError(path, f"must be {bounds}, not {value:g}")


def check_positive(path: str, value: float) -> None:
    """It is above 0, and finite."""
    if not 0.0 < value < math.inf:
        raise TableError(path, f"must be above 0, and finite, not {value:g}")


def check_known(path: str, name: str, known: Iterable[str], what: str) -> None:
    """It is one of the names."""
    names = tuple(known)
    if name not in names:
        raise TableError(path, f"there is no {what} {name!r} (known: {', '.join(names) or 'none'})")

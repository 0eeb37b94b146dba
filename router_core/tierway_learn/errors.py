"""What learning and judging raise.

LearnError
|-- DataError          a file of outcomes that cannot be read: says where
|-- TooFewLabelsError  too few outcomes to learn from
`-- UnknownNameError   a pair names a model or a field that the data do not have

Bad JSON, a number out of range, a file of other names: all are DataError, with the file and the line.
"""

from collections.abc import Iterable
from pathlib import Path

__all__ = ["DataError", "LearnError", "TooFewLabelsError", "UnknownNameError"]


class LearnError(Exception):
    """The root of all errors of this package."""


class DataError(LearnError):
    """A file of outcomes cannot be read.

    Attributes:
        path: the file.
        line: the line at fault, from 1; 0 for the file as a whole.
        field: the field at fault; empty for the line as a whole.
        message: what is wrong with it.
    """

    def __init__(self, path: Path, line: int, field: str, message: str) -> None:
        where = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{where}: {field}: {message}" if field else f"{where}: {message}")
        self.path = path
        self.line = line
        self.field = field
        self.message = message


class TooFewLabelsError(LearnError):
    """There are too few outcomes to learn from.

    Attributes:
        what: what was to be learned.
        labels: how many there are.
        needed: how many there must be.
    """

    def __init__(self, what: str, labels: int, needed: int) -> None:
        super().__init__(f"{what}: {labels} labelled rows are too few, at least {needed} are needed")
        self.what = what
        self.labels = labels
        self.needed = needed


class UnknownNameError(LearnError):
    """No row has an outcome of this name.

    Attributes:
        name: the name that was asked for.
        known: the names that there are.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(f"no row has an outcome named {name!r} (known: {', '.join(self.known) or 'none'})")

"""How values look on a terminal, and as JSON for machines."""

import dataclasses
import enum
import json
import math
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tierway_client import DeploymentStats

# Wide enough for every column: a file has no edge to wrap at.
_FILE_WIDTH_COLUMNS = 240

_CONTROL_CHARACTERS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """The text without control characters: what a model writes must not command the terminal."""
    return text.translate(_CONTROL_CHARACTERS)


def one_line(text: str) -> str:
    """The text on one line, without control characters."""
    return " ".join(printable(text).split())


def usd(amount_usd: float) -> str:
    """An amount with three significant digits and never an exponent: `$0.00000125`, `$12.50`."""
    if amount_usd == 0 or not math.isfinite(amount_usd):
        return f"${amount_usd:g}"
    decimals = max(2, 2 - math.floor(math.log10(abs(amount_usd))))
    return f"${amount_usd:.{decimals}f}"


def number(value: float | None) -> str:
    """A number with two decimals; a dash when there is none."""
    return "-" if value is None else f"{value:.2f}"


def milliseconds(seconds: float | None) -> str:
    """A span of time in milliseconds; a dash when it is not known."""
    return "-" if seconds is None else f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def breaker(deployment: DeploymentStats) -> str:
    """How the circuit breaker of a deployment stands: `half open`, `open, held`."""
    return deployment.breaker.name.lower().replace("_", " ") + (", held" if deployment.breaker_forced else "")


def percentage(share: float) -> str:
    """A share of one as a percentage, to a millionth: `99 %`, `99.995 %`; what is nearer to all than that, but not all, says so."""
    if 0.999_999 < share < 1:
        return "> 99.9999 %"
    return f"{100 * share:.4f}".rstrip("0").rstrip(".") + " %"


def minutes(amount: float) -> str:
    """A number of minutes with three significant digits: `432 min`, `2.16 min`; what is less than a second says so."""
    return "< 0.01 min" if 0 < amount < 0.01 else f"{amount:.3g} min"


def to_json(value: object) -> str:
    """A result of the client as one line of JSON: its fields by name, enum members by name, times in ISO 8601."""
    return json.dumps(_plain(value), ensure_ascii=False)


def print_json(value: object) -> None:
    """Prints `to_json` of the value."""
    click.echo(to_json(value))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, title: str | None = None) -> None:
    """Prints a table. Cells are shown as they are: no markup of what a server sent is followed."""
    table = Table(*columns, box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    # Made where it is used: the streams of a process are not fixed when modules are imported.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _FILE_WIDTH_COLUMNS, highlight=False).print(table)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key.name if isinstance(key, enum.Enum) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

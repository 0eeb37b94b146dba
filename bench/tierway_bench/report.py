"""What a benchmark says: percentiles, medians with their range, a table for people and JSON for everything else."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds, and the lowest and highest of them: on a shared machine the range says how far to trust it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, decimals: int) -> str:
        """The spread for a table: `0.95 (0.93 to 0.97)`."""
        return f"{self.median:,.{decimals}f} ({self.low:,.{decimals}f} to {self.high:,.{decimals}f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` % of `values` do not exceed (nearest rank: a value that occurred, never a mean of two).

    Args:
        values: at least one, in any order.
        percent: above 0, at most 100.

    """
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs a value, and a percentage above 0 and at most 100")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def ratios(values: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Round by round `values` over `baseline`: neighbours in time share the machine's mood, so their ratio is steadier than either."""
    return Spread.of([value / base for value, base in zip(values, baseline, strict=True)])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        return "  ".join(
            [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        ).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a figure was measured."""

    cores: int
    load_average: float
    """Runnable processes over the last minute, before the benchmark added its own."""
    python: str
    system: str

    @classmethod
    def here(cls) -> Machine:
        """This machine, now."""
        return cls(
            len(os.sched_getaffinity(0)), round(os.getloadavg()[0], 2), platform.python_version(), platform.platform()
        )

    def text(self) -> str:
        """One line."""
        return f"{self.cores} cores, load {self.load_average}, Python {self.python}, {self.system}"


def write_json(path: Path | None, machine: Machine, command: Sequence[str], results: Mapping[str, object]) -> None:
    """Write the report to `path`, if there is one."""
    if path is not None:
        document = {"command": list(command), "machine": asdict(machine), **results}
        path.write_text(json.dumps(document, indent=2, default=asdict) + "\n")

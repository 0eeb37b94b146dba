"""Judgements as JSON, and as lines of a table."""

import math
from collections.abc import Iterable, Sequence

from tierway_learn.evaluate import Judgement
from tierway_learn.metrics import Interval

__all__ = ["PUBLISHED", "columns", "lines", "to_json_object"]

PUBLISHED = (
    (
        "RouteLLM, best published (BERT, causal LLM, MF, SW)",
        "MMLU .603 / 35.4 / 70.3, GSM8K .622 / 33.6 / 63.3",
        "6 to 345 ms",
    ),
)
"""Figures of others that are not computed here, on all rows of RouteLLM's sets: APGR / CPT(50 %) / CPT(80 %), cost of a decision."""


def columns(judgement: Judgement) -> list[str]:
    """The figures that any method has, in the order in which they first appear."""
    return list(dict.fromkeys(name for judged in judgement.judged for name in judged.figures))


def lines(judgement: Judgement) -> Iterable[Sequence[str]]:
    """A line for each method: its name, then its figures with their intervals; a dash where it has none."""
    names = columns(judgement)
    for judged in judgement.judged:
        yield (judged.method, *(_shown(name, judged.figures.get(name)) for name in names))


def to_json_object(judgement: Judgement) -> dict[str, object]:
    """The judgement as JSON has it; what is not a number is null."""
    return {
        "data_set": judgement.data_set,
        "question": judgement.question,
        "rows": judgement.rows,
        "facts": dict(judgement.facts),
        "note": judgement.note,
        "methods": [
            {
                "method": judged.method,
                "figures": {name: _plain(interval) for name, interval in judged.figures.items()},
            }
            for judged in judgement.judged
        ],
    }


def _plain(interval: Interval) -> dict[str, float | None]:
    values = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _shown(name: str, interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.value):
        return "-"
    decimals = 1 if name.startswith(("CPT", "label", "cost to")) else 3
    return f"{interval.value:.{decimals}f} [{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"

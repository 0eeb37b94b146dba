"""What the class rules' detection of code and of planning is worth, on questions sorted by scenario: part of `make train-report`.

The rules (`tierway_core.text`) are written by hand; autoj_scenarios only judges them. Beside them: any one of a few plain keywords.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data import rows

from tierway_core import extract

CHECKOUT = Path(__file__).parent.parent
KEYWORDS = {
    "code": ("code", "function", "python", "program", "script", "algorithm", "class", "implement"),
    "planning": ("plan", "design", "strategy", "schedule", "steps", "develop", "organize", "roadmap"),
}


def precision_and_recall(truth: Sequence[bool], found: Sequence[bool]) -> str:
    """Both, in per cent."""
    hits = sum(is_so and is_found for is_so, is_found in zip(truth, found, strict=True))
    return f"precision {100 * hits / max(1, sum(found)):.0f} %, recall {100 * hits / max(1, sum(truth)):.0f} %"


def main() -> None:
    """Judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared/routing", help="folder of the data sets")
    questions = list(rows(parser.parse_args().data, "autoj_scenarios"))
    features = [extract(row["prompt"]) for row in questions]
    for name, found in (
        ("code", [each.code for each in features]),
        ("planning", [each.planning for each in features]),
    ):
        truth = [name in row["subject"] for row in questions]
        plain = [any(word in row["prompt"].lower() for word in KEYWORDS[name]) for row in questions]
        print(
            f"{name} in {sum(truth)} of {len(truth)} questions: rules {precision_and_recall(truth, found)}; "
            f"keywords {precision_and_recall(truth, plain)}"
        )


if __name__ == "__main__":
    main()

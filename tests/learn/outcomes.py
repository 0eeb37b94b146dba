"""Prompts and outcomes written for the tests: who gets what right is known, because it is made up here."""

import json
import random
from pathlib import Path
from typing import Any

EASY = ("name the capital of", "what colour is", "how many legs has", "spell the word", "say hello to")
HARD = (
    "prove that",
    "derive the spectrum of",
    "integrate by parts",
    "refute the claim about",
    "classify all groups of",
)
THINGS = (
    "France",
    "the sky",
    "a spider",
    "a lemon",
    "a graph",
    "an operator",
    "a lattice",
    "the harbour",
    "an equation",
    "a tree",
)
TAILS = ("", "please", "and say why", "in one word", "with care", "for a child", "as before", "once more")


def make_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows where the weak model fails on hard prompts, the strong one hardly ever; length says nothing."""
    chance = random.Random(seed)
    rows = []
    for index in range(count):
        is_hard = chance.random() < 0.5
        prompt = f"{chance.choice(HARD if is_hard else EASY)} {chance.choice(THINGS)} {chance.choice(TAILS)} {index % 7}".strip()
        rows.append(
            {
                "id": f"row-{index}",
                "prompt": prompt,
                "group": f"group-{index % (count // 2)}",
                "outcomes": {
                    "strong": int(chance.random() < 0.95),
                    "weak": int(chance.random() < (0.2 if is_hard else 0.9)),
                },
            }
        )
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path

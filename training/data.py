"""The rows to learn from, read from the folder of public data sets that `ROUTING_DATA` names (default ../shared/routing).

Rows of the same text are merged into one `Example`: its results are those of every set that has it.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from ciphers import cipher
from domains import domain_of
from phrases import sentences

TRAINED = (
    "routellm_mmlu",
    "routellm_gsm8k",
    "mmlupro_multi",
    "zeroeval_gsm8k",
    "zeroeval_crux",
    "zeroeval_mathl5",
    "ulab_multi",
    "uncommonroute_tiers",
)
"""The sets that may train what ships. The others are for evaluation only, and only `report.py` reads them."""

LABELS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
PAIR_MODELS = ("gpt-4-1106|mmlu1tok", "gpt-4-1106", "mixtral")


@dataclass(slots=True)
class Example:
    """A text and all that is known of it."""

    text: str
    group: str
    sets: set[str] = field(default_factory=set)
    results: list[tuple[str, float]] = field(default_factory=list)  # model, 0 to 1
    bands: tuple[float, ...] | None = None
    domain: int = -1
    label: int = -1
    language: str = ""
    pairs: dict[str, tuple[float, float]] = field(default_factory=dict)  # set: strong right, weak right
    abilities: list[float] = field(default_factory=list)  # of the models of `results`

    @property
    def fold(self) -> int:
        """The cross-validation fold; a group is in one fold in every set."""
        return int(hashlib.sha256(self.group.encode()).hexdigest()[:8], 16) % 5


def rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a data set. Fields that hold JSON as text are parsed."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            for key in ("correct", "band_pass", "strong_correct", "weak_correct"):
                if isinstance(row.get(key), str):
                    row[key] = json.loads(row[key])
            yield row


def load(folder: Path, names: tuple[str, ...] = TRAINED) -> list[Example]:
    """Reads and merges the data sets."""
    models = json.loads((folder / "models.json").read_text())
    found: dict[str, Example] = {}
    for name in names:
        for row in rows(folder, name):
            example = found.setdefault(row["prompt"], Example(row["prompt"], row["group"]))
            example.sets.add(name)
            if "strong_correct" in row:
                strong, weak = float(row["strong_correct"]), float(row["weak_correct"])
                example.pairs[name] = (strong, weak)
                strong_model = PAIR_MODELS[0] if name == "routellm_mmlu" else PAIR_MODELS[1]
                example.results += [(strong_model, strong), (PAIR_MODELS[2], weak)]
            elif row.get("correct") is not None:
                named = zip((f"{name}:{model}" for model in models[name]), row["correct"], strict=True)
                example.results += [(model, float(result)) for model, result in named if result is not None]
            if row.get("band_pass") is not None:
                example.bands = tuple(row["band_pass"])
            if name == "uncommonroute_tiers":
                example.label = LABELS.index(row["tier"])
                example.language = row["lang"]
            if example.domain < 0:
                example.domain = domain_of(row["subject"])
    examples = list(found.values())
    _add_abilities(examples, folder)
    return examples


def ciphered(examples: list[Example], copies: int = 3) -> list[Example]:
    """Labelled texts of alphabetic languages, rewritten in other scripts: they teach the labels, nothing else."""
    return [
        Example(
            cipher(example.text, copies * place + copy),
            example.group,
            label=example.label,
            language=f"cipher of {example.language}",
        )
        for place, example in enumerate(examples)
        if example.label >= 0 and example.language != "zh"
        for copy in range(copies)
    ]


def written() -> list[Example]:
    """The phrases written for the project; each language is a group of its own."""
    return [
        Example(text, hashlib.sha256(name.encode()).hexdigest()[:16], label=label, language=f"phrases {name}")
        for text, name, label in sentences()
    ]


def corpus(folder: Path, names: tuple[str, ...] = TRAINED) -> list[Example]:
    """Everything that trains: the data sets, the ciphers of their labelled texts, and the phrases written for the project."""
    examples = load(folder, names)
    return examples + ciphered(examples) + written()


def _add_abilities(examples: list[Example], folder: Path) -> None:
    """Gives each result its model's ability on the scale of irt_difficulty: stated there, or fitted to its difficulties."""
    with gzip.open(folder / "irt_difficulty.json.gz", "rt", encoding="utf-8") as file:
        stated = json.load(file)
    ability: dict[str, float] = {}
    observed: dict[str, list[tuple[float, float]]] = {}
    for example in examples:
        difficulty = stated["b_n"].get(example.group)
        for model, result in example.results:
            name = model.split(":")[-1]
            if model in stated["theta"] or name in stated["theta"]:
                ability[model] = stated["theta"].get(model, stated["theta"].get(name))
            elif difficulty is not None:
                observed.setdefault(model, []).append((difficulty[0], result))
    for model, pairs in observed.items():
        difficulties, results = np.array(pairs).T
        theta = 0.0
        for _ in range(30):  # Newton's method; a weak prior keeps it finite
            p = 1 / (1 + np.exp(difficulties - theta))
            theta += (np.sum(results - p) - 0.01 * theta) / (np.sum(p * (1 - p)) + 0.01)
        ability[model] = float(theta)
    for example in examples:
        example.abilities = [
            ability.get(model, nan) for model, _ in example.results
        ]  # NaN: of sets that are only judged

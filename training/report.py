"""What the weights are worth on texts that they were not fitted to: `make train-report`.

- Five folds by group: English labels, cost of the bands' policy, the two pairs of RouteLLM by a ridge on the dense vector.
- Leaving out a language altogether (labels) and a data set with all its groups (difficulty), one of each at a time.
Everything stands beside word count. `tierway eval` judges the shipped file, and fits the pairs' gains in full.
"""

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from confidence import familiar
from data import PAIR_MODELS, Example, corpus, load
from encode import encode
from export import export
from fit import Model, Recipe, fit
from train import TIER_LAMBDA, theta_bands

from tierway_learn.bands import cost_to_expert, policy_curve, static_curve
from tierway_learn.metrics import apgr, auc, cpt, route_curve

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

CHECKOUT = Path(__file__).parent.parent
LANGUAGES = ("de", "es", "fr", "pt", "ru", "zh")
LEFT_OUT = (
    ("routellm_mmlu",),
    ("routellm_gsm8k", "zeroeval_gsm8k"),
    ("mmlupro_multi",),
    ("zeroeval_crux",),
    ("zeroeval_mathl5",),
    ("ulab_multi",),
)
JUDGED_ONLY = ("routerbench_sub", "routerdc7", "bfcl_multi")
BAND_SETS = ("mmlupro_multi", "zeroeval_gsm8k", "zeroeval_crux", "zeroeval_mathl5", "bfcl_multi")
PAIRS = (("routellm_mmlu", 1500), ("routellm_gsm8k", 200))
PENALTY = 30.0
"""Of the ridge, for each label. High: the weights have seen the rows that the ridge is fitted to, and are surer of them than of others."""


class Study:
    """The examples, and what is judged besides."""

    def __init__(self, folder: Path, blind: bool = False) -> None:
        torch.set_num_threads(1)
        self.trained = corpus(folder)
        self.examples = self.trained + load(folder, JUDGED_ONLY)
        self.encoded = encode([example.text for example in self.examples])
        self.folds = np.array([example.fold for example in self.examples])
        self.trainable = np.arange(len(self.examples)) < len(self.trained)
        self.shown = [without_pairs(example) for example in self.examples] if blind else self.examples

    def fit(self, learned: Rows) -> Model:
        """A model that has seen nothing but these rows, and of them, if the study is blind, no result of RouteLLM's pairs."""
        return fit(self.shown, self.encoded, learned, Recipe())


def without_pairs(example: Example) -> Example:
    """The example as one who has never heard of RouteLLM's results knows it."""
    if not example.pairs:
        return example
    told = [at for at, (model, _) in enumerate(example.results) if model not in PAIR_MODELS]
    return replace(
        example,
        pairs={},
        results=[example.results[at] for at in told],
        abilities=[example.abilities[at] for at in told],
    )


def words(examples: Iterable[Example]) -> Floats:
    """The baseline that is hard to beat."""
    return np.array([len(example.text.split()) for example in examples], float)


def run(folder: Path, weights: Path | None, blind: bool, kind: str, number: int) -> list[str]:
    """One fit, and its lines of the report (or, of a fold, a file with its predictions)."""
    study = Study(folder, blind)
    if kind == "fold":
        learned = np.flatnonzero(study.trainable & (study.folds != number))
        judged = np.flatnonzero(study.folds == number)
        known = np.array([row for row in learned if study.examples[row].pairs])
        model = study.fit(learned)
        outputs = model.predict(study.encoded, np.concatenate([judged, known]))
        dense = np.concatenate([outputs[5], *(part.reshape(len(part), -1) for part in outputs[:5])], 1).astype(
            np.float64
        )
        np.savez(fold_file(number), judged=judged, bands=outputs[2][: len(judged)], difficulty=outputs[0][: len(judged)],
                 labels=outputs[4][: len(judged)], dense=dense[: len(judged)], known=known, known_dense=dense[len(judged) :])  # fmt: skip
        if weights is not None:
            texts, seen = study.encoded.take(learned), familiar(study.examples, study.encoded, learned)
            note = f"without fold {number} of five, to judge by; its confidence says nothing"
            export(
                weights / f"fold-{number}.weights",
                model,
                texts,
                seen,
                [0.0] * 6,
                TIER_LAMBDA,
                theta_bands(folder),
                note,
                "",
            )
        return []
    language, left = LANGUAGES[number], set(LEFT_OUT[number])
    groups = {example.group for example in study.examples if example.sets & left}
    strange = {language, f"cipher of {language}", f"phrases {language}"}
    learned = np.array([row for row in np.flatnonzero(study.trainable)
                        if study.examples[row].group not in groups and study.examples[row].language not in strange])  # fmt: skip
    judged = np.array([row for row, e in enumerate(study.examples) if e.language == language or e.sets & left])
    outputs = study.fit(learned).predict(study.encoded, judged)
    examples = [study.examples[row] for row in judged]
    labelled = np.array([example.language == language for example in examples])
    right = outputs[4].argmax(1)[labelled] == [example.label for example in examples if example.language == language]
    chosen = np.flatnonzero(~labelled)
    title = ", ".join(LEFT_OUT[number])
    return [
        f"labels, {language} left out: {right.mean():.3f} of {len(right)}",
        difficulty_line(f"{title} left out", [examples[at] for at in chosen], outputs[0][chosen]),
    ]


def difficulty_line(title: str, examples: Sequence[Example], difficulty: npt.NDArray[np.float32]) -> str:
    """How well the difficulty tells texts that most models fail from those that most pass: AUC, beside word count."""
    truth = np.array([np.mean([result for _, result in example.results]) for example in examples])
    hard = truth < np.median(truth) if np.median(truth) < 1 else truth < 1
    return (
        f"difficulty, {title}: AUC {auc(difficulty.astype(float), hard):.3f}, word count {auc(words(examples), hard):.3f} "
        f"(of {len(examples)})"
    )


def fold_file(number: int) -> Path:
    """Where a fold's predictions wait for the others'."""
    return Path(tempfile.gettempdir()) / "tierway-training" / f"report-fold-{number}.npz"


def lines_of_folds(study: Study) -> Iterable[str]:
    """What is judged over all five folds together."""
    folds = [dict(np.load(fold_file(number))) for number in range(5)]
    joined = {
        key: np.concatenate([fold[key] for fold in folds])
        for key in ("judged", "bands", "difficulty", "labels", "dense")
    }
    examples = [study.examples[row] for row in joined["judged"]]
    for title, is_meant in (("English", {"en"}), ("all languages", {*LANGUAGES, "en", "cs", "mixed"})):
        chosen = np.array(
            [at for at, example in enumerate(examples) if example.label >= 0 and example.language in is_meant]
        )
        right = joined["labels"][chosen].argmax(1) == [examples[at].label for at in chosen]
        yield f"labels, {title}, five folds by group: {right.mean():.4f} of {len(right)}"
    yield from band_lines(examples, joined["bands"])
    for name in JUDGED_ONLY:
        chosen = np.array([at for at, example in enumerate(examples) if name in example.sets])
        yield difficulty_line(
            f"{name}, never trained on", [examples[at] for at in chosen], joined["difficulty"][chosen]
        )
    for name, few in PAIRS:
        yield from pair_lines(study, folds, name, few)


def band_lines(examples: Sequence[Example], logits: npt.NDArray[np.float32]) -> Iterable[str]:
    """Cost to 95 % of the experts' quality: all rows together, and each set weighing the same (rows of small sets are repeated)."""
    chosen = [at for at, example in enumerate(examples) if example.bands is not None]
    truth = np.array([examples[at].bands for at in chosen])
    predicted = np.maximum.accumulate(1 / (1 + np.exp(-logits[chosen].astype(float))), 1)
    of_set = np.array(
        [next(place for place, name in enumerate(BAND_SETS) if name in examples[at].sets) for at in chosen]
    )
    by_set = np.array([truth[of_set == place].mean(0) for place in range(len(BAND_SETS))])[of_set]
    counts = words(examples[at] for at in chosen)
    bins = np.digitize(counts, np.quantile(counts, np.linspace(0, 1, 21)[1:-1]))
    titles = {5: "all rows of five sets", -5: "five sets alike", -4: "the four sets trained on, alike", 1: "MMLU-Pro"}
    for count, title in titles.items():
        rows = np.flatnonzero(of_set < abs(count))
        if count < 0:
            rows = np.concatenate([np.resize(np.flatnonzero(of_set == place), 9000) for place in range(-count)])
        passed = truth[rows]
        in_bin = [bins[rows] == number for number in range(20)]
        by_words = np.array([passed[chosen].mean(0) if chosen.any() else passed.mean(0) for chosen in in_bin])
        costs = [
            cost_to_expert(curve, passed) * 100
            for curve in (
                policy_curve(predicted[rows], passed),
                policy_curve(by_words[bins[rows]], passed),
                policy_curve(by_set[rows], passed),
                static_curve(passed),
                policy_curve(passed, passed),
            )
        ]
        yield (
            f"cost to 95 % of expert quality, {title}: {costs[0]:.1f} %, "
            f"word count {costs[1]:.1f}, the set's means {costs[2]:.1f}, static mix {costs[3]:.1f}, oracle {costs[4]:.1f}"
        )


def pair_lines(study: Study, folds: Sequence[dict[str, npt.NDArray[np.float64]]], name: str, few: int) -> Iterable[str]:
    """APGR and CPT of a ridge on the dense vector alone, the mean of the folds, beside word count."""
    for labels in (few, 0):
        figures = []
        for number, fold in enumerate(folds):
            known = np.array([at for at, row in enumerate(fold["known"]) if name in study.examples[int(row)].pairs])
            if labels:
                known = np.random.default_rng(number).permutation(known)[:labels]
            judged = np.array([at for at, row in enumerate(fold["judged"]) if name in study.examples[int(row)].pairs])
            outcomes = [np.array([study.examples[int(r)].pairs[name] for r in rows])
                        for rows in (fold["known"][known], fold["judged"][judged])]  # fmt: skip
            x, gain = fold["known_dense"][known], outcomes[0][:, 0] - outcomes[0][:, 1]
            mean, deviation = x.mean(0), np.maximum(x.std(0), 0.01)
            x = (x - mean) / deviation
            weights = np.linalg.solve(x.T @ x + PENALTY * len(x) * np.eye(x.shape[1]), x.T @ (gain - gain.mean()))
            strong, weak = outcomes[1].T
            for score in ((fold["dense"][judged] - mean) / deviation @ weights,
                          words(study.examples[int(row)] for row in fold["judged"][judged])):  # fmt: skip
                curve = route_curve(score, strong, weak)
                figures.append((apgr(curve), 100 * cpt(curve, 0.5), 100 * cpt(curve, 0.8)))
        ours, counted = np.array(figures[::2]).mean(0), np.array(figures[1::2]).mean(0)
        yield (
            f"pair of {name}, {labels or '80 % of'} labels, dense vector alone: APGR {ours[0]:.3f} / {ours[1]:.1f} / {ours[2]:.1f}, "
            f"word count {counted[0]:.3f} / {counted[1]:.1f} / {counted[2]:.1f}"
        )


def main() -> None:
    """Runs all fits, two at a time, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared/routing", help="folder of the data sets")
    parser.add_argument(
        "--weights", type=Path, help="a folder for the weights without each fold: `tierway eval --weights`"
    )
    parser.add_argument(
        "--blind", action="store_true", help="the weights see no result of RouteLLM's pairs; only the folds are fitted"
    )
    arguments = parser.parse_args()
    folder = arguments.data
    study = Study(folder)  # reads the signals into the cache, once
    jobs = [("fold", number) for number in range(5)]
    if not arguments.blind:
        jobs += [("left out", number) for number in range(len(LANGUAGES))]
    with ProcessPoolExecutor(2) as pool:
        tasks = partial(run, folder, arguments.weights, arguments.blind)
        for lines in pool.map(tasks, *zip(*jobs, strict=True)):
            print(*lines, sep="\n", end="\n" if lines else "", flush=True)
    print(*lines_of_folds(study), sep="\n")


if __name__ == "__main__":
    main()

"""How good the routing is on outcomes, with everything that it must be shown beside."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tierway_core.weights import LABELS
from tierway_learn.arrays import Floats, Integers
from tierway_learn.bands import BandCurve, cost_to_expert, policy_curve, static_curve
from tierway_learn.baselines import RULE_LABELS, binned_rates, class_scores, word_counts
from tierway_learn.datasets import DataSet, Row
from tierway_learn.fit import PairNames, rows_of_pair
from tierway_learn.folds import folds_of
from tierway_learn.methods import Base, Crossing, Method, fitted_methods, untrained_methods
from tierway_learn.metrics import (
    Curve,
    Interval,
    apgr,
    auc,
    bootstrap,
    cost_at_quality,
    cpt,
    ece,
    route_curve,
    straight_curve,
)

__all__ = [
    "Judged",
    "Judgement",
    "default_pair",
    "judge",
    "judge_bands",
    "judge_labels",
    "judge_pair",
    "judge_together",
]

_FOLDS = 5
_KEPT = 0.95
_MOST_TOGETHER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A method and its figures."""

    method: str
    figures: Mapping[str, Interval]
    curve: Curve | BandCurve | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was asked of one data set, and how each method answers."""

    data_set: str
    question: str
    rows: int
    facts: Mapping[str, float]
    """Of the data, not of a method."""
    judged: Sequence[Judged]
    note: str = ""
    """What must be known to read the figures."""


def default_pair(data: DataSet) -> PairNames | None:
    """The pair to judge if none is named: the fields `strong_correct` and `weak_correct`, else the best model and the median one."""
    names = data.outcome_names
    if "strong_correct" in names and "weak_correct" in names:
        return PairNames(strong="strong_correct", weak="weak_correct")
    if len(names) < 2:
        return None
    means = {name: np.mean([row.outcomes[name] for row in data.rows if name in row.outcomes]) for name in names}
    by_mean = sorted(names, key=means.__getitem__)
    return PairNames(strong=by_mean[-1], weak=by_mean[(len(by_mean) - 1) // 2])


def judge(
    data: DataSet,
    base: Base,
    pair: PairNames | None = None,
    *,
    crossing: Crossing | None = None,
    vectors: Mapping[str, Floats] | None = None,
    weak_price: float = 0.01,
    resamples: int = 200,
) -> Iterator[Judgement]:
    """Judges everything that the data have outcomes for: a pair, the five bands, the labels. Arguments and errors: `judge_pair`."""
    pair = pair or default_pair(data)
    if pair is not None:
        yield judge_pair(
            data, base, pair, crossing=crossing, vectors=vectors, weak_price=weak_price, resamples=resamples
        )
    for others in (judge_bands, judge_labels):
        judgement = others(data, base, resamples)
        if judgement is not None:
            yield judgement


def judge_together(data_sets: Sequence[DataSet], base: Base, resamples: int = 200) -> Judgement | None:
    """Judges the five bands over all data sets that state them, as one, so that none drowns the others. None: fewer than two do."""
    with_bands = [data for data in data_sets if any(row.band_pass is not None for row in data.rows)]
    if len(with_bands) < 2:
        return None
    together = DataSet(
        name=" + ".join(data.name for data in with_bands), rows=[row for data in with_bands for row in _some_rows(data)]
    )
    judgement = judge_bands(together, base, resamples)
    note = next((note for data in with_bands if (note := _note(data, base))), "")
    return judgement and replace(judgement, note=note)


def _some_rows(data: DataSet) -> list[Row]:
    """At most 1,000 rows with bands, always the same ones."""
    rows = [row for row in data.rows if row.band_pass is not None]
    return sorted(rows, key=lambda row: hashlib.sha256(row.group.encode()).digest())[:_MOST_TOGETHER]


def judge_pair(
    data: DataSet,
    base: Base,
    pair: PairNames,
    *,
    crossing: Crossing | None = None,
    vectors: Mapping[str, Floats] | None = None,
    weak_price: float = 0.01,
    resamples: int = 200,
) -> Judgement:
    """Judges who should answer, a strong model or a weak one.

    Args:
        data: outcomes of both.
        base: the shipped weights, with a calibration or without, or weights for each fold.
        pair: the names of the outcomes.
        crossing: also learn gains within folds.
        vectors: sentence embeddings by row, for their baseline.
        weak_price: of the weak model, that of the strong one being 1; where the data state costs, they hold.
        resamples: for the intervals; 0: none.

    Raises:
        UnknownNameError: no row has an outcome of one of the names.
    """
    rows = rows_of_pair(data, pair)
    prompts = [row.prompt for row in rows]
    groups = [row.group for row in rows]
    strong = np.array([row.outcomes[pair.strong] for row in rows])
    weak = np.array([row.outcomes[pair.weak] for row in rows])
    costs = [(row.costs_usd[pair.weak], row.costs_usd[pair.strong]) for row in rows if pair.strong in row.costs_usd]
    if costs:
        weak_price = sum(cheap for cheap, _ in costs) / sum(dear for _, dear in costs)
    methods = untrained_methods(prompts, groups, base)
    if crossing:
        known = None if vectors is None else np.array([vectors[row.id] for row in rows])
        folds = folds_of(groups, crossing.folds)
        methods += fitted_methods(prompts, strong - weak, groups, folds, crossing, base, known)
    judged = []
    for method in methods:
        names = (*_PAIR_FIGURES, "ECE") if method.gains else _PAIR_FIGURES

        def value(chosen: Integers, method: Method = method) -> list[float]:
            return _pair_figures(method, strong[chosen], weak[chosen], chosen, weak_price)

        figures = dict(zip(names, bootstrap(value, groups, resamples), strict=True))
        curve = route_curve(method.scores[0], strong, weak, 100) if method.scores else straight_curve(strong, weak)
        judged.append(Judged(method=method.name, figures=figures, curve=curve))
    return Judgement(
        data_set=data.name,
        question=f"{pair.strong} or {pair.weak}",
        rows=len(rows),
        facts={"strong": float(strong.mean()), "weak": float(weak.mean()), "weak price": weak_price},
        judged=judged,
        note=_note(data, base),
    )


_PAIR_FIGURES = ("APGR", "CPT(50 %)", "CPT(80 %)", "AUC", "cost against all-strong")


def _pair_figures(method: Method, strong: Floats, weak: Floats, rows: Integers, weak_price: float) -> list[float]:
    needs_strong = strong > weak
    repeats = []
    for score in method.scores:
        curve = route_curve(score[rows], strong, weak)
        repeats.append(
            [*_curve_figures(curve), auc(score[rows], needs_strong), cost_at_quality(curve, _KEPT, weak_price)]
        )
    if not repeats:
        curve = straight_curve(strong, weak)
        repeats.append([*_curve_figures(curve), 0.5, cost_at_quality(curve, _KEPT, weak_price)])
    figures = list(np.mean(repeats, axis=0))
    if method.gains:
        figures.append(float(np.mean([ece(gain[rows], strong - weak) for gain in method.gains])))
    return [float(figure) for figure in figures]


def _curve_figures(curve: Curve) -> list[float]:
    return [apgr(curve), 100.0 * cpt(curve, 0.5), 100.0 * cpt(curve, 0.8)]


def judge_bands(data: DataSet, base: Base, resamples: int = 200) -> Judgement | None:
    """Judges which of five bands of models should answer. None: the data do not say."""
    rows = [row for row in data.rows if row.band_pass is not None]
    if not rows:
        return None
    passed = np.array([row.band_pass for row in rows])
    prompts, groups = [row.prompt for row in rows], [row.group for row in rows]
    folds = folds_of(groups, _FOLDS)
    assessed = np.array([base.assess(row.prompt, row.group).bands for row in rows])
    predictions: dict[str, Floats | None] = {
        "random": None,
        "word count": binned_rates(word_counts(prompts), passed, folds),
        "class rules": binned_rates(class_scores(prompts), passed, folds),
        "tierway": assessed,
    }
    judged = []
    for name, predicted in predictions.items():

        def value(chosen: Integers, predicted: Floats | None = predicted) -> list[float]:
            seen = passed[chosen]
            if predicted is None:
                return [100.0 * cost_to_expert(static_curve(seen), seen, _KEPT)]
            cost = cost_to_expert(policy_curve(predicted[chosen], seen), seen, _KEPT)
            return [100.0 * cost, ece(predicted[chosen].ravel(), seen.ravel())]

        names = ("cost to 95 % of expert",) if predicted is None else ("cost to 95 % of expert", "ECE")
        curve = static_curve(passed) if predicted is None else policy_curve(predicted, passed)
        figures = dict(zip(names, bootstrap(value, groups, min(resamples, 50)), strict=True))
        judged.append(Judged(method=name, figures=figures, curve=curve))
    means = {f"band {band}": float(mean) for band, mean in enumerate(passed.mean(axis=0), 1)}
    return Judgement(
        data_set=data.name,
        question="five bands of models",
        rows=len(rows),
        facts=means,
        judged=judged,
        note=_note(data, base),
    )


def judge_labels(data: DataSet, base: Base, resamples: int = 200) -> Judgement | None:
    """Judges the four labels. None: the data have none."""
    rows = [row for row in data.rows if row.label is not None]
    if not rows:
        return None
    prompts, groups = [row.prompt for row in rows], [row.group for row in rows]
    actual = np.array([LABELS.index(row.label) for row in rows if row.label is not None])
    one_hot = np.eye(len(LABELS))[actual]
    folds = folds_of(groups, _FOLDS)
    assessments = [base.assess(row.prompt, row.group) for row in rows]
    rules = [LABELS.index(RULE_LABELS[classify]) for classify in class_scores(prompts)]
    guessed: dict[str, Integers] = {
        "random": binned_rates(np.zeros(len(rows)), one_hot, folds).argmax(axis=1),
        "word count": binned_rates(word_counts(prompts), one_hot, folds).argmax(axis=1),
        "class rules": np.array(rules),
        "tierway": np.array([LABELS.index(assessment.label) for assessment in assessments]),
    }
    certainty = np.array([max(assessment.label_probabilities) for assessment in assessments])
    judged = []
    for name, guess in guessed.items():
        right = (guess == actual).astype(np.float64)

        def value(chosen: Integers, right: Floats = right, name: str = name) -> list[float]:
            accuracy = 100.0 * right[chosen].mean()
            return [accuracy, ece(certainty[chosen], right[chosen])] if name == "tierway" else [accuracy]

        names = ("label accuracy", "ECE") if name == "tierway" else ("label accuracy",)
        judged.append(Judged(method=name, figures=dict(zip(names, bootstrap(value, groups, resamples), strict=True))))
    shares = {label: float(share) for label, share in zip(LABELS, one_hot.mean(axis=0), strict=True)}
    return Judgement(
        data_set=data.name, question="four labels", rows=len(rows), facts=shares, judged=judged, note=_note(data, base)
    )


def _note(data: DataSet, base: Base) -> str:
    weights = base.of_fold(0).weights
    if base.is_crossed:
        return f"each fold is judged by weights trained without it ({len(base.classifiers)} files)"
    if data.name in weights.data:
        return f"the weights {weights.identity} were trained on rows of this set: what builds on them looks better than it is"
    return ""

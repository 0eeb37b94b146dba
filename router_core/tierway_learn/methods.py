"""Ways of choosing between a strong and a weak model, as scores: the untrained, the shipped, and those fitted within folds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tierway_core import Assessment, Classifier
from tierway_learn.arrays import Floats, Integers
from tierway_learn.baselines import class_scores, embedded, word_counts
from tierway_learn.features import Encoded, counters_of, counters_only, encode
from tierway_learn.folds import fold_of
from tierway_learn.gain import ALL_PENALTIES, PENALTIES, choose, solve
from tierway_learn.ridge import Penalties

__all__ = ["Base", "Crossing", "Method", "fitted_methods", "untrained_methods"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way of choosing, as it scored each row: higher needs the stronger model."""

    name: str
    scores: Sequence[Floats]
    """A score for each repetition; none: a random choice."""
    gains: Sequence[Floats] = ()
    """The same as expected gains, where they are such, to be held against what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """How fits are judged: each row is scored by a fit that has seen none of its fold."""

    folds: int
    labels: int | None = None
    """Rows to learn from; none: all of the other folds."""
    repeats: int = 1
    """With how many draws of the labels."""


class Base:
    """The classifier that is judged: one, or one for each fold, trained without the rows of that fold."""

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        self.classifiers = tuple(classifiers)

    @property
    def is_crossed(self) -> bool:
        """Whether no row is judged by weights that were trained on its group."""
        return len(self.classifiers) > 1

    def of_fold(self, fold: int) -> Classifier:
        return self.classifiers[fold % len(self.classifiers)]

    def assess(self, prompt: str, group: str) -> Assessment:
        """The assessment of a prompt by the classifier of its fold."""
        return self.of_fold(fold_of(group, len(self.classifiers))).assess(prompt)


def untrained_methods(prompts: Sequence[str], groups: Sequence[str], base: Base) -> list[Method]:
    """Baselines, and what the classifier says without outcomes of this pair."""
    assessments = [base.assess(prompt, group) for prompt, group in zip(prompts, groups, strict=True)]
    methods = [
        Method(name="random", scores=()),
        Method(name="word count", scores=[word_counts(prompts)]),
        Method(name="class rules", scores=[class_scores(prompts)]),
        Method(name="tierway, difficulty", scores=[np.array([assessment.difficulty for assessment in assessments])]),
    ]
    if all(assessment.gain is not None for assessment in assessments):
        gain = np.array([assessment.gain for assessment in assessments], dtype=np.float64)
        methods.append(Method(name="tierway, calibrated", scores=[gain], gains=[gain]))
    return methods


def fitted_methods(
    prompts: Sequence[str],
    target: Floats,
    groups: Sequence[str],
    folds: Integers,
    crossing: Crossing,
    base: Base,
    vectors: Floats | None = None,
) -> list[Method]:
    """Gains learned in folds: Tierway's, and what the same labels give without the shipped weights.

    Args:
        prompts: all rows.
        target: strong right minus weak right.
        groups: of each row.
        folds: of each row.
        crossing: how.
        base: what Tierway's gain builds on.
        vectors: sentence embeddings of the prompts, for the baselines that use them.
    """
    encoded = [encode(one, prompts, counters_of(one.weights)) for one in base.classifiers]
    plain = counters_only(encoded[0])
    features: dict[str, tuple[Callable[[int], Encoded], Sequence[Penalties]]] = {}
    if vectors is not None:
        sentences, both = embedded(vectors), embedded(vectors, plain)
        features["MiniLM"] = (lambda _: sentences, ALL_PENALTIES)
        features["MiniLM + hashed + counters"] = (lambda _: both, ALL_PENALTIES)
    features["hashed n-grams + counters"] = (lambda _: plain, ALL_PENALTIES)
    features["tierway, fitted"] = (lambda fold: encoded[fold % len(encoded)], PENALTIES)
    return [
        _cross(name, of_fold, candidates, target, groups, folds, crossing)
        for name, (of_fold, candidates) in features.items()
    ]


def _cross(
    name: str,
    of_fold: Callable[[int], Encoded],
    candidates: Sequence[Penalties],
    target: Floats,
    groups: Sequence[str],
    folds: Integers,
    crossing: Crossing,
) -> Method:
    scores, gains = [], []
    group_of_row = np.array(groups)
    for repeat in range(crossing.repeats):
        random = np.random.default_rng(repeat)
        score, gain = np.empty(len(target)), np.empty(len(target))
        for fold in range(crossing.folds):
            learn, judge = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if crossing.labels is not None:
                learn = np.sort(random.permutation(learn)[: crossing.labels])
            known = of_fold(fold).take(learn)
            choice = choose(known, target[learn], group_of_row[learn].tolist(), candidates)
            gain[judge] = solve(known, target[learn], choice).predict(of_fold(fold).take(judge))
            # Folds are fitted apart: a row's place in its own fold is what can be compared across them.
            score[judge] = (np.argsort(np.argsort(gain[judge])) + 0.5) / max(1, len(judge))
        scores.append(score)
        gains.append(gain)
    return Method(name=name, scores=scores, gains=gains)

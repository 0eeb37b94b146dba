"""From an operator's own outcomes to a calibration: the abilities of the models, and the gain of a pair."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tierway_core import Classifier
from tierway_core.calibration import Calibration, Pair
from tierway_learn.abilities import fit_abilities
from tierway_learn.datasets import DataSet, Row
from tierway_learn.errors import TooFewLabelsError, UnknownNameError
from tierway_learn.features import counters_of, encode
from tierway_learn.gain import FittedGain, fit_gain

__all__ = ["FEWEST_LABELS", "Fitted", "PairNames", "fit", "rows_of_pair"]

FEWEST_LABELS = 200
"""With fewer, what is learned is noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairNames:
    """A pair, by the names of its outcomes in the data."""

    strong: str
    weak: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A calibration, and what it was made of."""

    calibration: Calibration
    outcomes: dict[str, int]
    """Rows with an outcome, by model."""
    gain: FittedGain | None


def fit(
    data: DataSet,
    classifier: Classifier,
    *,
    pair: PairNames | None = None,
    model_names: dict[str, str] | None = None,
    now: datetime | None = None,
) -> Fitted:
    """Learns a calibration.

    Args:
        data: outcomes.
        classifier: without a calibration.
        pair: whose gain to learn; none: abilities only.
        model_names: what a model is called in the configuration, where the data call it otherwise.
        now: when it is made, for the record.

    Raises:
        TooFewLabelsError: fewer than 200 rows have an outcome, or both of the pair.
        UnknownNameError: no row has an outcome of the pair's name.
    """
    called = model_names or {}
    labelled = [row for row in data.rows if row.outcomes]
    if len(labelled) < FEWEST_LABELS:
        raise TooFewLabelsError("abilities", len(labelled), FEWEST_LABELS)
    gain = fit_pair(data, classifier, pair) if pair else None
    assessments = [classifier.assess(row.prompt) for row in labelled]
    outcomes = [{called.get(name, name): value for name, value in row.outcomes.items()} for row in labelled]
    learned = None
    if pair and gain:
        learned = Pair(
            strong=called.get(pair.strong, pair.strong), weak=called.get(pair.weak, pair.weak), gain=gain.gain
        )
    calibration = Calibration(
        weights=classifier.weights.identity,
        created=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
        labels=len(labelled),
        abilities=fit_abilities(assessments, outcomes),
        pair=learned,
    )
    counts = {
        name: sum(name in row for row in outcomes) for name in dict.fromkeys(name for row in outcomes for name in row)
    }
    return Fitted(calibration=calibration, outcomes=counts, gain=gain)


def fit_pair(data: DataSet, classifier: Classifier, pair: PairNames) -> FittedGain:
    """Learns the gain of a pair. Raises as `fit` does."""
    rows = rows_of_pair(data, pair)
    if len(rows) < FEWEST_LABELS:
        raise TooFewLabelsError(f"the gain of {pair.strong} over {pair.weak}", len(rows), FEWEST_LABELS)
    target = np.array([row.outcomes[pair.strong] - row.outcomes[pair.weak] for row in rows])
    return fit_gain(
        encode(classifier, [row.prompt for row in rows], counters_of(classifier.weights)),
        target,
        [row.group for row in rows],
    )


def rows_of_pair(data: DataSet, pair: PairNames) -> list[Row]:
    """The rows with an outcome of both models.

    Raises:
        UnknownNameError: no row has an outcome of one of the names.
    """
    for name in (pair.strong, pair.weak):
        if name not in data.outcome_names:
            raise UnknownNameError(name, data.outcome_names)
    return [row for row in data.rows if pair.strong in row.outcomes and pair.weak in row.outcomes]

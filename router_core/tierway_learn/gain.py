"""The gain of a pair: what the strong model's answer is expected to add to the weak one's, learned from outcomes of both.

A ridge regression of (strong right - weak right) on the classifier's dense vector and on hashed counts. How much each may
weigh is chosen by cross-validation over groups, so that a few hundred labels lean on what the weights know already, and
thousands learn words of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tierway_core.calibration import Gain
from tierway_learn.arrays import Floats, Integers
from tierway_learn.features import Encoded, counters_only
from tierway_learn.ridge import Design, Penalties, Solution

__all__ = ["ALL_PENALTIES", "PENALTIES", "Choice", "FittedGain", "choose", "fit_gain", "quantised", "solve"]

_INNER_FOLDS = 5
_LEAST_SLOPE = 0.25

_MANY_ROWS = 4_000
"""From here on, one fold in five is enough to choose by."""

PENALTIES = tuple(Penalties(10.0 * strength, strength) for strength in (30.0, 100.0))
"""What is tried for a gain that builds on shipped weights. Weaker ones look good where the weights have met the prompts in
training, and are bad elsewhere; stronger ones change no order."""

ALL_PENALTIES = tuple(Penalties(10.0 * strength, strength) for strength in (1.0, 3.0, 10.0, 30.0, 100.0))
"""What is tried for features that have met no outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What predicts groups left out best."""

    penalties: Penalties
    slope: float
    """By how much predictions under these penalties fall short of what comes."""
    explained: float
    """Share of the variance of the outcome that is explained on prompts left out; small even when routing gains much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedGain:
    """A gain, and how it was chosen."""

    gain: Gain
    choice: Choice


def fit_gain(encoded: Encoded, target: Floats, groups: Sequence[str]) -> FittedGain:
    """Learns a gain.

    Args:
        encoded: the prompts.
        target: strong right minus weak right, -1 to 1, one a prompt.
        groups: prompts of the same group are never on both sides of a trial.
    """
    choice = choose(encoded, target, groups)
    return FittedGain(gain=quantised(solve(encoded, target, choice)), choice=choice)


def solve(encoded: Encoded, target: Floats, choice: Choice) -> Solution:
    """The regression by this choice, over all rows."""
    return Design(encoded).solve(target, choice.penalties).steeper(choice.slope, float(target.mean()))


def choose(
    encoded: Encoded, target: Floats, groups: Sequence[str], candidates: Sequence[Penalties] = PENALTIES
) -> Choice:
    """Tries the candidates by cross-validation over groups."""
    trials = _Trials(encoded, target, groups)
    came = trials.came
    best = max((_judge(trials.predicted(penalties), came, penalties) for penalties in candidates), key=_explained)
    if encoded.is_plain:
        return best
    apart = _Trials(counters_only(encoded), target, groups).predicted(PENALTIES[0])
    return replace(best, slope=_sound_slope(best.slope, trials.predicted(best.penalties), came, apart))


class _Trials:
    """The folds that are left out, to choose by. Outcomes and predictions are those above or below what the others average."""

    def __init__(self, encoded: Encoded, target: Floats, groups: Sequence[str]) -> None:
        inner = _deal(groups)
        folds = range(1 if len(target) >= _MANY_ROWS else _INNER_FOLDS)
        sides = [(np.flatnonzero(inner != fold), np.flatnonzero(inner == fold)) for fold in folds]
        self._trials = [(Design(encoded.take(learn)), target[learn], encoded.take(judge)) for learn, judge in sides]
        self.came: Floats = np.concatenate([target[judge] - target[learn].mean() for learn, judge in sides])

    def predicted(self, penalties: Penalties) -> Floats:
        """What these penalties predict for the rows left out."""
        return np.concatenate(
            [
                design.solve(known, penalties).predict(left_out) - known.mean()
                for design, known, left_out in self._trials
            ]
        )


def _judge(predicted: Floats, came: Floats, penalties: Penalties) -> Choice:
    squares, product, variance = predicted @ predicted, predicted @ came, came @ came
    # What predicts the opposite of what comes predicts nothing.
    slope = max(0.0, float(product / squares)) if squares > 0 else 0.0
    explained = slope * float(product / variance) if variance > 0 else 0.0
    return Choice(penalties=penalties, slope=slope, explained=explained)


def _sound_slope(slope: float, predicted: Floats, came: Floats, apart: Floats) -> float:
    """The slope without what shipped weights may remember of these very outcomes, by an instrumental variable.

    A prediction `apart`, of counters and hashed ids learned on other rows, shares with predictions and outcomes what can be known
    of a prompt, and nothing of a remembered outcome. Held within a quarter of the slope and the slope itself: with few labels it
    knows little.
    """
    shared = float(apart @ predicted)
    if shared <= 0:
        return slope * _LEAST_SLOPE
    return min(slope, max(slope * _LEAST_SLOPE, float(apart @ came) / shared))


def _explained(choice: Choice) -> float:
    return choice.explained


def quantised(solution: Solution) -> Gain:
    """The solution as the core reads it: the column in signed bytes."""
    largest = float(np.abs(solution.hashed).max())
    factor = largest / 127.0 if largest > 0 else 1.0
    column = np.rint(solution.hashed / factor).astype(np.int8)
    return Gain(
        bias=solution.bias,
        dense=tuple(float(weight) for weight in solution.dense),
        column=column.tobytes(),
        factors=(factor, factor, factor),
    )


def _deal(groups: Sequence[str]) -> Integers:
    """A fold for each row, whole groups together, all folds about as large."""
    names, group_of_row = np.unique(np.array(groups), return_inverse=True)
    fold_of_group = np.random.default_rng(0).permutation(len(names)) % _INNER_FOLDS
    dealt: Integers = fold_of_group[group_of_row]
    return dealt

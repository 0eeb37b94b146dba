"""How able each model is, from its outcomes on prompts whose difficulty the classifier has assessed.

Item response: a model of ability a gets a prompt of difficulty d right with probability sigmoid((a - d) / spread), where the
spread carries how uncertain the difficulty is. The ability is the most probable one, given a broad prior; that of a domain is
drawn to the overall one, the more so the fewer outcomes it has.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tierway_core.assessment import Assessment
from tierway_core.calibration import Ability
from tierway_learn.arrays import Floats

__all__ = ["FEWEST_OUTCOMES", "expected_quality", "fit_abilities", "most_probable_ability"]

FEWEST_OUTCOMES = 50
"""A model of fewer outcomes gets no ability."""

_FEWEST_IN_DOMAIN = 20
_PRIOR_DEVIATION = 2.0
_DOMAIN_DEVIATION = 0.5
_LARGEST = 10.0
_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """Prompts as item response sees them."""

    difficulty: Floats
    spread: Floats


def expected_quality(ability: float, assessments: Sequence[Assessment]) -> Floats:
    """The probability that a model of this ability gets each prompt right."""
    items = _items(assessments)
    return _sigmoid((ability - items.difficulty) / items.spread)


def fit_abilities(assessments: Sequence[Assessment], outcomes: Sequence[Mapping[str, float]]) -> dict[str, Ability]:
    """The abilities of all models with outcomes enough.

    Args:
        assessments: of the prompts.
        outcomes: by model, 0 to 1, for each prompt.
    """
    names = dict.fromkeys(name for row in outcomes for name in row)
    abilities = {}
    for name in names:
        rows = [index for index, row in enumerate(outcomes) if name in row]
        if len(rows) < FEWEST_OUTCOMES:
            continue
        right = np.array([outcomes[index][name] for index in rows])
        met = [assessments[index] for index in rows]
        overall = most_probable_ability(_items(met), right, 0.0, _PRIOR_DEVIATION)
        domains = {}
        for domain in sorted({assessment.domain for assessment in met}):
            inside = [index for index, assessment in enumerate(met) if assessment.domain == domain]
            if len(inside) >= _FEWEST_IN_DOMAIN:
                items = _items([met[index] for index in inside])
                domains[domain] = round(most_probable_ability(items, right[inside], overall, _DOMAIN_DEVIATION), 4)
        abilities[name] = Ability(overall=round(overall, 4), domains=domains)
    return abilities


def most_probable_ability(items: _Items, right: Floats, mean: float, deviation: float) -> float:
    """The ability at which outcomes and a normal prior are likeliest, by Newton's method."""
    ability = mean
    for _ in range(_STEPS):
        probability = _sigmoid((ability - items.difficulty) / items.spread)
        slope = ((right - probability) / items.spread).sum() - (ability - mean) / deviation**2
        curvature = (probability * (1.0 - probability) / items.spread**2).sum() + 1.0 / deviation**2
        # Outcomes far off the prior make Newton overshoot where the curve is flat.
        step = max(-1.0, min(1.0, float(slope / curvature)))
        ability = max(-_LARGEST, min(_LARGEST, ability + step))
        if abs(step) < 1e-9:
            break
    return float(ability)


def _items(assessments: Sequence[Assessment]) -> _Items:
    sigma = np.array([assessment.sigma for assessment in assessments])
    return _Items(
        difficulty=np.array([assessment.difficulty for assessment in assessments]),
        spread=np.sqrt(1.0 + math.pi / 8.0 * sigma**2),
    )


def _sigmoid(values: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * values))

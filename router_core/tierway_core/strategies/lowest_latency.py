"""The soonest predicted answer of two that are drawn: power of two choices.

To compare all would send every request to the same one until its figures have caught up; to compare two spreads the load and
still all but shuns the slow. One request in EXPLORE goes to the first of the two unseen, so that what was slow is measured again.
"""

from collections.abc import Sequence

from tierway_core.chance import Purpose, below, derive
from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = False

EXPLORE = 64


def choose(pool: Sequence[Option], moment: Moment) -> Choice:
    """Chooses; the figure is the predicted time of the answer in seconds, times the requests in flight and this one."""
    first = below(derive(moment.draw, Purpose.FIRST), len(pool))
    if len(pool) == 1 or below(derive(moment.draw, Purpose.EXPLORE), EXPLORE) == 0:
        return Choice(pool[first].deployment, _answer_s(pool[first], moment))
    second = below(derive(moment.draw, Purpose.SECOND), len(pool) - 1)
    second += second >= first
    # A tie goes to the first, which is drawn as well: to the table's order, all would go to one of two that are alike.
    best = min((pool[first], pool[second]), key=lambda option: _answer_s(option, moment))
    return Choice(best.deployment, _answer_s(best, moment))


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"the sooner of two, at {figure:.3f} s predicted for an answer, times those in flight and this one"


def _answer_s(option: Option, moment: Moment) -> float:
    """What was measured is of those that have answered; what waits by now is counted on top."""
    return (option.first_token_s + float(moment.likely_tokens) * option.token_s) * float(option.in_flight + 1)

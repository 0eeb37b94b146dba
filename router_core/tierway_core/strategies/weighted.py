"""By chance, in the proportion of the configured weights."""

from collections.abc import Sequence

from tierway_core.chance import Purpose, derive, unit
from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = False


def choose(pool: Sequence[Option], moment: Moment) -> Choice:
    """Chooses; the figure is its share of the weights."""
    total = 0.0
    for option in pool:
        total += option.weight
    left = unit(derive(moment.draw, Purpose.WEIGHT)) * total
    for option in pool:
        left -= option.weight
        if left < 0.0:
            return Choice(option.deployment, option.weight / total)
    return Choice(pool[-1].deployment, pool[-1].weight / total)  # rounding left a crumb


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"by chance, with {figure:.1%} of the weights"

"""The highest utility: expected quality against price, by the dial (`tierway_core.quality`). Ties: the cheaper, then as cheapest."""

from collections.abc import Sequence

from tierway_core.quality import utility
from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = True


def choose(pool: Sequence[Option], moment: Moment) -> Choice:
    """Chooses; the figure is the utility."""

    def worth(option: Option) -> float:
        return utility(option.quality, option.cost_picousd, moment.dearest_picousd, moment.cost_quality)

    best = min(
        pool,
        key=lambda option: (-worth(option), option.cost_picousd, option.tier, option.in_flight, option.deployment),
    )
    return Choice(best.deployment, worth(best))


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"with a utility of {figure:.3f}"

"""The fewest requests in flight. Ties: the cheaper, then the lower tier, then the order of the table."""

from collections.abc import Sequence

from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = False


def choose(pool: Sequence[Option], moment: Moment) -> Choice:  # noqa: ARG001 (the seam)
    """Chooses; the figure is the number of requests in flight."""
    best = min(pool, key=lambda option: (option.in_flight, option.cost_picousd, option.tier, option.deployment))
    return Choice(best.deployment, float(best.in_flight))


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"with {figure:.0f} in flight"

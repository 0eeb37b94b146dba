"""The least used in the last minute, by its weight: tokens first, then requests. Ties: fewer in flight, then the order of the table."""

from collections.abc import Sequence

from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = False


def choose(pool: Sequence[Option], moment: Moment) -> Choice:  # noqa: ARG001 (the seam)
    """Chooses; the figure is the tokens of its last minute by its weight."""
    best = min(
        pool,
        key=lambda option: (
            float(option.tokens) / option.weight,
            float(option.requests) / option.weight,
            option.in_flight,
            option.deployment,
        ),
    )
    return Choice(best.deployment, float(best.tokens) / best.weight)


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"with {figure:.0f} tokens a weight in its last minute"

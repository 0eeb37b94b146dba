"""The least used in the last minute, by its weight, in tokens. Ties: fewer in flight, then the order of the table.

What is in flight counts as if it were as long as this request: by what has ended alone, whoever is slow would look idle.
"""

from collections.abc import Sequence

from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = False


def choose(pool: Sequence[Option], moment: Moment) -> Choice:
    """Chooses; the figure is the tokens of its last minute, those of what is in flight included, by its weight."""

    def usage(option: Option) -> float:
        return (float(option.tokens) + float(option.in_flight) * float(moment.request_tokens)) / option.weight

    best = min(pool, key=lambda option: (usage(option), option.in_flight, option.deployment))
    return Choice(best.deployment, usage(best))


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"with {figure:.0f} tokens a weight in its last minute"

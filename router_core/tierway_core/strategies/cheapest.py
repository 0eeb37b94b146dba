"""The cheapest estimate. Ties: the lower tier, then fewer in flight, then the order of the table."""

from collections.abc import Sequence

from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = False


def choose(pool: Sequence[Option], moment: Moment) -> Choice:  # noqa: ARG001 (the seam)
    """Chooses; the figure is the estimated cost in pico-USD."""
    best = min(pool, key=lambda option: (option.cost_picousd, option.tier, option.in_flight, option.deployment))
    return Choice(best.deployment, float(best.cost_picousd))


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"at an estimated {figure / 1e12:.9f} USD"

"""The same beginning to the same deployment, which holds it in its cache: rendezvous hashing with bounded load.

Every deployment has a rank of its own for every prefix; the first that is not too busy is taken. Too busy is BOUND times the
mean of the pool: a popular prefix spills over to its second, and returns. Whoever comes or goes moves its own prefixes only.
Without a prefix: the fewest in flight.
"""

from collections.abc import Sequence

from tierway_core.chance import mix
from tierway_core.strategies import least_busy
from tierway_core.strategy import Choice, Moment, Option

WEIGHS_QUALITY = False

BOUND = 1.25


def choose(pool: Sequence[Option], moment: Moment) -> Choice:
    """Chooses; the figure is the number of requests in flight."""
    if moment.prefix_key == 0:
        return least_busy.choose(pool, moment)
    # With this request counted in, so that the least busy is never too busy.
    most = BOUND * float(sum(option.in_flight for option in pool) + 1) / float(len(pool))
    free = [option for option in pool if float(option.in_flight) < most]
    best = max(free, key=lambda option: (mix(moment.prefix_key ^ option.identity), -option.deployment))
    return Choice(best.deployment, float(best.in_flight))


def describe(figure: float) -> str:
    """As part of a sentence."""
    return f"the first for this beginning that is not too busy, with {figure:.0f} in flight"

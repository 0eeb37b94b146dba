# cython: language_level=3, freethreading_compatible=True
"""Strategies, found by name: `strategies/_NAME.pyx` has a `Fast` for each. `strategy` says what each of them is.

Thread-safety: a strategy keeps nothing; any number of threads may choose at once.
"""

from importlib import import_module

from libc.stdint cimport int32_t

from tierway_core._choice cimport ChoiceC, DemandC, ViewC
from tierway_core._fleet cimport FleetC

from tierway_core.strategy import find_strategy


cdef class Strategy:
    """Chooses one of a pool. Each strategy extends this, and overrides `choose`, and `find` where it needs no pool."""

    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        """Chooses of a pool that is not empty."""
        cdef ChoiceC choice
        choice.deployment = view.pool[0]
        choice.figure = 0.0
        return choice

    cdef bint find(
        self, const FleetC* fleet, const DemandC* demand, int32_t floor, const unsigned char* by_moment, ChoiceC* choice
    ) noexcept nogil:
        """Chooses what `choose` would of the pool, without a look at the whole fleet; False: it cannot.

        `choice.deployment` is below 0 where nothing is left. `by_moment` says what the state of the moment strikes; NULL: nothing.
        """
        return False


def load(str name not None):
    """The fast twin of a strategy that there is."""
    cdef Strategy strategy = import_module(f"tierway_core.strategies._{name}").Fast()
    strategy.weighs_quality = find_strategy(name).WEIGHS_QUALITY
    return strategy

# cython: language_level=3, freethreading_compatible=True
"""Strategies, found by name: `strategies/_NAME.pyx` has a `Fast` for each. `strategy` says what each of them is.

Thread-safety: a strategy keeps nothing; any number of threads may choose at once.
"""

from importlib import import_module

from tierway_core._choice cimport ChoiceC, ViewC

from tierway_core.strategy import find_strategy


cdef class Strategy:
    """Chooses one of a pool. Each strategy extends this, and overrides `choose`."""

    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        """Chooses of a pool that is not empty."""
        cdef ChoiceC choice
        choice.deployment = view.pool[0]
        choice.figure = 0.0
        return choice


def load(str name not None):
    """The fast twin of a strategy that there is."""
    cdef Strategy strategy = import_module(f"tierway_core.strategies._{name}").Fast()
    strategy.weighs_quality = find_strategy(name).WEIGHS_QUALITY
    return strategy

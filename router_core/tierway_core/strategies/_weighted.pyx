# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `weighted`, which says what it does."""

cimport cython
from tierway_core._chance cimport WEIGHT, derive, unit
from tierway_core._choice cimport ChoiceC, ViewC
from tierway_core._strategy cimport Strategy


cdef ChoiceC weighted(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t place
    cdef double total = 0.0
    cdef double left
    for place in range(view.size):
        total = total + view.fleet.deployments[view.pool[place]].weight
    left = unit(derive(view.demand.draw, WEIGHT)) * total
    best.deployment = view.pool[view.size - 1]
    for place in range(view.size):
        left = left - view.fleet.deployments[view.pool[place]].weight
        if left < 0.0:
            best.deployment = view.pool[place]
            break
    best.figure = view.fleet.deployments[best.deployment].weight / total
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return weighted(view)

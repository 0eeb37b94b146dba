# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `cheapest`, which says what it does."""

cimport cython
from libc.stdint cimport int32_t, int64_t

from tierway_core._choice cimport ChoiceC, ViewC, cost_of, load_of, tier_of
from tierway_core._strategy cimport Strategy


cdef ChoiceC cheapest(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t place, index
    cdef int64_t cost
    cdef int64_t least = 0
    cdef int32_t tier
    cdef int32_t lowest = 0
    cdef int32_t in_flight = -1  # of the best; read when first needed
    best.deployment = -1
    for place in range(view.size):
        index = view.pool[place]
        cost = cost_of(view, index)
        tier = tier_of(view, index)
        if best.deployment >= 0:
            if cost > least or (cost == least and tier > lowest):
                continue
            if cost == least and tier == lowest:
                if in_flight < 0:
                    in_flight = load_of(view, best.deployment)
                if load_of(view, index) >= in_flight:
                    continue
        best.deployment = index
        least = cost
        lowest = tier
        in_flight = -1
    best.figure = <double>least
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return cheapest(view)

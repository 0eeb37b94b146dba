# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `cost_quality`, which says what it does."""

cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport INT64_MAX, int32_t, int64_t

from tierway_core._choice cimport ChoiceC, ViewC, cost_of, kind_of, load_of, quality_of, tier_of, utility_of
from tierway_core._strategy cimport Strategy


cdef ChoiceC cost_quality(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t place, index
    cdef int64_t cost
    cdef int64_t least = 0
    cdef int64_t most = INT64_MAX  # what costs more could not win with any quality: the best only rises
    cdef double utility = 0.0
    cdef int64_t priced = -1  # of the last whose utility was worked out: neighbours are often alike
    cdef int32_t model
    cdef int32_t weighed = -1
    cdef int32_t tier
    cdef int32_t lowest = 0
    cdef int32_t in_flight = -1  # of the best; read when first needed
    best.deployment = -1
    best.figure = -INFINITY
    for place in range(view.size):
        index = view.pool[place]
        cost = cost_of(view, index)
        if cost > most:
            continue
        model = kind_of(view.fleet, index).model
        if model != weighed or cost != priced:
            # No quality is above 1: what could not win by that is not worked out.
            if utility_of(view.scales, 1.0, cost) < best.figure:
                most = cost - 1
                continue
            utility = utility_of(view.scales, quality_of(view.scales, model), cost)
            weighed = model
            priced = cost
        tier = tier_of(view, index)
        if best.deployment >= 0:
            if utility < best.figure or (utility == best.figure and (cost > least or (cost == least and tier > lowest))):
                continue
            if utility == best.figure and cost == least and tier == lowest:
                if in_flight < 0:
                    in_flight = load_of(view, best.deployment)
                if load_of(view, index) >= in_flight:
                    continue
        best.deployment = index
        best.figure = utility
        least = cost
        lowest = tier
        in_flight = -1
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return cost_quality(view)

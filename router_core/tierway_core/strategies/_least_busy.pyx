# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `least_busy`, which says what it does."""

cimport cython
from libc.stdint cimport int32_t, int64_t

from tierway_core._choice cimport ChoiceC, ViewC, cost_of, load_of, tier_of
from tierway_core._strategy cimport Strategy


cdef inline bint is_before(const ViewC* view, Py_ssize_t index, Py_ssize_t other) noexcept nogil:
    """Whether one comes before an earlier one that is as busy."""
    cdef int64_t cost = cost_of(view, index)
    cdef int64_t cost_of_other = cost_of(view, other)
    return cost < cost_of_other or (cost == cost_of_other and tier_of(view, index) < tier_of(view, other))


cdef ChoiceC least_busy(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t place, index
    cdef int32_t in_flight
    cdef int32_t fewest = 0
    best.deployment = -1
    for place in range(view.size):
        index = view.pool[place]
        in_flight = load_of(view, index)
        if best.deployment < 0 or in_flight < fewest or (in_flight == fewest and is_before(view, index, best.deployment)):
            best.deployment = index
            fewest = in_flight
    best.figure = <double>fewest
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return least_busy(view)

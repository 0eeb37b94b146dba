# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `prefix_affinity`, which says what it does."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from tierway_core._chance cimport mix
from tierway_core._choice cimport ChoiceC, ViewC, load_of
from tierway_core._strategy cimport Strategy
from tierway_core.strategies._least_busy cimport least_busy


cdef extern from *:
    """
    #define TIERWAY_BOUND 1.25
    """
    const double BOUND "TIERWAY_BOUND"  # as prefix_affinity.py has it


cdef ChoiceC prefix_affinity(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t place, index
    cdef int64_t total = 1
    cdef int32_t in_flight
    cdef uint64_t rank
    cdef uint64_t highest = 0
    cdef double most
    if view.demand.prefix_key == 0:
        return least_busy(view)
    for place in range(view.size):
        total += load_of(view, view.pool[place])
    most = BOUND * <double>total / <double>view.size
    best.deployment = -1
    best.figure = 0.0
    for place in range(view.size):
        index = view.pool[place]
        rank = mix(view.demand.prefix_key ^ view.fleet.deployments[index].identity)
        if best.deployment >= 0 and rank <= highest:
            continue
        in_flight = load_of(view, index)
        if <double>in_flight < most:
            best.deployment = index
            best.figure = <double>in_flight
            highest = rank
    if best.deployment < 0:  # another thread has counted requests in since: none is free any more
        return least_busy(view)
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return prefix_affinity(view)

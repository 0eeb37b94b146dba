# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `usage_based`, which says what it does."""

cimport cython
from libc.stdint cimport int32_t

from tierway_core._choice cimport ChoiceC, ViewC, load_of
from tierway_core._state cimport requests_of, tokens_of
from tierway_core._strategy cimport Strategy


cdef ChoiceC usage_based(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t place, index
    cdef double tokens, requests, weight
    cdef double fewest_requests = 0.0
    cdef int32_t in_flight = -1  # of the best; read when first needed
    best.deployment = -1
    best.figure = 0.0
    for place in range(view.size):
        index = view.pool[place]
        weight = view.fleet.deployments[index].weight
        tokens = <double>tokens_of(view.fleet.records + index, view.demand.now_ns) / weight
        if best.deployment >= 0 and tokens > best.figure:
            continue
        requests = <double>requests_of(view.fleet.records + index, view.demand.now_ns) / weight
        if best.deployment >= 0 and tokens == best.figure:
            if requests > fewest_requests:
                continue
            if requests == fewest_requests:
                if in_flight < 0:
                    in_flight = load_of(view, best.deployment)
                if load_of(view, index) >= in_flight:
                    continue
        best.deployment = index
        best.figure = tokens
        fewest_requests = requests
        in_flight = -1
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return usage_based(view)

# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `usage_based`, which says what it does."""

cimport cython
from libc.stdint cimport int32_t

from tierway_core._choice cimport ChoiceC, ViewC, add, load_of, prefetch, AHEAD
from tierway_core._records cimport RecordC
from tierway_core._sliding cimport USAGE_SLOT_NS, NumbersC, numbers_at
from tierway_core._state cimport tokens_of
from tierway_core._strategy cimport Strategy


cdef ChoiceC usage_based(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t place, index
    cdef const RecordC* ahead
    cdef double used
    cdef double request_tokens = <double>add(view.demand.input_tokens, view.demand.output_tokens)
    cdef NumbersC numbers = numbers_at(view.demand.now_ns // USAGE_SLOT_NS)
    cdef int32_t in_flight
    cdef int32_t fewest = 0
    best.deployment = -1
    best.figure = 0.0
    for place in range(view.size):
        index = view.pool[place]
        if place + AHEAD < view.size:
            ahead = view.fleet.records + view.pool[place + AHEAD]
            prefetch(ahead)
            prefetch(&ahead.tokens)
        in_flight = load_of(view, index)
        used = <double>tokens_of(view.fleet.records + index, &numbers) + <double>in_flight * request_tokens
        used = used / view.fleet.deployments[index].weight
        if best.deployment < 0 or used < best.figure or (used == best.figure and in_flight < fewest):
            best.deployment = index
            best.figure = used
            fewest = in_flight
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return usage_based(view)

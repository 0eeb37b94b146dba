# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `lowest_latency`, which says what it does."""

cimport cython
from libc.stdint cimport int32_t

from tierway_core._chance cimport EXPLORE, FIRST, SECOND, below, derive
from tierway_core._choice cimport ChoiceC, ViewC, answer_s_of, load_of
from tierway_core._strategy cimport Strategy


cdef enum:
    EXPLORED = 64  # as lowest_latency.py has it


cdef ChoiceC lowest_latency(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t first = below(derive(view.demand.draw, FIRST), view.size)
    cdef Py_ssize_t second, other
    cdef double answer_s
    cdef int32_t in_flight, in_flight_of_other
    best.deployment = view.pool[first]
    best.figure = answer_s_of(view.fleet, view.demand, best.deployment)
    if view.size == 1 or below(derive(view.demand.draw, EXPLORE), EXPLORED) == 0:
        return best
    second = below(derive(view.demand.draw, SECOND), view.size - 1)
    second += second >= first
    other = view.pool[second]
    answer_s = answer_s_of(view.fleet, view.demand, other)
    if answer_s > best.figure:
        return best
    if answer_s == best.figure:
        in_flight = load_of(view, best.deployment)
        in_flight_of_other = load_of(view, other)
        if in_flight_of_other > in_flight or (in_flight_of_other == in_flight and other > best.deployment):
            return best
    best.deployment = other
    best.figure = answer_s
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return lowest_latency(view)

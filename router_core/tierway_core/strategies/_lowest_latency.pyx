# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `lowest_latency`, which says what it does."""

cimport cython
from tierway_core._chance cimport EXPLORE, FIRST, SECOND, below, derive
from tierway_core._choice cimport ChoiceC, ViewC, answer_s_of, load_of
from tierway_core._strategy cimport Strategy


cdef enum:
    EXPLORED = 64  # as lowest_latency.py has it


cdef inline double weighed_s(const ViewC* view, Py_ssize_t index) noexcept nogil:
    return answer_s_of(view.fleet, view.demand, index) * <double>(load_of(view, index) + 1)


cdef ChoiceC lowest_latency(const ViewC* view) noexcept nogil:
    cdef ChoiceC best
    cdef Py_ssize_t first = below(derive(view.demand.draw, FIRST), view.size)
    cdef Py_ssize_t second, other
    cdef double other_s
    best.deployment = view.pool[first]
    best.figure = weighed_s(view, best.deployment)
    if view.size == 1 or below(derive(view.demand.draw, EXPLORE), EXPLORED) == 0:
        return best
    second = below(derive(view.demand.draw, SECOND), view.size - 1)
    second += second >= first
    other = view.pool[second]
    other_s = weighed_s(view, other)
    if other_s < best.figure:
        best.deployment = other
        best.figure = other_s
    return best


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return lowest_latency(view)

# cython: language_level=3
"""The seam that the fast twins of strategies stand behind. `strategy` has its specification."""

from libc.stdint cimport int32_t

from tierway_core._choice cimport ChoiceC, DemandC, ViewC
from tierway_core._fleet cimport FleetC


cdef class Strategy:
    cdef readonly bint weighs_quality

    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil
    cdef bint find(
        self, const FleetC* fleet, const DemandC* demand, int32_t floor, const unsigned char* by_moment, ChoiceC* choice
    ) noexcept nogil

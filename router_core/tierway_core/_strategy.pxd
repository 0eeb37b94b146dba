# cython: language_level=3
"""The seam that the fast twins of strategies stand behind. `strategy` has its specification."""

from tierway_core._choice cimport ChoiceC, ViewC


cdef class Strategy:
    cdef readonly bint weighs_quality

    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil

# cython: language_level=3
"""The seam between a state and those of other machines."""

from tierway_core._state cimport State


cdef class Sharing:
    cdef readonly State state

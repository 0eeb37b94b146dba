# cython: language_level=3
"""Who was sent which prefix lately, in plain C."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from tierway_core._choice cimport WARM_MOST


cdef struct SightingC:
    uint64_t prefix_key  # 0: free
    int64_t at_ns
    int64_t deployment


cdef class Prefixes:
    cdef readonly Py_ssize_t slots
    cdef SightingC* _sightings

    cdef int32_t find(self, uint64_t prefix_key, int64_t since_ns, int32_t* found) noexcept nogil

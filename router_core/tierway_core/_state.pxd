# cython: language_level=3
"""One fixed-size record a deployment: what changes between decisions. Plain C, so that `_select` reads it without Python."""

from libc.stdint cimport int32_t

cdef extern from *:
    """
    #include <stdint.h>

    /* One cache line a deployment, so that neighbours never share one when processes write at once. */
    typedef struct {
        int32_t available;
        int32_t in_flight;
        int32_t reserved[14];
    } tierway_record;

    static inline int32_t tierway_load(const int32_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
    static inline void tierway_store(int32_t *at, int32_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); }

    /* Adds `step` unless the result would leave 0 to INT32_MAX. Returns the new value, or -1 when nothing was added. */
    static inline int32_t tierway_count(int32_t *at, int32_t step) {
        int32_t seen = __atomic_load_n(at, __ATOMIC_RELAXED);
        while (step < 0 ? seen >= -step : seen <= INT32_MAX - step)
            if (__atomic_compare_exchange_n(at, &seen, seen + step, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return seen + step;
        return -1;
    }
    """
    ctypedef struct RecordC "tierway_record":
        int32_t available
        int32_t in_flight

    int32_t load "tierway_load"(const int32_t* at) noexcept nogil
    void store "tierway_store"(int32_t* at, int32_t value) noexcept nogil
    int32_t count "tierway_count"(int32_t* at, int32_t step) noexcept nogil


cdef class State:
    cdef readonly Py_ssize_t deployments
    cdef RecordC* records
    cdef Py_buffer _view  # keeps the buffer alive
    cdef bint _holds_view

    cdef RecordC* record(self, Py_ssize_t index) except NULL

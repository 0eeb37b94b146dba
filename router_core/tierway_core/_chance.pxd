# cython: language_level=3
"""Chance that can be repeated, as `chance.py` has it."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <stdint.h>

    static inline uint64_t tierway_mix(uint64_t value) {
        value += UINT64_C(0x9E3779B97F4A7C15);
        value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
        return value ^ (value >> 31);
    }
    static inline double tierway_unit(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }
    static inline uint64_t tierway_below(uint64_t bits, uint64_t bound) {
        return (uint64_t)(((unsigned __int128)bits * bound) >> 64);
    }
    static inline uint64_t tierway_key(const char *bytes, uint64_t size) {
        uint64_t key = UINT64_C(0xCBF29CE484222325);
        for (uint64_t place = 0; place < size; place++) key = (key ^ (unsigned char)bytes[place]) * UINT64_C(0x100000001B3);
        return key;
    }
    """
    uint64_t mix "tierway_mix"(uint64_t value) noexcept nogil
    double unit "tierway_unit"(uint64_t bits) noexcept nogil
    uint64_t below "tierway_below"(uint64_t bits, uint64_t bound) noexcept nogil
    uint64_t key_of "tierway_key"(const char* bytes, uint64_t size) noexcept nogil


cdef enum:  # the numbers of Purpose
    FIRST = 1
    SECOND = 2
    EXPLORE = 3
    WEIGHT = 4
    ARM = 5


cdef inline uint64_t derive(uint64_t draw, int purpose) noexcept nogil:
    return mix(mix(draw) + <uint64_t>purpose)

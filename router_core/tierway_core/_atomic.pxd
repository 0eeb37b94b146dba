# cython: language_level=3
"""Atomic operations on the words of a state, from any thread or process.

Relaxed unless a name says otherwise: a word that says all by itself needs no order among words; its own changes are in
one order everywhere, which is all that a compare-and-swap leans on. Only budgets, where words are read together, need more.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #define TIERWAY_NEVER_NS INT64_MAX

    static inline int32_t tierway_load(const int32_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
    static inline int32_t tierway_take_all(int32_t *at) { return __atomic_exchange_n(at, 0, __ATOMIC_RELAXED); }
    static inline int64_t tierway_load64(const int64_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
    static inline void tierway_store64(int64_t *at, int64_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); }
    static inline void tierway_add_bits(int64_t *at, int64_t bits) { __atomic_fetch_or(at, bits, __ATOMIC_RELAXED); }
    static inline void tierway_drop_bits(int64_t *at, int64_t bits) { __atomic_fetch_and(at, ~bits, __ATOMIC_RELAXED); }
    static inline int64_t tierway_exchange64(int64_t *at, int64_t value) { return __atomic_exchange_n(at, value, __ATOMIC_RELAXED); }

    /* Sums may wrap: budgets count modulo 2^64. */
    static inline int64_t tierway_plus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
    static inline int64_t tierway_minus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
    static inline int64_t tierway_add64(int64_t *at, int64_t step) {
        return tierway_plus(__atomic_fetch_add(at, step, __ATOMIC_RELAXED), step);
    }

    /* Puts `value` where `*seen` is; otherwise tells in `*seen` what is. May fail without cause: call it in a loop. */
    static inline int tierway_swap64(int64_t *at, int64_t *seen, int64_t value) {
        return __atomic_compare_exchange_n(at, seen, value, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }

    /* The same in the order of the program, for words that lean on each other. */
    static inline int64_t tierway_add64_ordered(int64_t *at, int64_t step) {
        return tierway_plus(__atomic_fetch_add(at, step, __ATOMIC_ACQ_REL), step);
    }
    static inline int tierway_swap64_ordered(int64_t *at, int64_t *seen, int64_t value) {
        return __atomic_compare_exchange_n(at, seen, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }

    /* Doubles go by their bits: processors order and swap words, not numbers. */
    static inline double tierway_as_double(int64_t bits) { double value; memcpy(&value, &bits, 8); return value; }
    static inline int64_t tierway_as_bits(double value) { int64_t bits; memcpy(&bits, &value, 8); return bits; }

    /* Adds `step` unless the result would leave 0 to INT32_MAX. Returns the new value, or -1 when nothing was added. */
    static inline int32_t tierway_count(int32_t *at, int32_t step) {
        int32_t seen = __atomic_load_n(at, __ATOMIC_RELAXED);
        while (step < 0 ? seen >= -step : seen <= INT32_MAX - step)
            if (__atomic_compare_exchange_n(at, &seen, seen + step, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return seen + step;
        return -1;
    }

    /* What a writer does between is seen by whoever sees it done; whoever sees a part of it sees it begun. */
    static inline void tierway_enter(int64_t *begun) {
        __atomic_fetch_add(begun, 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
    }
    static inline void tierway_leave(int64_t *done) { __atomic_fetch_add(done, 1, __ATOMIC_RELEASE); }
    static inline int64_t tierway_load64_acquire(const int64_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
    static inline void tierway_fence_acquire(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
    """
    const int64_t NEVER_NS "TIERWAY_NEVER_NS"

    int32_t load "tierway_load"(const int32_t* at) noexcept nogil
    int32_t take_all "tierway_take_all"(int32_t* at) noexcept nogil
    int32_t count "tierway_count"(int32_t* at, int32_t step) noexcept nogil
    int64_t load64 "tierway_load64"(const int64_t* at) noexcept nogil
    void store64 "tierway_store64"(int64_t* at, int64_t value) noexcept nogil
    void add_bits "tierway_add_bits"(int64_t* at, int64_t bits) noexcept nogil
    void drop_bits "tierway_drop_bits"(int64_t* at, int64_t bits) noexcept nogil
    int64_t exchange64 "tierway_exchange64"(int64_t* at, int64_t value) noexcept nogil
    int64_t plus "tierway_plus"(int64_t a, int64_t b) noexcept nogil
    int64_t minus "tierway_minus"(int64_t a, int64_t b) noexcept nogil
    int64_t add64 "tierway_add64"(int64_t* at, int64_t step) noexcept nogil
    bint swap64 "tierway_swap64"(int64_t* at, int64_t* seen, int64_t value) noexcept nogil
    int64_t add64_ordered "tierway_add64_ordered"(int64_t* at, int64_t step) noexcept nogil
    bint swap64_ordered "tierway_swap64_ordered"(int64_t* at, int64_t* seen, int64_t value) noexcept nogil
    double as_double "tierway_as_double"(int64_t bits) noexcept nogil
    int64_t as_bits "tierway_as_bits"(double value) noexcept nogil
    void enter "tierway_enter"(int64_t* begun) noexcept nogil
    void leave "tierway_leave"(int64_t* done) noexcept nogil
    int64_t load64_acquire "tierway_load64_acquire"(const int64_t* at) noexcept nogil
    void fence_acquire "tierway_fence_acquire"() noexcept nogil

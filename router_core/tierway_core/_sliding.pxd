# cython: language_level=3
"""What fades: means that forget with time, and counts over a sliding window. `state_reference` is the specification."""

from libc.math cimport exp
from libc.stdint cimport int64_t, uint64_t

from tierway_core._atomic cimport as_bits, as_double, exchange64, load64, store64, swap64
from tierway_core._records cimport SLOTS, EwmaC, WindowC

cdef extern from *:
    """
    #define TIERWAY_TAU_NS 10e9
    #define TIERWAY_FADE_NS 60e9
    #define TIERWAY_LEAST_WEIGHT 0.02
    #define TIERWAY_MOST_ERROR_WEIGHT 0.2
    #define TIERWAY_COUNT_BITS 40
    #define TIERWAY_MOST_COUNT ((INT64_C(1) << TIERWAY_COUNT_BITS) - 1)
    #define TIERWAY_MOST_SLOT ((INT64_C(1) << 23) - 1)
    #define TIERWAY_MOST_AHEAD (1 << 16)
    #define TIERWAY_USAGE_SLOT_NS (INT64_C(60000000000) / 8)
    """
    # As state_reference.py has them.
    const double TAU_NS "TIERWAY_TAU_NS"
    const double FADE_NS "TIERWAY_FADE_NS"
    const double LEAST_WEIGHT "TIERWAY_LEAST_WEIGHT"
    const double MOST_ERROR_WEIGHT "TIERWAY_MOST_ERROR_WEIGHT"
    const int COUNT_BITS "TIERWAY_COUNT_BITS"
    const int64_t MOST_COUNT "TIERWAY_MOST_COUNT"
    const int64_t MOST_SLOT "TIERWAY_MOST_SLOT"
    const int64_t MOST_AHEAD "TIERWAY_MOST_AHEAD"
    const int64_t USAGE_SLOT_NS "TIERWAY_USAGE_SLOT_NS"


# For who reads many windows at one moment.
cdef struct NumbersC:
    int64_t bits[SLOTS]  # as they stand in a slot's word


cdef inline double ewma(const EwmaC* mean, double default) noexcept nogil:
    """The mean; `default` while nothing was seen."""
    cdef int64_t bits = load64(&mean.value)
    return default if bits == 0 else as_double(bits)


cdef inline double lately(const EwmaC* mean, double default, int64_t now_ns) noexcept nogil:
    """The mean as far as it is believed: less with each moment without a sample, until `default` holds again."""
    cdef int64_t bits = load64(&mean.value)
    cdef double faded
    if bits == 0:
        return default
    faded = min(<double>max(now_ns - load64(&mean.at_ns), <int64_t>0) / FADE_NS, 1.0)
    return as_double(bits) + faded * (default - as_double(bits))


cdef inline void sample(EwmaC* mean, int64_t now_ns, double value, double first, double most_weight) noexcept nogil:
    """Moves the mean towards `value`; from `first` if there is none.

    Time and mean are two words: a writer between another's two weighs its sample by a moment that is a little off.
    """
    cdef int64_t elapsed_ns = max(now_ns - exchange64(&mean.at_ns, now_ns), <int64_t>0)
    cdef double weight = min(max(1.0 - exp(-<double>elapsed_ns / TAU_NS), LEAST_WEIGHT), most_weight)
    cdef int64_t seen = load64(&mean.value)
    cdef double old
    while True:
        old = first if seen == 0 else as_double(seen)
        if swap64(&mean.value, &seen, as_bits(old + weight * (value - old))):
            return


cdef inline int64_t age_of(int64_t slot_word, int64_t slot) noexcept nogil:
    """How many slots ago a slot's count was made; negative: in a later slot, by one who was quicker.

    Numbers go round after 2^23 slots, of which the last 2^16 are taken as ahead: nobody is later than that.
    """
    cdef int64_t age = (slot - (slot_word >> COUNT_BITS)) & MOST_SLOT
    return age if age <= MOST_SLOT - MOST_AHEAD else age - MOST_SLOT - 1


cdef inline void slide(WindowC* window, int64_t slot, int64_t amount) noexcept nogil:
    """Counts `amount` in the slot; a count stops at 2^40 - 1, and what comes when its slot has passed is not counted."""
    cdef int64_t* at = &window.slots[slot % SLOTS]
    cdef int64_t seen = load64(at)
    cdef int64_t age, counted
    while True:
        age = age_of(seen, slot)
        if age < 0 and seen & MOST_COUNT:
            return
        counted = min((seen & MOST_COUNT if age == 0 else 0) + amount, MOST_COUNT)
        if swap64(at, &seen, ((slot & MOST_SLOT) << COUNT_BITS) | counted):
            return


cdef inline NumbersC numbers_at(int64_t slot) noexcept nogil:
    """The numbers of a slot and of the seven before, each in its place."""
    cdef NumbersC numbers
    cdef int place
    for place in range(SLOTS):
        numbers.bits[place] = ((slot - ((slot - place) & (SLOTS - 1))) & MOST_SLOT) << COUNT_BITS
    return numbers


cdef inline int64_t counted_in(const WindowC* window, const NumbersC* numbers, int place) noexcept nogil:
    cdef int64_t counted = load64(&window.slots[place]) - numbers.bits[place]
    return counted if <uint64_t>counted <= <uint64_t>MOST_COUNT else 0


cdef inline int64_t slid_by(const WindowC* window, const NumbersC* numbers) noexcept nogil:
    """What the window counted in the slots of these numbers. No loop: `usage_based` reads a thousand of them in a decision."""
    return (
        counted_in(window, numbers, 0) + counted_in(window, numbers, 1) + counted_in(window, numbers, 2)
        + counted_in(window, numbers, 3) + counted_in(window, numbers, 4) + counted_in(window, numbers, 5)
        + counted_in(window, numbers, 6) + counted_in(window, numbers, 7)
    )


cdef inline int64_t slid(const WindowC* window, int64_t slot) noexcept nogil:
    """What the window counted: in the slot, and in the seven before."""
    cdef NumbersC numbers = numbers_at(slot)
    return slid_by(window, &numbers)


cdef inline void forget(WindowC* window) noexcept nogil:
    cdef int place
    for place in range(SLOTS):
        store64(&window.slots[place], 0)

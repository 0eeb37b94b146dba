# cython: language_level=3
"""Circuit breakers: an automaton in one word, over a sliding window. `state_reference.ReferenceBreaker` is the specification.

The word stands in a column, its parameters in the deployment's record. From the lowest bit: state (2 bits), the operator's override (2), probes taken (6), probes that succeeded (6), and
until when it is open, or waits for probes, in steps of 2^16 ns (48).
"""

from libc.stdint cimport int64_t

from tierway_core._atomic cimport as_double, load64, swap64
from tierway_core._records cimport RecordC
from tierway_core._sliding cimport forget, slid, slide

cdef enum:
    MOST_PROBES = 63
    UNTIL_BITS = 16


cdef enum StateC:  # the numbers of Breaker, less one: a record of zeros is closed
    STATE_CLOSED = 0
    STATE_OPEN = 1
    STATE_HALF_OPEN = 2


cdef inline int64_t state_in(int64_t word) noexcept nogil:
    return word & 3


cdef inline int64_t forced_in(int64_t word) noexcept nogil:
    """The override, as a number of Breaker; 0: none."""
    return word >> 2 & 3


cdef inline int64_t taken_in(int64_t word) noexcept nogil:
    return word >> 4 & MOST_PROBES


cdef inline int64_t succeeded_in(int64_t word) noexcept nogil:
    return word >> 10 & MOST_PROBES


cdef inline bint is_due(int64_t word, int64_t now_ns) noexcept nogil:
    return now_ns >> UNTIL_BITS >= word >> UNTIL_BITS


cdef inline int64_t half_open(int64_t taken, int64_t succeeded, int64_t until) noexcept nogil:
    return STATE_HALF_OPEN | taken << 4 | succeeded << 10 | until << UNTIL_BITS


cdef inline int64_t until_after(const RecordC* record, int64_t now_ns) noexcept nogil:
    """When what is open from now on is due, in the word's steps, rounded up."""
    return (now_ns + load64(&record.open_ns) + (1 << UNTIL_BITS) - 1) >> UNTIL_BITS


cdef inline int64_t after_admission(const RecordC* record, int64_t word, int64_t now_ns) noexcept nogil:
    """The word once a request is let through; -1: it is not."""
    if forced_in(word):
        return word if forced_in(word) - 1 == STATE_CLOSED else -1
    if state_in(word) == STATE_CLOSED:
        return word
    if is_due(word, now_ns):  # an open one has had no probes; a half-open one gives up those whose outcome never came
        return half_open(min(succeeded_in(word) + 1, <int64_t>MOST_PROBES), succeeded_in(word), until_after(record, now_ns))
    if state_in(word) == STATE_HALF_OPEN and taken_in(word) < load64(&record.probes):
        return word + (1 << 4)
    return -1


cdef inline bint breaker_allows(const RecordC* record, int64_t word, int64_t now_ns) noexcept nogil:
    """Whether a request would be let through; takes no probe."""
    return after_admission(record, word, now_ns) >= 0


cdef inline bint probe(const RecordC* record, int64_t* breaker, int64_t now_ns) noexcept nogil:
    """Lets a request through, or not; takes a probe where one is needed."""
    cdef int64_t word = load64(breaker)
    cdef int64_t after
    while True:
        after = after_admission(record, word, now_ns)
        if after == word or after < 0 or swap64(breaker, &word, after):
            return after >= 0


cdef inline void release(int64_t* breaker) noexcept nogil:
    """Gives a probe back of which no outcome will come."""
    cdef int64_t word = load64(breaker)
    while state_in(word) == STATE_HALF_OPEN and taken_in(word) > succeeded_in(word):
        if swap64(breaker, &word, word - (1 << 4)):
            return


cdef inline bint is_failing(const RecordC* record, int64_t slot) noexcept nogil:
    """Whether the window holds enough requests, and too large a share of errors."""
    cdef int64_t errors = slid(&record.errors, slot)
    cdef int64_t outcomes
    if errors == 0:
        return False
    outcomes = slid(&record.outcomes, slot)
    if outcomes < load64(&record.min_requests):
        return False
    return <double>errors > as_double(load64(&record.error_share)) * <double>outcomes


cdef inline void count_outcome(RecordC* record, int64_t* breaker, int64_t now_ns, bint ok) noexcept nogil:
    """Counts an outcome while closed, and opens; judges probes while half-open. One that is overridden learns nothing."""
    cdef int64_t word = load64(breaker)
    cdef int64_t slot_ns = load64(&record.slot_ns)
    cdef int64_t slot, taken, succeeded, after
    cdef bint counted = False
    if slot_ns == 0:
        return
    slot = now_ns // slot_ns
    while True:
        if forced_in(word) or state_in(word) == STATE_OPEN:
            return
        if state_in(word) == STATE_CLOSED:
            if not counted:
                slide(&record.outcomes, slot, 1)
                if not ok:
                    slide(&record.errors, slot, 1)
                counted = True
            if not is_failing(record, slot):
                return
            after = STATE_OPEN | until_after(record, now_ns) << UNTIL_BITS
        elif not ok:
            after = STATE_OPEN | until_after(record, now_ns) << UNTIL_BITS
        else:
            succeeded = min(succeeded_in(word) + 1, <int64_t>MOST_PROBES)
            taken = max(taken_in(word), succeeded)
            after = half_open(taken, succeeded, word >> UNTIL_BITS) if succeeded < load64(&record.probes) else STATE_CLOSED
        if swap64(breaker, &word, after):
            if state_in(after) == STATE_OPEN:  # once closed again, it starts with an empty window
                forget(&record.outcomes)
                forget(&record.errors)
            return


cdef inline void force(int64_t* breaker, int64_t forced) noexcept nogil:
    """Overrides the automaton, which keeps where it was; 0 gives it back."""
    cdef int64_t word = load64(breaker)
    while not swap64(breaker, &word, (word & ~(<int64_t>3 << 2)) | forced << 2):
        pass

# cython: language_level=3
"""Rate limits by GCRA, in one word: when the limit is idle again. `state_reference.ReferenceLimit` is the specification."""

from libc.stdint cimport int64_t

from tierway_core._atomic cimport NEVER_NS, add64, load64, swap64
from tierway_core._records cimport LimitC


cdef inline int64_t cost_ns(const LimitC* limit, int64_t cost) noexcept nogil:
    """How far `cost` requests move the limit; at most NEVER_NS."""
    cdef int64_t increment_ns = load64(&limit.increment_ns)
    if increment_ns <= 0 or cost <= 0:
        return 0
    return NEVER_NS if cost > NEVER_NS // increment_ns else cost * increment_ns


cdef inline int64_t wait_at(int64_t tat_ns, int64_t burst_ns, int64_t now_ns, int64_t step_ns) noexcept nogil:
    """Nanoseconds until a step fits; NEVER_NS if it is larger than the burst."""
    cdef int64_t ahead_ns
    if step_ns == 0:
        return 0
    if step_ns > burst_ns:
        return NEVER_NS
    ahead_ns = tat_ns - now_ns if tat_ns > now_ns else 0
    return 0 if ahead_ns <= burst_ns - step_ns else ahead_ns - (burst_ns - step_ns)


cdef inline int64_t wait_of(const LimitC* limit, int64_t now_ns, int64_t cost) noexcept nogil:
    """Nanoseconds until `cost` would be granted; 0: now."""
    return wait_at(load64(&limit.tat_ns), load64(&limit.burst_ns), now_ns, cost_ns(limit, cost))


cdef inline bint would_take(const LimitC* limit, int64_t now_ns) noexcept nogil:
    """Whether one request would be granted; takes nothing."""
    return wait_of(limit, now_ns, 1) == 0


cdef inline int64_t take_from(LimitC* limit, int64_t now_ns, int64_t cost) noexcept nogil:
    """Takes `cost` if it fits. Nanoseconds to wait; 0: granted."""
    cdef int64_t step_ns = cost_ns(limit, cost)
    cdef int64_t burst_ns = load64(&limit.burst_ns)
    cdef int64_t tat_ns = load64(&limit.tat_ns)
    cdef int64_t wait_ns
    while True:
        wait_ns = wait_at(tat_ns, burst_ns, now_ns, step_ns)
        if wait_ns != 0 or step_ns == 0:
            return wait_ns
        if swap64(&limit.tat_ns, &tat_ns, max(tat_ns, now_ns) + step_ns):
            add64(&limit.taken, cost)
            return 0


cdef inline void hold_of(LimitC* limit, int64_t until_ns) noexcept nogil:
    """Grants nothing before `until_ns`, and then one by one; never moves what is held longer."""
    cdef int64_t idle_ns = until_ns + load64(&limit.burst_ns) - load64(&limit.increment_ns)
    cdef int64_t tat_ns = load64(&limit.tat_ns)
    while tat_ns < idle_ns and not swap64(&limit.tat_ns, &tat_ns, idle_ns):
        pass


cdef inline void give_back_to(LimitC* limit, int64_t cost) noexcept nogil:
    """Takes a grant back."""
    cdef int64_t step_ns = cost_ns(limit, cost)
    cdef int64_t tat_ns = load64(&limit.tat_ns)
    while not swap64(&limit.tat_ns, &tat_ns, max(tat_ns - step_ns, <int64_t>0)):
        pass
    if step_ns > 0:
        add64(&limit.taken, -cost)

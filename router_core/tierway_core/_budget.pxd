# cython: language_level=3
"""Budgets: what is spent and reserved never exceeds the limit of a period, whoever reserves, and whoever dies meanwhile.

`state_reference.ReferenceBudget` is the specification of one process. Between processes:

- A reservation is granted by one compare-and-swap of `committed`, the only word that guards the limit.
- Every step towards committing comes before the step that leans on it, and money is given free last: a worker that is
  killed between any two steps leaves too much committed, never too little.
- At rest, committed = spent + the sum of held. An operation is the only thing that disturbs this, and counts itself in
  `begun` before its first step and in `done` after its last. So a dead worker's half operation shows as a difference,
  which others' whole operations do not change: `discrepancy` measures it, where no other is at work.
- A period ends by moving `base` to what is spent by now: one word. Whoever is late to do so can only move it less far.
"""

from libc.stdint cimport int32_t, int64_t

from tierway_core._atomic cimport (
    add64_ordered, fence_acquire, load64, load64_acquire, minus, plus, swap64, swap64_ordered
)
from tierway_core._records cimport MOST_WORKERS, BudgetC, WorkerC


cdef inline bint is_over(const BudgetC* budget, int64_t now_ns) noexcept nogil:
    """Whether the period is over, or has not begun."""
    return load64(&budget.period_ns) > 0 and now_ns >= load64_acquire(&budget.end_ns)


cdef inline int64_t left_of(const BudgetC* budget, int64_t now_ns) noexcept nogil:
    """What may still be reserved in this period; negative: that much was spent beyond the limit."""
    cdef int64_t committed = load64(&budget.committed_picousd)
    cdef int64_t base = load64(&budget.spent_picousd) if is_over(budget, now_ns) else load64(&budget.base_picousd)
    return minus(minus(load64(&budget.limit_picousd), load64(&budget.others_picousd)), minus(committed, base))


cdef inline int64_t room_in(const BudgetC* budget, int64_t committed, int64_t base) noexcept nogil:
    """What may be reserved here: what is left, or where it is leased, what is left of the lease."""
    if load64(&budget.is_leased):
        return minus(load64(&budget.ceiling_picousd), committed)
    return minus(load64(&budget.limit_picousd), minus(committed, base))


cdef inline int64_t spent_of(const BudgetC* budget, int64_t now_ns) noexcept nogil:
    """What was spent in this period."""
    return 0 if is_over(budget, now_ns) else minus(load64(&budget.spent_picousd), load64(&budget.base_picousd))


cdef inline int64_t held_of(const BudgetC* budget) noexcept nogil:
    """What is reserved, by all workers."""
    cdef int64_t total = 0
    cdef int worker
    for worker in range(MOST_WORKERS):
        total = plus(total, load64(&budget.held[worker]))
    return total


cdef inline void roll(BudgetC* budget, int64_t now_ns) noexcept nogil:
    """Begins the next period if this one is over. Killed in between, another does it again: no harm."""
    cdef int64_t end_ns = load64_acquire(&budget.end_ns)
    cdef int64_t period_ns = load64(&budget.period_ns)
    cdef int64_t spent, base, next_ns
    if period_ns <= 0 or now_ns < end_ns:
        return
    spent = load64_acquire(&budget.spent_picousd)
    base = load64_acquire(&budget.base_picousd)
    # Spent was read before the end was seen unchanged, so it is of the old period: nothing of the new one is forgiven.
    if load64_acquire(&budget.end_ns) != end_ns:
        return
    next_ns = now_ns + period_ns if end_ns == 0 else end_ns + ((now_ns - end_ns) // period_ns + 1) * period_ns
    swap64_ordered(&budget.base_picousd, &base, spent)
    swap64_ordered(&budget.end_ns, &end_ns, next_ns)


cdef inline bint grant(BudgetC* budget, int32_t worker, int64_t now_ns, int64_t picousd) noexcept nogil:
    """Reserves if it fits. Between `enter` and `leave`."""
    cdef int64_t committed, base, asked
    roll(budget, now_ns)
    base = load64(&budget.base_picousd)  # only grows: one of before grants less
    committed = load64(&budget.committed_picousd)
    while True:
        if picousd > room_in(budget, committed, base):
            asked = load64(&budget.asked_picousd)
            while picousd > asked and not swap64(&budget.asked_picousd, &asked, picousd):
                pass
            return False
        if swap64_ordered(&budget.committed_picousd, &committed, plus(committed, picousd)):
            add64_ordered(&budget.held[worker], picousd)
            return True


cdef inline void pay(BudgetC* budget, int32_t worker, int64_t now_ns, int64_t reserved, int64_t actual) noexcept nogil:
    """Turns a reservation into spending. Between `enter` and `leave`."""
    roll(budget, now_ns)
    if actual > reserved:
        add64_ordered(&budget.committed_picousd, actual - reserved)
    add64_ordered(&budget.spent_picousd, actual)
    add64_ordered(&budget.held[worker], -reserved)
    if actual < reserved:
        add64_ordered(&budget.committed_picousd, actual - reserved)


cdef inline bint discrepancy(
    const BudgetC* budget, const WorkerC* workers, int count, const bint* is_dead, int64_t* found
) noexcept nogil:
    """Measures committed - spent - held, if none of the living was at work meanwhile."""
    cdef int64_t done[MOST_WORKERS]
    cdef int worker
    for worker in range(count):
        done[worker] = load64_acquire(&workers[worker].done)
    found[0] = minus(minus(load64(&budget.committed_picousd), load64(&budget.spent_picousd)), held_of(budget))
    fence_acquire()
    for worker in range(count):
        if not is_dead[worker] and load64(&workers[worker].begun) != done[worker]:
            return False
    return True

# cython: language_level=3
"""The state as `_select` and others read it in C: columns, records, and readers that change nothing.

A reader of a breaker, a limit or a budget is in `_breaker`, `_limit`, `_budget`, of a mean or a window in `_sliding`.
"""

from libc.stdint cimport int32_t, int64_t

from tierway_core._atomic cimport load, load64
from tierway_core._records cimport BudgetC, HeaderC, LimitC, RecordC, WorkerC
from tierway_core._sliding cimport USAGE_SLOT_NS, NumbersC, slid, slid_by


# What is in flight, by worker: what a dead one held is known.
cdef struct HeldC:
    int32_t* counts
    Py_ssize_t stride  # from a worker's to the next one's
    int workers


cdef inline int32_t in_flight_of(const HeldC* held, Py_ssize_t index) noexcept nogil:
    """Requests in flight with a deployment, of all workers."""
    cdef const int32_t* at = held.counts + index
    cdef int32_t total = load(at)
    cdef int worker
    for worker in range(1, held.workers):
        at += held.stride
        total += load(at)
    return total


cdef inline bint is_available(const int64_t* available, Py_ssize_t index) noexcept nogil:
    return load64(available + index // 64) >> (index % 64) & 1


cdef inline int64_t requests_of(const RecordC* record, int64_t now_ns) noexcept nogil:
    """Requests that ended in the last minute, here and on other machines."""
    return slid(&record.requests, now_ns // USAGE_SLOT_NS) + load64(&record.others_requests)


cdef inline int64_t tokens_of(const RecordC* record, const NumbersC* numbers) noexcept nogil:
    """Tokens of the requests that ended in the last minute, here and on other machines; `numbers_at(now_ns // USAGE_SLOT_NS)`."""
    return slid_by(&record.tokens, numbers) + load64(&record.others_tokens)


cdef class State:
    cdef readonly Py_ssize_t deployments
    cdef readonly Py_ssize_t limits
    cdef readonly Py_ssize_t budgets
    cdef readonly int workers
    cdef readonly int worker
    cdef int64_t* available  # a bit each
    cdef int64_t* breakers  # a word each: see _breaker.pxd
    cdef HeldC held
    cdef RecordC* records
    cdef LimitC* limit_records
    cdef BudgetC* budget_records
    cdef WorkerC* worker_records
    cdef Py_buffer _view  # keeps the buffer alive
    cdef bint _holds_view

    cdef RecordC* record(self, Py_ssize_t index) except NULL
    cdef int64_t* breaker_word(self, Py_ssize_t index) except NULL
    cdef int32_t* own_count(self, Py_ssize_t index) except NULL
    cdef LimitC* limit_record(self, Py_ssize_t limit) except NULL
    cdef BudgetC* budget_record(self, Py_ssize_t budget) except NULL
    cdef int64_t measure(self, Py_ssize_t budget, const bint* is_dead) except? -1

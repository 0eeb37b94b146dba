# cython: language_level=3
"""The layout of a state: columns and fixed-size records of words, each a multiple of a cache line (64 bytes).

A header, a record for each worker, the columns of the deployments, then a record for each deployment, limit and budget, in
this order. Columns are what every decision reads of every deployment: in records, a thousand of them would be a thousand
cache lines. First availability, a bit each, then breakers, a word each; then for each worker what it has in flight, a count each.
Zeros are a valid state: all is unavailable and idle, breakers and limits let everything through, budgets have nothing to spend.
Change anything here, and LAYOUT_VERSION goes up.
"""

from libc.stdint cimport int32_t, int64_t

cdef enum:
    LAYOUT_VERSION = 2
    LINE_BYTES = 64
    MOST_WORKERS = 16
    SLOTS = 8  # of a sliding window


cdef struct HeaderC:  # each word is 0 until the first process claims it
    int64_t magic
    int64_t layout
    int64_t deployments
    int64_t limits
    int64_t budgets
    int64_t workers
    int64_t spare[2]


cdef struct WorkerC:
    int64_t begun  # operations on budgets; as many as `done`, unless one is going on or was cut short
    int64_t done
    int64_t spare[6]


cdef struct EwmaC:
    int64_t value  # the bits of a double; 0: nothing seen
    int64_t at_ns  # of the last sample


cdef struct WindowC:
    int64_t slots[SLOTS]  # each with its number (23 bits, they go round) and a count (40 bits)


cdef struct RecordC:
    EwmaC first_token
    EwmaC token
    EwmaC error
    # Usage of the minute on other machines, as last heard.
    int64_t others_requests
    int64_t others_tokens
    # Parameters of the breaker.
    int64_t error_share  # the bits of a double
    int64_t min_requests
    int64_t slot_ns  # an eighth of the window; 0: the breaker never opens
    int64_t open_ns
    int64_t probes
    int64_t spare[3]
    # Outcomes within the breaker's window, and usage of the minute.
    WindowC outcomes
    WindowC errors
    WindowC requests
    WindowC tokens


cdef struct LimitC:
    int64_t tat_ns  # theoretical arrival time: when the limit is idle again
    int64_t increment_ns  # 0: no limit
    int64_t burst_ns
    int64_t taken  # granted for ever, less what was given back
    int64_t spare[4]


cdef struct BudgetC:
    # Counted on for ever, modulo 2^64; only differences mean something.
    int64_t committed_picousd  # spent and reserved
    int64_t spent_picousd
    int64_t base_picousd  # what was spent when this period began
    int64_t limit_picousd  # of a period
    int64_t period_ns  # 0: never ends
    int64_t end_ns  # of this period; 0: before its first use
    int64_t asked_picousd  # the most that was refused since somebody looked
    # Shared with other machines: see _sharing.pyx.
    int64_t is_leased
    int64_t ceiling_picousd  # committed may not pass it
    int64_t others_picousd  # what others spent and reserved in this period
    int64_t spare[6]
    int64_t held[MOST_WORKERS]  # reserved, by worker

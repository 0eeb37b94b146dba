# cython: language_level=3
"""What is asked of a decision."""

from libc.stdint cimport int32_t, int64_t, uint64_t


cdef class Request:
    cdef readonly str text
    cdef readonly str agent
    cdef readonly str task_type
    cdef readonly str force_model
    cdef readonly int64_t extra_input_tokens
    cdef readonly int64_t max_tokens
    cdef readonly int64_t max_cost_picousd
    cdef readonly double latency_budget_s
    cdef readonly double min_compliance
    cdef double stated_dial  # below 0: not stated
    cdef readonly int32_t min_tier
    cdef readonly int32_t max_tier
    cdef readonly bint has_image
    cdef readonly bint needs_response_format
    cdef readonly bint needs_logprobs
    cdef readonly int32_t needs
    cdef readonly bint allow_fallback
    cdef readonly str tenant
    cdef readonly str strategy
    cdef readonly frozenset regions
    cdef readonly str sticky_key
    cdef readonly uint64_t prefix_key
    cdef readonly double deadline_s
    cdef uint64_t sticky_bits  # scattered; of no meaning without `sticky_key`

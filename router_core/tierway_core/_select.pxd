# cython: language_level=3
"""A decision in plain C: what is asked, what there is, what strikes, what is chosen."""

from libc.stdint cimport int32_t, int64_t

from tierway_core._features cimport FeaturesC, Lexicon
from tierway_core._state cimport RecordC, State


cdef struct DeploymentC:
    int64_t input_picousd
    int64_t output_picousd
    int64_t context_tokens
    double expected_latency_s
    double compliance
    int32_t tier
    int32_t model
    bint vision
    bint response_format
    bint logprobs


cdef struct DemandC:
    int64_t input_tokens
    int64_t output_tokens
    int64_t context_tokens  # what must fit: the input and the answer, one token at least
    int64_t max_cost_picousd  # below 0: none
    double latency_budget_s
    double min_compliance
    int32_t forced_model  # below 0: none
    int32_t floor
    int32_t pin
    int32_t min_tier
    int32_t max_tier
    bint has_image
    bint needs_response_format
    bint needs_logprobs
    bint speaks_of_images


# What selection picks from: deployments that nothing struck, of this tier or above, seeing or not.
cdef struct PoolC:
    int32_t min_tier
    bint only_vision
    bint is_empty


cdef struct ChoiceC:
    Py_ssize_t deployment
    int64_t cost_picousd


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
    cdef readonly int32_t min_tier
    cdef readonly int32_t max_tier
    cdef readonly bint has_image
    cdef readonly bint needs_response_format
    cdef readonly bint needs_logprobs
    cdef readonly bint allow_fallback


cdef class Decision:
    cdef readonly object table
    cdef readonly Request request
    cdef readonly bytes filtered
    cdef readonly Py_ssize_t deployment
    cdef readonly int64_t estimated_cost_picousd
    cdef readonly int64_t input_tokens
    cdef readonly int64_t output_tokens
    cdef readonly int32_t floor
    cdef readonly int32_t pin
    cdef readonly bint prefers_vision
    cdef int32_t _base
    cdef FeaturesC _found


cdef class Router:
    cdef object _table
    cdef State _state
    cdef Lexicon _lexicon
    cdef dict _models
    cdef dict _task_types
    cdef frozenset _critical_agents
    cdef DeploymentC* _deployments
    cdef Py_ssize_t _count
    cdef int32_t[5] _floors  # by base class
    cdef int64_t[5] _expected_output_tokens
    cdef int32_t _accurate_tier
    cdef int32_t _governance_tier
    cdef double _min_compliance

    cpdef Decision decide(self, Request request)
    cdef int _resolve(self, Request request, DemandC* demand, Decision decision) except -1

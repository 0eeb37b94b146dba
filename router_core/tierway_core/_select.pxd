# cython: language_level=3
"""What is asked of a decision, what is decided, and who decides."""

from libc.stdint cimport int32_t, int64_t

from tierway_core._choice cimport DemandC, DeploymentC, ScalesC
from tierway_core._classifier cimport AssessmentC, Classifier
from tierway_core._features cimport FeaturesC, Lexicon
from tierway_core._state cimport State


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
    cdef double _cost_quality  # below 0: not stated
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
    cdef readonly bint is_sure
    cdef readonly Classifier classifier
    cdef int32_t _base
    cdef double _expected_quality
    cdef double _cost_quality
    cdef object _features  # made when first read, as the next
    cdef object _assessment
    cdef AssessmentC _judgement
    cdef FeaturesC _found


cdef class Router:
    cdef object _table
    cdef State _state
    cdef Lexicon _lexicon
    cdef Classifier _classifier
    cdef double* _abilities
    cdef ScalesC _scales  # as far as it is the same for all decisions
    cdef double _min_confidence
    cdef double _cost_quality
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
    cdef int _learn(self, object models) except -1
    cdef int _resolve(self, Request request, DemandC* demand, Decision decision) except -1

# cython: language_level=3
"""What was decided: the numbers that `Router.decide` works with and leaves behind."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int32_t, int64_t

from tierway_core._choice cimport DemandC
from tierway_core._classifier cimport AssessmentC, Classifier
from tierway_core._features cimport FeaturesC
from tierway_core._fleet cimport Fleet
from tierway_core._request cimport Request
from tierway_core._steering cimport PlanC


# What `filtered` follows from, in one allocation.
cdef inline DemandC* demand_in(bytes seen) noexcept:
    return <DemandC*>PyBytes_AS_STRING(seen)


cdef inline unsigned char* struck_in(bytes seen) noexcept:
    """What the moment struck, by deployment; NULL: nothing."""
    return NULL if len(seen) == sizeof(DemandC) else <unsigned char*>PyBytes_AS_STRING(seen) + sizeof(DemandC)


cdef class Decision:
    cdef readonly object table
    cdef readonly Request request
    cdef readonly object tenant
    cdef readonly Py_ssize_t deployment
    cdef readonly Py_ssize_t shadow_deployment
    cdef readonly int64_t estimated_cost_picousd
    cdef readonly double figure
    cdef readonly double budget_factor
    cdef readonly int32_t floor
    cdef readonly bint prefers_vision
    cdef readonly bint is_sure
    cdef readonly Classifier classifier
    cdef readonly int64_t input_tokens
    cdef readonly int64_t output_tokens
    cdef readonly int32_t pin
    cdef Fleet fleet
    cdef bytes seen  # the demand, and by deployment the filter by which the moment struck it, if it struck any
    cdef int32_t _base
    cdef int32_t _rule  # places in the table, as the next two; below 0: none
    cdef int32_t _experiment
    cdef int32_t _arm  # of the experiment
    cdef PlanC _plan
    cdef double _full_cost_quality
    cdef double _expected_quality
    cdef bytes _filtered  # made when first read, as the next two
    cdef object _features
    cdef object _assessment
    cdef AssessmentC _judgement
    cdef FeaturesC _found

# cython: language_level=3
"""A decision in plain C: what is asked, what there is, what strikes, what is chosen."""

from libc.stdint cimport int32_t, int64_t

from tierway_core._classifier cimport AssessmentC
from tierway_core._features cimport FeaturesC
from tierway_core._state cimport RecordC


cdef extern from *:
    """
    static inline int64_t tierway_add(int64_t a, int64_t b) {
        int64_t sum;
        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
    }
    static inline int64_t tierway_multiply(int64_t a, int64_t b) {
        int64_t product;
        return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
    }
    """
    # Of values that are not negative; INT64_MAX instead of overflow.
    int64_t add "tierway_add"(int64_t a, int64_t b) noexcept nogil
    int64_t multiply "tierway_multiply"(int64_t a, int64_t b) noexcept nogil


cdef enum:
    LEFT = 0  # by no filter struck


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


# What the dial weighs by: an assessment of the text, against the abilities of the models.
cdef struct ScalesC:
    const double* abilities  # by model, then by domain
    Py_ssize_t domains
    double difficulty
    double spread  # the root of 1 + pi/8 * sigma^2
    double gain
    int32_t domain
    int32_t strong  # the calibrated pair, by model; below 0: none
    int32_t weak
    bint only_price
    double rate
    double dearest_picousd


# What selection picks from: deployments that nothing struck, of this tier or above, seeing or not.
cdef struct PoolC:
    int32_t min_tier
    bint only_vision
    bint is_empty


cdef struct ChoiceC:
    Py_ssize_t deployment
    int64_t cost_picousd
    double utility
    int32_t tier
    int32_t in_flight


cdef int32_t classify(const FeaturesC* found) noexcept nogil
cdef void filter_all(
    const DeploymentC* deployments, const RecordC* records, Py_ssize_t count, const DemandC* demand, unsigned char* filtered
) noexcept nogil
cdef PoolC pool_of(
    const DeploymentC* deployments, Py_ssize_t count, const DemandC* demand, const unsigned char* filtered
) noexcept nogil
cdef ChoiceC cheapest(
    const DeploymentC* deployments, const RecordC* records, int workers, Py_ssize_t count, const DemandC* demand,
    const unsigned char* filtered, const PoolC* pool
) noexcept nogil
cdef double quality_of(const ScalesC* scales, int32_t model) noexcept nogil
cdef int64_t dearest(const DeploymentC* deployments, Py_ssize_t count, const DemandC* demand) noexcept nogil
cdef void set_up(ScalesC* scales, const AssessmentC* judgement, double cost_quality, int64_t dearest_picousd) noexcept nogil
cdef ChoiceC most_useful(
    const DeploymentC* deployments, const RecordC* records, int workers, Py_ssize_t count, const DemandC* demand,
    const unsigned char* filtered, const PoolC* pool, const ScalesC* scales
) noexcept nogil

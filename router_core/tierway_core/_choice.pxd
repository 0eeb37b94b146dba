# cython: language_level=3
"""A decision in plain C: what is asked, what strikes, what is left to choose from."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from tierway_core._classifier cimport AssessmentC
from tierway_core._features cimport FeaturesC
from tierway_core._fleet cimport DEPLOYMENTS_MOST, FleetC, KindC
from tierway_core._records cimport RecordC
from tierway_core._sliding cimport lately
from tierway_core._state cimport in_flight_of


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
    static inline void tierway_prefetch(const void *at) { __builtin_prefetch(at); }
    #define TIERWAY_WARM_LEAST 0.1
    #define TIERWAY_AHEAD 8
    """
    # Of values that are not negative; INT64_MAX instead of overflow.
    int64_t add "tierway_add"(int64_t a, int64_t b) noexcept nogil
    int64_t multiply "tierway_multiply"(int64_t a, int64_t b) noexcept nogil
    void prefetch "tierway_prefetch"(const void* at) noexcept nogil
    const Py_ssize_t AHEAD "TIERWAY_AHEAD"  # so many records are asked for before they are read
    const double WARM_LEAST "TIERWAY_WARM_LEAST"  # as prospects.py has it


cdef enum:
    LEFT = 0  # by no filter struck
    WARM_MOST = 8  # deployments that hold one prefix


cdef struct DemandC:
    int64_t input_tokens
    int64_t output_tokens
    int64_t likely_tokens  # of output: what is expected of the class, and no more than may be generated
    int64_t cached_tokens  # of the input, where a deployment is warm
    int64_t context_tokens  # what must fit: the input and the answer, one token at least
    int64_t max_cost_picousd  # below 0: none
    int64_t left_picousd  # of hard budgets; INT64_MAX: there is none
    int64_t now_ns
    double latency_budget_s
    double deadline_s
    double min_compliance
    uint64_t tenant_regions
    uint64_t regions
    uint64_t draw
    uint64_t prefix_key
    const unsigned char* allowed  # to the tenant, by model; NULL: all
    int32_t warm[WARM_MOST]
    int32_t warm_count
    int32_t forced_model  # below 0: none
    int32_t pin
    int32_t min_tier
    int32_t max_tier
    int32_t needs  # flags of Feature
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


# What one decision works out on its stack; only as much of it is touched as the fleet is large.
cdef struct DeskC:
    bint is_laid  # whether `costs`, `tiers` and `dearest` are there
    int64_t dearest  # what the request would cost on the dearest deployment, struck or not
    int64_t costs[DEPLOYMENTS_MOST]  # by kind, all input uncached
    int32_t members[DEPLOYMENTS_MOST]  # the pool, ascending
    signed char tiers[DEPLOYMENTS_MOST]  # by kind; 0: it is struck


# What a strategy chooses from: `pool`, not empty.
cdef struct ViewC:
    const FleetC* fleet
    const DemandC* demand
    const ScalesC* scales  # NULL by the rules of the class
    const int64_t* costs
    const int32_t* pool
    Py_ssize_t size
    bint only_vision  # whether those that do not see were passed over


cdef struct ChoiceC:
    Py_ssize_t deployment
    double figure


cdef int32_t classify(const FeaturesC* found) noexcept nogil
cdef unsigned char strike_kind(const KindC* kind, const DemandC* demand, int64_t cost_picousd) noexcept nogil
cdef bint are_all_fit(const FleetC* fleet, const DemandC* demand) noexcept nogil
cdef void strike_by_moment(const FleetC* fleet, const DemandC* demand, unsigned char* struck) noexcept nogil
cdef void strike_all(
    const FleetC* fleet, const DemandC* demand, const unsigned char* by_moment, unsigned char* filtered
) noexcept nogil
cdef void lay(const FleetC* fleet, const DemandC* demand, DeskC* desk) noexcept nogil
cdef void gather(
    const FleetC* fleet, const DemandC* demand, int32_t floor, const unsigned char* by_moment, DeskC* desk, ViewC* view
) noexcept nogil
cdef double quality_of(const ScalesC* scales, int32_t model) noexcept nogil
cdef void set_up(ScalesC* scales, const AssessmentC* judgement, double cost_quality) noexcept nogil
cdef double utility_of(const ScalesC* scales, double quality, int64_t cost_picousd) noexcept nogil


# ---- what strategies read -------------------------------------------------------------------------------------------

cdef inline const KindC* kind_of(const FleetC* fleet, Py_ssize_t index) noexcept nogil:
    return fleet.kinds + fleet.kind_of[index]


cdef inline bint is_warm(const DemandC* demand, Py_ssize_t index) noexcept nogil:
    """Whether a deployment is taken to hold the prefix."""
    cdef int32_t place
    for place in range(demand.warm_count):
        if demand.warm[place] == index:
            return True
    return False


cdef inline int64_t estimate_picousd(const KindC* kind, const DemandC* demand) noexcept nogil:
    """The estimated cost, all input uncached."""
    return add(multiply(demand.input_tokens, kind.input_picousd), multiply(demand.output_tokens, kind.output_picousd))


cdef inline int64_t warm_picousd(const KindC* kind, const DemandC* demand) noexcept nogil:
    return add(
        add(
            multiply(demand.input_tokens - demand.cached_tokens, kind.input_picousd),
            multiply(demand.cached_tokens, kind.cached_picousd),
        ),
        multiply(demand.output_tokens, kind.output_picousd),
    )


cdef inline int64_t cost_of(const ViewC* view, Py_ssize_t index) noexcept nogil:
    """The estimated cost, cached input at its price."""
    if is_warm(view.demand, index):
        return warm_picousd(kind_of(view.fleet, index), view.demand)
    return view.costs[view.fleet.kind_of[index]]


cdef inline int32_t tier_of(const ViewC* view, Py_ssize_t index) noexcept nogil:
    return kind_of(view.fleet, index).tier


cdef inline int32_t load_of(const ViewC* view, Py_ssize_t index) noexcept nogil:
    """Requests in flight, of all workers."""
    return in_flight_of(view.fleet.held, index)


cdef inline double answer_s_of(const FleetC* fleet, const DemandC* demand, Py_ssize_t index) noexcept nogil:
    """The predicted time of the whole answer."""
    cdef const KindC* kind = kind_of(fleet, index)
    cdef const RecordC* record = fleet.records + index
    cdef double first_token_s = lately(&record.first_token, kind.expected_latency_s, demand.now_ns)
    if is_warm(demand, index):
        first_token_s = first_token_s * max(
            <double>(demand.input_tokens - demand.cached_tokens) / <double>demand.input_tokens, WARM_LEAST
        )
    return first_token_s + <double>demand.likely_tokens * lately(&record.token, kind.expected_token_s, demand.now_ns)

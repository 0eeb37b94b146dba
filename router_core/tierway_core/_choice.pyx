# cython: language_level=3, freethreading_compatible=True
"""Filtering and pooling, and what the dial weighs by, over plain arrays. `filters`, `reference` and `quality` are the specification.

What deployments of a kind have in common is worked out once for all of them; what is left to do for each is one pass over what
changes from moment to moment.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t

from tierway_core._atomic cimport load, load64
from tierway_core._breaker cimport breaker_allows
from tierway_core._classifier cimport AssessmentC, logistic
from tierway_core._features cimport FeaturesC, has_code, has_planning
from tierway_core._limit cimport would_take
from tierway_core._records cimport RecordC


cdef extern from *:
    """
    #define TIERWAY_PI 3.141592653589793
    #define TIERWAY_RATE 2.0
    #define TIERWAY_DIAL_MIN 1e-9
    #define TIERWAY_AHEAD 8

    static inline void tierway_prefetch(const void *at) { __builtin_prefetch(at); }
    """
    # As quality.py has them.
    const double PI "TIERWAY_PI"
    const double RATE "TIERWAY_RATE"
    const double DIAL_MIN "TIERWAY_DIAL_MIN"
    const Py_ssize_t AHEAD "TIERWAY_AHEAD"  # so many records are asked for before they are read
    void prefetch "tierway_prefetch"(const void* at) noexcept nogil


cdef enum:  # the numbers of ReasonCode
    FILTERED_UNAVAILABLE = 10
    FILTERED_TIER = 11
    FILTERED_CONTEXT = 12
    FILTERED_VISION = 13
    FILTERED_RESPONSE_FORMAT = 14
    FILTERED_COMPLIANCE = 15
    FILTERED_COST = 16
    FILTERED_LATENCY = 17
    FILTERED_FORCED_MODEL = 18
    FILTERED_LOGPROBS = 19
    FILTERED_TENANT = 23
    FILTERED_REGION = 24
    FILTERED_BREAKER = 25
    FILTERED_RATE_LIMIT = 26
    FILTERED_BUDGET = 27
    FILTERED_DEADLINE = 28
    FILTERED_UNSUPPORTED = 33


cdef enum:  # the numbers of Complexity
    TRIVIAL = 1
    SIMPLE = 2
    MODERATE = 3
    COMPLEX = 4


# ---- classes, filters, choice ---------------------------------------------------------------------------------------

cdef int32_t classify(const FeaturesC* found) noexcept nogil:
    """The base class, which sets the floor."""
    cdef bint code = has_code(found)
    cdef bint planning = has_planning(found)
    if found.words > 200 or (code and planning):
        return COMPLEX
    if found.words > 50 or code or planning:
        return MODERATE
    return SIMPLE if found.words >= 10 else TRIVIAL


cdef inline int64_t estimate_picousd(const KindC* kind, const DemandC* demand) noexcept nogil:
    return add(multiply(demand.input_tokens, kind.input_picousd), multiply(demand.output_tokens, kind.output_picousd))


cdef inline unsigned char strike_kind(const KindC* kind, const DemandC* demand, int64_t cost_picousd) noexcept nogil:
    """The first filter that strikes all deployments of a kind, or LEFT."""
    if demand.forced_model >= 0 and kind.model != demand.forced_model:
        return FILTERED_FORCED_MODEL
    if demand.allowed != NULL and not demand.allowed[kind.model]:
        return FILTERED_TENANT
    if (kind.region & demand.tenant_regions & demand.regions) == 0:
        return FILTERED_REGION
    if demand.has_image and not kind.vision:
        return FILTERED_VISION
    if demand.needs_response_format and not kind.response_format:
        return FILTERED_RESPONSE_FORMAT
    if demand.needs_logprobs and not kind.logprobs:
        return FILTERED_LOGPROBS
    if demand.needs & kind.lacks:
        return FILTERED_UNSUPPORTED
    if kind.tier < demand.min_tier or kind.tier > demand.max_tier:
        return FILTERED_TIER
    if kind.compliance < demand.min_compliance:
        return FILTERED_COMPLIANCE
    if demand.context_tokens > kind.context_tokens:
        return FILTERED_CONTEXT
    if demand.max_cost_picousd >= 0 and cost_picousd > demand.max_cost_picousd:
        return FILTERED_COST
    if kind.expected_latency_s > demand.latency_budget_s:
        return FILTERED_LATENCY
    if cost_picousd > demand.left_picousd:
        return FILTERED_BUDGET
    return LEFT


cdef inline bint is_limited(const FleetC* fleet, const DeploymentC* deployment, int64_t now_ns) noexcept nogil:
    """Whether a limit that it draws on is used up for the moment."""
    cdef int32_t place
    for place in range(deployment.first_limit, deployment.first_limit + deployment.limits):
        if not would_take(fleet.limit_records + fleet.limits[place], now_ns):
            return True
    return False


cdef inline unsigned char strike(const FleetC* fleet, Py_ssize_t index, const DemandC* demand, bint hurries) noexcept nogil:
    """The first filter that strikes a deployment by the state of the moment, or LEFT."""
    cdef const RecordC* record = fleet.records + index
    if hurries and answer_s_of(fleet, demand, index) > demand.deadline_s:
        return FILTERED_DEADLINE
    if load(&record.available) == 0:
        return FILTERED_UNAVAILABLE
    if load64(&record.breaker) != 0 and not breaker_allows(record, demand.now_ns):  # a word of zeros is closed
        return FILTERED_BREAKER
    if fleet.deployments[index].limits > 0 and is_limited(fleet, fleet.deployments + index, demand.now_ns):
        return FILTERED_RATE_LIMIT
    return LEFT


cdef void filter_all(const FleetC* fleet, const DemandC* demand, DeskC* desk, unsigned char* filtered) noexcept nogil:
    """Prices all kinds, and says of each deployment which filter strikes it first."""
    cdef Py_ssize_t index
    cdef unsigned char code
    cdef bint hurries = demand.deadline_s < INFINITY
    for index in range(fleet.kinds_count):
        desk.costs[index] = estimate_picousd(fleet.kinds + index, demand)
        desk.struck[index] = strike_kind(fleet.kinds + index, demand, desk.costs[index])
        desk.tiers[index] = <signed char>fleet.kinds[index].tier
    for index in range(fleet.count):
        code = desk.struck[fleet.kind_of[index]]
        if code == LEFT:
            prefetch(fleet.records + index + AHEAD)
            code = strike(fleet, index, demand, hurries)
        filtered[index] = code


cdef void gather(
    const FleetC* fleet, const DemandC* demand, int32_t floor, const unsigned char* filtered, DeskC* desk, ViewC* view
) noexcept nogil:
    """What to choose from: at or above the floor, else the highest tier below it; those that see, if that is preferred."""
    cdef Py_ssize_t index, place
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t seeing = 0
    cdef int32_t tier
    cdef int32_t lowest = 0  # of the pool: the floor, or what comes nearest so far
    cdef bint narrows = demand.speaks_of_images and not demand.has_image
    view.fleet = fleet
    view.demand = demand
    view.costs = desk.costs
    view.pool = desk.members
    for index in range(fleet.count):
        if filtered[index] != LEFT:
            continue
        tier = desk.tiers[fleet.kind_of[index]]
        if tier > lowest and lowest < floor:  # all before are lower
            lowest = min(tier, floor)
            size = seeing = 0
        if tier >= lowest:
            desk.members[size] = <int32_t>index
            size += 1
            if narrows:
                seeing += kind_of(fleet, index).vision
    view.only_vision = 0 < seeing < size
    view.size = size
    if view.only_vision:
        view.size = 0
        for place in range(size):
            if kind_of(fleet, desk.members[place]).vision:
                desk.members[view.size] = desk.members[place]
                view.size += 1


# ---- the dial, as quality.py has it ---------------------------------------------------------------------------------

cdef inline double quality_by_ability(const ScalesC* scales, int32_t model) noexcept nogil:
    return logistic((scales.abilities[model * scales.domains + scales.domain] - scales.difficulty) / scales.spread)


cdef double quality_of(const ScalesC* scales, int32_t model) noexcept nogil:
    """The expected quality of a model's answer."""
    cdef double quality
    if model != scales.strong:
        return quality_by_ability(scales, model)
    quality = quality_by_ability(scales, scales.weak) + scales.gain
    return 0.0 if quality < 0.0 else 1.0 if quality > 1.0 else quality


cdef int64_t dearest(const FleetC* fleet, const DeskC* desk) noexcept nogil:
    """What the request would cost on the dearest deployment, struck or not."""
    cdef Py_ssize_t kind
    cdef int64_t most = 0
    for kind in range(fleet.kinds_count):
        most = max(most, desk.costs[kind])
    return most


cdef inline double exchange_rate(double cost_quality) noexcept nogil:
    return RATE * (1.0 - cost_quality) / max(cost_quality, DIAL_MIN)


cdef void set_up(ScalesC* scales, const AssessmentC* judgement, double cost_quality, int64_t dearest_picousd) noexcept nogil:
    """What the dial weighs by in one decision, beside the abilities and the pair."""
    scales.difficulty = judgement.difficulty
    scales.spread = sqrt(1.0 + PI / 8.0 * judgement.sigma * judgement.sigma)
    scales.gain = judgement.gain
    scales.domain = judgement.domain
    scales.only_price = cost_quality == 0.0
    scales.rate = exchange_rate(cost_quality)
    scales.dearest_picousd = <double>dearest_picousd


cdef double utility_of(const ScalesC* scales, double quality, int64_t cost_picousd) noexcept nogil:
    cdef double share = <double>cost_picousd / scales.dearest_picousd if scales.dearest_picousd > 0.0 else 0.0
    return -share if scales.only_price else quality - scales.rate * share

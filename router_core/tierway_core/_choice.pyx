# cython: language_level=3, freethreading_compatible=True
"""Filtering, pooling and choosing, over plain arrays. `tierway_core.reference` and `quality` are the specification.

Three separate steps. A further strategy is another function like `cheapest` and `most_useful`, from the same pool.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t

from tierway_core._classifier cimport AssessmentC, logistic
from tierway_core._features cimport FeaturesC, has_code, has_planning
from tierway_core._state cimport RecordC, in_flight_of, load


cdef extern from *:
    """
    #define TIERWAY_PI 3.141592653589793
    #define TIERWAY_RATE 2.0
    #define TIERWAY_DIAL_MIN 1e-9
    """
    # As quality.py has them.
    const double PI "TIERWAY_PI"
    const double RATE "TIERWAY_RATE"
    const double DIAL_MIN "TIERWAY_DIAL_MIN"


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


cdef inline int64_t estimate_picousd(const DeploymentC* deployment, const DemandC* demand) noexcept nogil:
    return add(
        multiply(demand.input_tokens, deployment.input_picousd), multiply(demand.output_tokens, deployment.output_picousd)
    )


cdef inline unsigned char strike(const DeploymentC* deployment, const RecordC* record, const DemandC* demand) noexcept nogil:
    """The first filter that strikes a deployment, or LEFT."""
    if demand.forced_model >= 0 and deployment.model != demand.forced_model:
        return FILTERED_FORCED_MODEL
    if demand.has_image and not deployment.vision:
        return FILTERED_VISION
    if demand.needs_response_format and not deployment.response_format:
        return FILTERED_RESPONSE_FORMAT
    if demand.needs_logprobs and not deployment.logprobs:
        return FILTERED_LOGPROBS
    if deployment.tier < demand.min_tier or deployment.tier > demand.max_tier or deployment.tier < demand.pin:
        return FILTERED_TIER
    if deployment.compliance < demand.min_compliance:
        return FILTERED_COMPLIANCE
    if demand.context_tokens > deployment.context_tokens:
        return FILTERED_CONTEXT
    if demand.max_cost_picousd >= 0 and estimate_picousd(deployment, demand) > demand.max_cost_picousd:
        return FILTERED_COST
    if deployment.expected_latency_s > demand.latency_budget_s:
        return FILTERED_LATENCY
    if load(&record.available) == 0:
        return FILTERED_UNAVAILABLE
    return LEFT


cdef void filter_all(
    const DeploymentC* deployments, const RecordC* records, Py_ssize_t count, const DemandC* demand, unsigned char* filtered
) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(count):
        filtered[index] = strike(deployments + index, records + index, demand)


cdef PoolC pool_of(
    const DeploymentC* deployments, Py_ssize_t count, const DemandC* demand, const unsigned char* filtered
) noexcept nogil:
    """What to choose from: at or above the floor, else the highest tier below it; those that see, if that is preferred."""
    cdef Py_ssize_t index
    cdef int32_t highest = 0
    cdef bint some_see = False
    cdef bint some_do_not = False
    cdef PoolC pool
    for index in range(count):
        if filtered[index] == LEFT and deployments[index].tier > highest:
            highest = deployments[index].tier
    pool.is_empty = highest == 0
    pool.min_tier = demand.floor if highest >= demand.floor else highest
    if demand.speaks_of_images and not demand.has_image:
        for index in range(count):
            if filtered[index] == LEFT and deployments[index].tier >= pool.min_tier:
                some_see = some_see or deployments[index].vision
                some_do_not = some_do_not or not deployments[index].vision
    pool.only_vision = some_see and some_do_not
    return pool


cdef inline bint is_in(const DeploymentC* deployment, unsigned char filtered, const PoolC* pool) noexcept nogil:
    return filtered == LEFT and deployment.tier >= pool.min_tier and (deployment.vision or not pool.only_vision)


cdef inline bint is_behind(int64_t cost_picousd, int32_t tier, int32_t in_flight, const ChoiceC* best) noexcept nogil:
    """Whether it comes after the best so far: dearer; else of a higher tier; else no less busy, for that one was earlier."""
    if best.deployment < 0 or cost_picousd != best.cost_picousd:
        return best.deployment >= 0 and cost_picousd > best.cost_picousd
    return tier > best.tier or (tier == best.tier and in_flight >= best.in_flight)


cdef ChoiceC cheapest(
    const DeploymentC* deployments, const RecordC* records, int workers, Py_ssize_t count, const DemandC* demand,
    const unsigned char* filtered, const PoolC* pool
) noexcept nogil:
    """The cheapest estimate of the pool; ties: lower tier, fewer in flight, order of the table."""
    cdef Py_ssize_t index
    cdef int64_t cost
    cdef int32_t in_flight
    cdef ChoiceC best
    best.deployment = -1
    best.utility = 0.0
    for index in range(count):
        if not is_in(deployments + index, filtered[index], pool):
            continue
        cost = estimate_picousd(deployments + index, demand)
        in_flight = in_flight_of(records + index, workers)
        if not is_behind(cost, deployments[index].tier, in_flight, &best):
            best.deployment = index
            best.cost_picousd = cost
            best.tier = deployments[index].tier
            best.in_flight = in_flight
    return best


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


cdef int64_t dearest(const DeploymentC* deployments, Py_ssize_t count, const DemandC* demand) noexcept nogil:
    cdef Py_ssize_t index
    cdef int64_t most = 0
    for index in range(count):
        most = max(most, estimate_picousd(deployments + index, demand))
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


cdef ChoiceC most_useful(
    const DeploymentC* deployments, const RecordC* records, int workers, Py_ssize_t count, const DemandC* demand,
    const unsigned char* filtered, const PoolC* pool, const ScalesC* scales
) noexcept nogil:
    """The highest utility of the pool; ties: the cheaper one, then as `cheapest`."""
    cdef Py_ssize_t index
    cdef int64_t cost
    cdef double utility
    cdef int32_t in_flight
    cdef ChoiceC best
    best.deployment = -1
    best.utility = 0.0
    for index in range(count):
        if not is_in(deployments + index, filtered[index], pool):
            continue
        cost = estimate_picousd(deployments + index, demand)
        utility = utility_of(scales, quality_of(scales, deployments[index].model), cost)
        in_flight = in_flight_of(records + index, workers)
        if best.deployment >= 0 and utility < best.utility:
            continue
        if utility > best.utility or not is_behind(cost, deployments[index].tier, in_flight, &best):
            best.deployment = index
            best.utility = utility
            best.cost_picousd = cost
            best.tier = deployments[index].tier
            best.in_flight = in_flight
    return best

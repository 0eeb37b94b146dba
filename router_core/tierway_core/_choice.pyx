# cython: language_level=3, freethreading_compatible=True
"""Filtering and pooling, and what the dial weighs by, over plain arrays. `filters`, `reference` and `quality` are the specification.

What deployments of a kind have in common is worked out once for all of them. What changes from moment to moment is one pass over the
state's columns; where it finds nothing amiss, nothing of it is written down.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from tierway_core._atomic cimport load64
from tierway_core._breaker cimport breaker_allows
from tierway_core._classifier cimport AssessmentC, logistic
from tierway_core._features cimport FeaturesC, has_code, has_planning
from tierway_core._fleet cimport DeploymentC, FleetC, KindC
from tierway_core._limit cimport would_take
from tierway_core._steering cimport lowest_bit


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


cdef unsigned char strike_kind(const KindC* kind, const DemandC* demand, int64_t cost_picousd) noexcept nogil:
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


cdef inline uint64_t missing_in(const FleetC* fleet, Py_ssize_t word) noexcept nogil:
    """A bit for each deployment of a word of 64 that is not available."""
    cdef uint64_t missing = ~<uint64_t>load64(fleet.available + word)
    cdef Py_ssize_t beyond = 64 * (word + 1) - fleet.count
    return missing if beyond <= 0 else missing & (~<uint64_t>0 >> beyond)


cdef inline bint is_any_opened(const FleetC* fleet, Py_ssize_t line) noexcept nogil:
    """Whether any breaker of a cache line is not simply closed, which a word of zeros is. Lines are whole, with zeros at the end."""
    cdef const int64_t* at = fleet.breakers + 8 * line
    return (
        load64(at) | load64(at + 1) | load64(at + 2) | load64(at + 3)
        | load64(at + 4) | load64(at + 5) | load64(at + 6) | load64(at + 7)
    ) != 0


cdef inline bint is_any_limit_used_up(const FleetC* fleet, int64_t now_ns) noexcept nogil:
    cdef Py_ssize_t place
    for place in range(fleet.drawn_count):
        if not would_take(fleet.limit_records + fleet.drawn[place], now_ns):
            return True
    return False


cdef bint are_all_fit(const FleetC* fleet, const DemandC* demand) noexcept nogil:
    """Whether it is seen at a glance that the moment strikes nobody: all are available, all breakers closed, no limit is used up."""
    cdef Py_ssize_t index
    if demand.deadline_s < INFINITY:
        return False
    for index in range((fleet.count + 63) // 64):
        if missing_in(fleet, index) != 0:
            return False
    for index in range((fleet.count + 7) // 8):
        if is_any_opened(fleet, index):
            return False
    return not is_any_limit_used_up(fleet, demand.now_ns)


cdef void strike_by_moment(const FleetC* fleet, const DemandC* demand, unsigned char* struck) noexcept nogil:
    """Says of each deployment which filter strikes it by the state of the moment, whatever else may strike it.

    Filter by filter, from the last to the first, which is the one that counts.
    """
    cdef Py_ssize_t index, line
    cdef int64_t breaker
    cdef uint64_t missing
    memset(struck, LEFT, fleet.count)
    if is_any_limit_used_up(fleet, demand.now_ns):
        for index in range(fleet.count):
            if is_limited(fleet, fleet.deployments + index, demand.now_ns):
                struck[index] = FILTERED_RATE_LIMIT
    for line in range((fleet.count + 7) // 8):
        if not is_any_opened(fleet, line):
            continue
        for index in range(8 * line, min(8 * line + 8, fleet.count)):
            breaker = load64(fleet.breakers + index)
            if breaker != 0 and not breaker_allows(fleet.records + index, breaker, demand.now_ns):
                struck[index] = FILTERED_BREAKER
    for index in range((fleet.count + 63) // 64):
        missing = missing_in(fleet, index)
        while missing != 0:
            struck[64 * index + lowest_bit(missing)] = FILTERED_UNAVAILABLE
            missing &= missing - 1
    if demand.deadline_s < INFINITY:
        for index in range(fleet.count):
            prefetch(fleet.records + index + AHEAD)
            if answer_s_of(fleet, demand, index) > demand.deadline_s:
                struck[index] = FILTERED_DEADLINE


cdef void strike_all(
    const FleetC* fleet, const DemandC* demand, const unsigned char* by_moment, unsigned char* filtered
) noexcept nogil:
    """Says of each deployment which filter strikes it first, once it is known what the moment does; NULL: nothing."""
    cdef Py_ssize_t index
    cdef const KindC* kind
    cdef unsigned char code
    for index in range(fleet.count):
        kind = kind_of(fleet, index)
        code = strike_kind(kind, demand, estimate_picousd(kind, demand))
        filtered[index] = by_moment[index] if code == LEFT and by_moment != NULL else code


cdef void lay(const FleetC* fleet, const DemandC* demand, DeskC* desk) noexcept nogil:
    """Prices all kinds, and says of which tier each is that no filter strikes."""
    cdef const KindC* kind
    cdef Py_ssize_t index
    cdef int64_t cost
    cdef int64_t dearest = 0
    if desk.is_laid:
        return
    for index in range(fleet.kinds_count):
        kind = fleet.kinds + index
        cost = estimate_picousd(kind, demand)
        dearest = max(dearest, cost)
        desk.costs[index] = cost
        desk.tiers[index] = <signed char>kind.tier if strike_kind(kind, demand, cost) == LEFT else 0
    desk.dearest = dearest
    desk.is_laid = True


cdef void gather(
    const FleetC* fleet, const DemandC* demand, int32_t floor, const unsigned char* by_moment, DeskC* desk, ViewC* view
) noexcept nogil:
    """What to choose from: at or above the floor, else the highest tier below it; those that see, if that is preferred."""
    cdef Py_ssize_t index, place
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t seeing = 0
    cdef int32_t tier
    cdef int32_t lowest = 1  # of the pool: the floor, or what comes nearest so far
    cdef bint narrows = demand.speaks_of_images and not demand.has_image
    view.fleet = fleet
    view.demand = demand
    view.costs = desk.costs
    view.pool = desk.members
    for index in range(fleet.count):
        tier = desk.tiers[fleet.kind_of[index]]
        if tier < lowest or (by_moment != NULL and by_moment[index] != LEFT):
            continue
        if tier > lowest and lowest < floor:  # all before are lower
            lowest = min(tier, floor)
            size = seeing = 0
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


cdef inline double exchange_rate(double cost_quality) noexcept nogil:
    return RATE * (1.0 - cost_quality) / max(cost_quality, DIAL_MIN)


cdef void set_up(ScalesC* scales, const AssessmentC* judgement, double cost_quality) noexcept nogil:
    """What the dial weighs by in one decision, beside the abilities, the pair, and what the dearest would cost."""
    scales.difficulty = judgement.difficulty
    scales.spread = sqrt(1.0 + PI / 8.0 * judgement.sigma * judgement.sigma)
    scales.gain = judgement.gain
    scales.domain = judgement.domain
    scales.only_price = cost_quality == 0.0
    scales.rate = exchange_rate(cost_quality)


cdef double utility_of(const ScalesC* scales, double quality, int64_t cost_picousd) noexcept nogil:
    cdef double share = <double>cost_picousd / scales.dearest_picousd if scales.dearest_picousd > 0.0 else 0.0
    return -share if scales.only_price else quality - scales.rate * share

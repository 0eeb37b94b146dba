# cython: language_level=3, freethreading_compatible=True
"""The fast twin of `cheapest`, which says what it does."""

cimport cython
from libc.stdint cimport int32_t, int64_t

from tierway_core._choice cimport (
    LEFT, ChoiceC, DemandC, ViewC, add, cost_of, estimate_picousd, kind_of, load_of, multiply, strike_kind, tier_of, warm_picousd
)
from tierway_core._fleet cimport TIERS, FleetC, KindC, OfferC
from tierway_core._state cimport in_flight_of
from tierway_core._strategy cimport Strategy


cdef struct BestC:
    Py_ssize_t deployment  # below 0: none yet
    int64_t cost
    int32_t tier
    int32_t in_flight  # below 0: not read yet


cdef inline void weigh(BestC* best, const FleetC* fleet, Py_ssize_t index, int64_t cost, int32_t tier) noexcept nogil:
    """Takes a deployment for the best if it comes before the best so far: by cost, tier, requests in flight, place."""
    cdef int32_t in_flight = -1
    if best.deployment >= 0:
        if cost > best.cost or (cost == best.cost and tier > best.tier):
            return
        if cost == best.cost and tier == best.tier:
            if best.in_flight < 0:
                best.in_flight = in_flight_of(fleet.held, best.deployment)
            if best.in_flight == 0 and index > best.deployment:
                return
            in_flight = in_flight_of(fleet.held, index)
            if in_flight > best.in_flight or (in_flight == best.in_flight and index > best.deployment):
                return
    best.deployment = index
    best.cost = cost
    best.tier = tier
    best.in_flight = in_flight


cdef inline int64_t least_from(const OfferC* offer, const KindC* kind, const DemandC* demand) noexcept nogil:
    """No less than this is what an offer costs, and what all that follow in its tier cost."""
    return add(multiply(demand.input_tokens, kind.input_picousd), multiply(demand.output_tokens, offer.least_output_picousd))


cdef inline void weigh_tier(
    BestC* best, const FleetC* fleet, const DemandC* demand, const unsigned char* by_moment, int32_t tier
) noexcept nogil:
    """Weighs a tier's deployments, kind by kind as the price of input rises, until no later one can cost as little as the best."""
    cdef const OfferC* offer
    cdef const KindC* kind
    cdef int64_t cost
    cdef int32_t place, member
    for place in range(fleet.first_offers[tier], fleet.first_offers[tier + 1]):
        offer = fleet.offers + place
        kind = fleet.kinds + offer.kind
        if best.deployment >= 0 and least_from(offer, kind, demand) > best.cost:
            return
        cost = estimate_picousd(kind, demand)
        if (best.deployment >= 0 and cost > best.cost) or strike_kind(kind, demand, cost) != LEFT:
            continue
        for member in range(kind.first_member, kind.first_member + kind.members):
            if by_moment == NULL or by_moment[fleet.members[member]] == LEFT:
                weigh(best, fleet, fleet.members[member], cost, tier)


cdef inline void weigh_warm(
    BestC* best, const FleetC* fleet, const DemandC* demand, const unsigned char* by_moment, int32_t tier
) noexcept nogil:
    """Weighs those of a tier that hold the prefix, by the price of cached input."""
    cdef const KindC* kind
    cdef Py_ssize_t index
    cdef int32_t place
    for place in range(demand.warm_count):
        index = demand.warm[place]
        kind = kind_of(fleet, index)
        if kind.tier != tier or strike_kind(kind, demand, estimate_picousd(kind, demand)) != LEFT:
            continue
        if by_moment == NULL or by_moment[index] == LEFT:
            weigh(best, fleet, index, warm_picousd(kind, demand), tier)


cdef ChoiceC find_cheapest(
    const FleetC* fleet, const DemandC* demand, int32_t floor, const unsigned char* by_moment
) noexcept nogil:
    """The cheapest at or above the floor, else of the highest tier below that has any."""
    cdef ChoiceC choice
    cdef BestC best
    cdef int32_t tier
    best.deployment = -1
    best.cost = 0
    best.tier = 0
    best.in_flight = -1
    for tier in range(floor, TIERS + 1):
        weigh_warm(&best, fleet, demand, by_moment, tier)
        weigh_tier(&best, fleet, demand, by_moment, tier)
    tier = floor - 1
    while best.deployment < 0 and tier > 0:
        weigh_warm(&best, fleet, demand, by_moment, tier)
        weigh_tier(&best, fleet, demand, by_moment, tier)
        tier -= 1
    choice.deployment = best.deployment
    choice.figure = <double>best.cost
    return choice


cdef ChoiceC cheapest(const ViewC* view) noexcept nogil:
    cdef ChoiceC choice
    cdef BestC best
    cdef Py_ssize_t place, index
    best.deployment = -1
    best.cost = 0
    best.tier = 0
    best.in_flight = -1
    for place in range(view.size):
        index = view.pool[place]
        weigh(&best, view.fleet, index, cost_of(view, index), tier_of(view, index))
    choice.deployment = best.deployment
    choice.figure = <double>best.cost
    return choice


@cython.final
cdef class Fast(Strategy):
    cdef ChoiceC choose(self, const ViewC* view) noexcept nogil:
        return cheapest(view)

    cdef bint find(
        self, const FleetC* fleet, const DemandC* demand, int32_t floor, const unsigned char* by_moment, ChoiceC* choice
    ) noexcept nogil:
        if demand.speaks_of_images and not demand.has_image:  # a pool is looked through for those that see
            return False
        choice[0] = find_cheapest(fleet, demand, floor, by_moment)
        return True

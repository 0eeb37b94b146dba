# cython: language_level=3, freethreading_compatible=True
"""Turns a table into plain C, once: what decisions walk through, in the order in which they do.

Thread-safety: immutable but for the state, which `c` points to.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport free

from tierway_core._records cimport LimitC, RecordC
from tierway_core._state cimport HeldC, State
from tierway_core._steering cimport reserve

from tierway_core.chance import key_of


@cython.final
cdef class Fleet:
    """A table's deployments, by kind and by price, and what tenants may use of them; beside a state of as many."""

    def __cinit__(self, table, State state not None):
        self._state = state
        self._models = {model.name: index for index, model in enumerate(table.models)}
        self._models_count = len(self._models)
        self._regions = {}
        self._take_deployments(table.deployments, state)
        self._sort()
        self._take_tenants(table)

    def __dealloc__(self):
        free(self.c.kinds)
        free(self.c.offers)
        free(self.c.members)
        free(self.c.deployments)
        free(self.c.kind_of)
        free(self.c.limits)
        free(self.c.drawn)
        free(self._allowed)
        free(self._tenant_regions)
        free(self._tenant_dials)

    cdef int _take_deployments(self, object deployments, State state) except -1:
        """Takes the deployments, alike ones as a kind."""
        cdef FleetC* fleet = &self.c
        cdef KindC* kind
        cdef DeploymentC* row
        cdef dict kinds = {}
        cdef int32_t limits = 0
        cdef int32_t limit, place
        fleet.count = len(deployments)
        fleet.kinds = <KindC*>reserve(fleet.count, sizeof(KindC))
        fleet.deployments = <DeploymentC*>reserve(fleet.count, sizeof(DeploymentC))
        fleet.kind_of = <int32_t*>reserve(fleet.count, sizeof(int32_t))
        fleet.limits = <int32_t*>reserve(sum([len(each.limits) for each in deployments]), sizeof(int32_t))
        fleet.available = state.available
        fleet.breakers = state.breakers
        fleet.held = &state.held
        fleet.records = state.records
        fleet.limit_records = state.limit_records
        row = fleet.deployments
        for deployment in deployments:
            model, spec = deployment.model, deployment.spec
            alike = (model.name, spec.context_tokens, spec.expected_latency_s, spec.expected_token_s, spec.region, spec.lacks)
            place = kinds.setdefault(alike, len(kinds))
            fleet.kind_of[row - fleet.deployments] = place
            row.identity = key_of(spec.name)
            row.weight = spec.weight
            row.first_limit = limits
            row.limits = len(deployment.limits)
            for limit in deployment.limits:
                fleet.limits[limits] = limit
                limits += 1
            kind = fleet.kinds + place
            kind.input_picousd = model.input_picousd
            kind.cached_picousd = min(model.cached_input_picousd, model.input_picousd)
            kind.output_picousd = model.output_picousd
            kind.context_tokens = spec.context_tokens
            kind.expected_latency_s = spec.expected_latency_s
            kind.expected_token_s = spec.expected_token_s
            kind.compliance = model.compliance
            kind.region = self._regions.setdefault(spec.region, 1 << len(self._regions))
            kind.tier = model.tier
            kind.model = self._models[model.name]
            kind.lacks = spec.lacks
            kind.vision = model.vision
            kind.response_format = model.response_format
            kind.logprobs = model.logprobs
            kind.members += 1
            row += 1
        fleet.kinds_count = len(kinds)
        drawn = sorted({limit for deployment in deployments for limit in deployment.limits})
        fleet.drawn = <int32_t*>reserve(len(drawn), sizeof(int32_t))
        fleet.drawn_count = len(drawn)
        for place, limit in enumerate(drawn):
            fleet.drawn[place] = limit
        return 0

    cdef int _sort(self) except -1:
        """Lists the deployments of each kind, and the kinds of each tier by price."""
        cdef FleetC* fleet = &self.c
        cdef KindC* kind
        cdef OfferC* offer
        cdef int64_t least
        cdef int32_t tier, place
        cdef int32_t members = 0
        cdef Py_ssize_t index
        fleet.members = <int32_t*>reserve(fleet.count, sizeof(int32_t))
        fleet.offers = <OfferC*>reserve(fleet.kinds_count, sizeof(OfferC))
        for index in range(fleet.kinds_count):
            fleet.kinds[index].first_member = members
            members += fleet.kinds[index].members
            fleet.kinds[index].members = 0
        for index in range(fleet.count):
            kind = fleet.kinds + fleet.kind_of[index]
            fleet.members[kind.first_member + kind.members] = <int32_t>index
            kind.members += 1
        prices = [(fleet.kinds[index].tier, fleet.kinds[index].input_picousd, index) for index in range(fleet.kinds_count)]
        for place, (_, _, index) in enumerate(sorted(prices)):
            fleet.offers[place].kind = <int32_t>index
        for tier in range(TIERS + 2):
            fleet.first_offers[tier] = len([price for price in prices if price[0] < tier])
        for tier in range(1, TIERS + 1):
            least = INT64_MAX
            for place in range(fleet.first_offers[tier + 1] - 1, fleet.first_offers[tier] - 1, -1):
                offer = fleet.offers + place
                least = min(least, fleet.kinds[offer.kind].output_picousd)
                offer.least_output_picousd = least
        return 0

    cdef int _take_tenants(self, object table) except -1:
        """Takes what tenants may use."""
        cdef Py_ssize_t models = len(table.models)
        cdef Py_ssize_t index
        self._allowed = <unsigned char*>reserve(len(table.tenants) * models, 1)
        self._tenant_regions = <uint64_t*>reserve(len(table.tenants), sizeof(uint64_t))
        self._tenant_dials = <double*>reserve(len(table.tenants), sizeof(double))
        for tenant in table.tenants:
            spec = tenant.spec
            index = tenant.index
            self._tenant_dials[index] = -1.0 if spec.cost_quality is None else spec.cost_quality
            self._tenant_regions[index] = ANYWHERE if spec.regions is None else self.bits_of(spec.regions)
            for place, model in enumerate(table.models):
                self._allowed[index * models + <Py_ssize_t>place] = (
                    spec.min_tier <= model.tier <= spec.max_tier and (spec.models is None or model.name in spec.models)
                )
        return 0

    cdef uint64_t bits_of(self, frozenset regions) except? 0:
        """Of regions, those where something runs."""
        cdef uint64_t bits = 0
        for region in regions:
            bits |= <uint64_t>self._regions.get(region, 0)
        return bits

    cdef const unsigned char* allowed_to(self, Py_ssize_t tenant) noexcept nogil:
        """Which models a tenant may use."""
        return self._allowed + tenant * self._models_count

    cdef uint64_t regions_of(self, Py_ssize_t tenant) noexcept nogil:
        return self._tenant_regions[tenant]

    cdef double dial_of(self, Py_ssize_t tenant) noexcept nogil:
        """A tenant's dial; below 0: it states none."""
        return self._tenant_dials[tenant]

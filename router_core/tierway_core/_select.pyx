# cython: language_level=3, freethreading_compatible=True
"""The decision: table x features x state. `tierway_core.reference` is its specification; here is only how it is fast.

Filtering, pooling and choosing are separate steps over plain arrays. A further strategy is another function like
`cheapest`, from the same pool.

Thread-safety: a `Router` is immutable and takes no lock; any number of threads may decide at once.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free

from tierway_core._features cimport (
    FeaturesC, Lexicon, as_features, has_code, has_governance, has_planning, has_vision, input_tokens
)
from tierway_core._state cimport RecordC, State, load

from tierway_core.errors import UnknownModelError, UnknownTaskTypeError
from tierway_core.explain import explain, unroutable
from tierway_core.specs import BASE_CLASSES
from tierway_core.types import Complexity


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


cdef enum:  # the numbers of ReasonCode
    LEFT = 0
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


# ---- classes, filters, choice: plain C ------------------------------------------------------------------------------

cdef inline int32_t classify(const FeaturesC* found) noexcept nogil:
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


cdef ChoiceC cheapest(
    const DeploymentC* deployments, const RecordC* records, Py_ssize_t count, const DemandC* demand,
    const unsigned char* filtered, const PoolC* pool
) noexcept nogil:
    """The cheapest estimate of the pool; ties: lower tier, fewer in flight, order of the table."""
    cdef Py_ssize_t index
    cdef int64_t cost
    cdef int32_t in_flight
    cdef int32_t best_in_flight = 0
    cdef ChoiceC best
    best.deployment = -1
    best.cost_picousd = 0
    for index in range(count):
        if filtered[index] != LEFT or deployments[index].tier < pool.min_tier or (pool.only_vision and not deployments[index].vision):
            continue
        cost = estimate_picousd(deployments + index, demand)
        in_flight = load(&records[index].in_flight)
        if best.deployment >= 0:
            if cost > best.cost_picousd:
                continue
            if cost == best.cost_picousd:
                if deployments[index].tier > deployments[best.deployment].tier:
                    continue
                if deployments[index].tier == deployments[best.deployment].tier and in_flight >= best_in_flight:
                    continue
        best.deployment = index
        best.cost_picousd = cost
        best_in_flight = in_flight
    return best


# ---- faces ----------------------------------------------------------------------------------------------------------

@cython.final
@cython.freelist(64)
cdef class Request:
    """What is asked of a decision. Immutable; the stub documents each argument.

    Raises:
        ValueError: a count or a limit is negative or NaN.
    """

    def __cinit__(
        self,
        str text not None,
        *,
        int64_t extra_input_tokens=0,
        bint has_image=False,
        bint needs_response_format=False,
        bint needs_logprobs=False,
        int64_t max_tokens=0,
        str agent not None="",
        str task_type not None="",
        str force_model not None="",
        int32_t min_tier=1,
        int32_t max_tier=5,
        int64_t max_cost_picousd=-1,
        double latency_budget_s=INFINITY,
        double min_compliance=0.0,
        bint allow_fallback=True,
    ):
        # Written so that NaN fails.
        if extra_input_tokens < 0 or max_tokens < 0 or not latency_budget_s >= 0.0 or not min_compliance >= 0.0:
            raise ValueError("extra_input_tokens, max_tokens, latency_budget_s and min_compliance must be 0 or more")
        self.text = text
        self.extra_input_tokens = extra_input_tokens
        self.has_image = has_image
        self.needs_response_format = needs_response_format
        self.needs_logprobs = needs_logprobs
        self.max_tokens = max_tokens
        self.agent = agent
        self.task_type = task_type
        self.force_model = force_model
        self.min_tier = min_tier
        self.max_tier = max_tier
        self.max_cost_picousd = max_cost_picousd
        self.latency_budget_s = latency_budget_s
        self.min_compliance = min_compliance
        self.allow_fallback = allow_fallback


# Indexed by the number: making an enum member of it costs more than the decision.
cdef tuple _COMPLEXITIES = (None, *Complexity)


@cython.final
@cython.freelist(64)
cdef class Decision:
    """What was decided. Immutable; whatever is not needed by every caller is worked out when it is read.

    Only `Router.decide` makes these.
    """

    @property
    def model(self):
        """The chosen model."""
        return self.table.deployments[self.deployment].model

    @property
    def tier(self):
        """The tier of the chosen model."""
        return self.model.tier

    @property
    def base(self):
        """The class that set the floor."""
        return _COMPLEXITIES[<int>self._base]

    @property
    def complexity(self):
        """The class of the query: `base`, or VISION."""
        return Complexity.VISION if self.request.has_image or has_vision(&self._found) else _COMPLEXITIES[<int>self._base]

    @property
    def features(self):
        """What was found in the text."""
        return as_features(&self._found)

    @property
    def reasons(self):
        """Why it came out so, in the order in which it was found."""
        return explain(self)

    @property
    def fallback(self):
        """Indices of the deployments that may follow, in order; nothing that a filter struck. Empty when the request forbids it.

        First the other deployments of the chosen model, then those of its chain, each model's in the order of the table.
        """
        if not self.request.allow_fallback:
            return ()
        cdef const unsigned char* filtered = <const unsigned char*>PyBytes_AS_STRING(self.filtered)
        cdef list indices = []
        cdef str chosen = self.model.name
        for name in (chosen, *self.table.chain(chosen)):
            for index in self.table.deployments_of(name):
                if filtered[<Py_ssize_t>index] == LEFT and index != self.deployment:
                    indices.append(index)
        return tuple(indices)

    @property
    def fallback_models(self):
        """Names of the models of `fallback`, each once, without the chosen one."""
        names = dict.fromkeys([self.table.deployments[index].model.name for index in self.fallback])
        names.pop(self.model.name, None)
        return tuple(names)


@cython.final
cdef class Router:
    """Decides which deployment answers, by a table and a state that others keep up to date.

    Raises:
        ValueError: the state is for another number of deployments.
    """

    def __cinit__(self, table, State state not None):
        routing = table.routing
        if state.deployments != len(table.deployments):
            raise ValueError(f"the state has {state.deployments} deployments, the table has {len(table.deployments)}")
        self._table = table
        self._state = state
        self._lexicon = Lexicon(table.terms)
        self._models = {model.name: index for index, model in enumerate(table.models)}
        self._task_types = dict(routing.task_types)
        self._critical_agents = frozenset(routing.critical_agents)
        self._accurate_tier = routing.accurate_tier
        self._governance_tier = routing.governance_tier
        self._min_compliance = routing.min_compliance
        for complexity in BASE_CLASSES:
            self._floors[<int>complexity] = routing.floors[complexity]
            self._expected_output_tokens[<int>complexity] = routing.expected_output_tokens[complexity]
        self._count = state.deployments
        self._deployments = <DeploymentC*>calloc(self._count, sizeof(DeploymentC))
        if self._deployments == NULL:
            raise MemoryError()
        cdef DeploymentC* row = self._deployments
        for deployment in table.deployments:
            model = deployment.model
            row.input_picousd = model.input_picousd
            row.output_picousd = model.output_picousd
            row.context_tokens = deployment.spec.context_tokens
            row.expected_latency_s = deployment.spec.expected_latency_s
            row.compliance = model.compliance
            row.tier = model.tier
            row.model = self._models[model.name]
            row.vision = model.vision
            row.response_format = model.response_format
            row.logprobs = model.logprobs
            row += 1

    def __dealloc__(self):
        free(self._deployments)

    cpdef Decision decide(self, Request request):
        """Decides.

        Raises:
            UnknownModelError: the request forces a model that the table does not have.
            UnknownTaskTypeError: the request states a task type that the table does not have.
            InvalidTextError: the text holds a lone surrogate.
            UnroutableError: nothing may answer.
        """
        if request is None:
            raise TypeError("a request is needed, not None")
        cdef DemandC demand
        cdef PoolC pool
        cdef ChoiceC choice
        cdef Decision decision = Decision.__new__(Decision)
        decision.table = self._table
        decision.request = request
        decision.deployment = -1
        self._resolve(request, &demand, decision)
        decision.filtered = PyBytes_FromStringAndSize(NULL, self._count)
        cdef unsigned char* filtered = <unsigned char*>PyBytes_AS_STRING(decision.filtered)
        filter_all(self._deployments, self._state.records, self._count, &demand, filtered)
        pool = pool_of(self._deployments, self._count, &demand, filtered)
        if pool.is_empty:
            raise unroutable(decision)
        choice = cheapest(self._deployments, self._state.records, self._count, &demand, filtered, &pool)
        decision.deployment = choice.deployment
        decision.estimated_cost_picousd = choice.cost_picousd
        decision.prefers_vision = pool.only_vision
        return decision

    cdef int _resolve(self, Request request, DemandC* demand, Decision decision) except -1:
        """Turns a request into numbers: names into indices, the text into features, a class, a floor and a pin."""
        cdef FeaturesC* found = &decision._found
        cdef bint is_forced = len(request.force_model) > 0
    
        demand.forced_model = -1
        if is_forced:
            index = self._models.get(request.force_model)
            if index is None:
                raise UnknownModelError(request.force_model)
            demand.forced_model = index
        demand.floor = 1
        if len(request.task_type) > 0:
            task_floor = self._task_types.get(request.task_type)
            if task_floor is None:
                raise UnknownTaskTypeError(request.task_type, self._task_types)
            demand.floor = task_floor

        self._lexicon.scan_text(request.text, found)
        decision._base = classify(found)
        demand.pin = 1
        if is_forced:
            demand.floor = 1
        else:
            demand.floor = max(demand.floor, self._floors[decision._base])
            if len(request.agent) > 0 and request.agent in self._critical_agents:
                demand.pin = self._accurate_tier
            if has_governance(found):
                demand.pin = max(demand.pin, self._governance_tier)

        demand.input_tokens = add(input_tokens(found), request.extra_input_tokens)
        demand.output_tokens = request.max_tokens if request.max_tokens > 0 else self._expected_output_tokens[decision._base]
        demand.context_tokens = add(demand.input_tokens, request.max_tokens if request.max_tokens > 0 else 1)
        demand.max_cost_picousd = request.max_cost_picousd
        demand.latency_budget_s = request.latency_budget_s
        demand.min_compliance = max(request.min_compliance, self._min_compliance)
        demand.min_tier = request.min_tier
        demand.max_tier = request.max_tier
        demand.has_image = request.has_image
        demand.needs_response_format = request.needs_response_format
        demand.needs_logprobs = request.needs_logprobs
        demand.speaks_of_images = has_vision(found)
        decision.floor = demand.floor
        decision.pin = demand.pin
        decision.input_tokens = demand.input_tokens
        decision.output_tokens = demand.output_tokens
        return 0

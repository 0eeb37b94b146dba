# cython: language_level=3, freethreading_compatible=True
"""The decision: table x features x state. `tierway_core.reference` is its specification; here is only how it is fast.

Names and texts are turned into numbers here, once; `_choice` decides by the numbers.

Thread-safety: a `Router` is immutable and takes no lock; any number of threads may decide at once.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from tierway_core._bounds cimport moment
from tierway_core._budget cimport left_of
from tierway_core._chance cimport ARM, derive
from tierway_core._choice cimport (
    ChoiceC, DemandC, DeskC, ScalesC, ViewC, add, are_all_fit, classify, estimate_picousd, gather, kind_of, lay, quality_of,
    set_up, strike_by_moment
)
from tierway_core._classifier cimport Classifier
from tierway_core._decision cimport Decision, demand_in, struck_in
from tierway_core._features cimport FeaturesC, Lexicon, has_governance, has_vision, input_tokens
from tierway_core._fleet cimport ANYWHERE, Fleet, FleetC
from tierway_core._prefixes cimport Prefixes
from tierway_core._request cimport Request
from tierway_core._state cimport State
from tierway_core._steering cimport (
    BY_AGENT, BY_CLASS, BY_DOMAIN, BY_LABEL, BY_TASK_TYPE, BY_TENANT, FactsC, PlanC, RuleC, Steering
)
from tierway_core._strategy cimport Strategy

from tierway_core._strategy import load
from tierway_core.errors import NoClassifierError, UnknownModelError, UnknownStrategyError, UnknownTaskTypeError
from tierway_core.fit import check_fit
from tierway_core.policy import DEFAULT_TENANT
from tierway_core.quality import ability_of
from tierway_core.specs import BASE_CLASSES
from tierway_core.strategies import STRATEGIES
from tierway_core.unroutable import unroutable

cdef enum:  # a number of Complexity
    VISION = 5


@cython.final
cdef class Router:
    """Decides which deployment answers, by a table and a state that others keep up to date.

    With a classifier, and rules that want it, the expected quality of each model's answer counts; else the class of the query.

    Raises:
        ValueError: the state is for other numbers of deployments, limits or budgets; a classifier is wanted, and none is given.
        TableError: a model's ability, or a rule, is for a domain that the classifier does not know.
        CalibrationError: the calibration's ability is.
    """

    def __cinit__(self, table, State state not None, Classifier classifier=None, Prefixes prefixes=None):
        check_fit(table, state, classifier)
        routing = table.routing
        self._table = table
        self._state = state
        self._prefixes = prefixes
        self._lexicon = Lexicon(table.terms)
        self._models = {model.name: index for index, model in enumerate(table.models)}
        self._task_types = dict(routing.task_types)
        self._critical_agents = frozenset(routing.critical_agents)
        self._agent_budgets = {agent: table.budgets_of(None, agent)[0] for agent in routing.agent_budgets}
        self._accurate_tier = routing.accurate_tier
        self._governance_tier = routing.governance_tier
        self._min_compliance = routing.min_compliance
        self._min_confidence = routing.min_confidence
        self._prefix_ns = round(routing.prefix_s * 1e9)
        self._scales.strong = self._scales.weak = -1
        if routing.classifier:
            self._classifier = classifier
            self._learn(table.models)
        for complexity in BASE_CLASSES:
            self._floors[<int>complexity] = routing.floors[complexity]
            self._expected_output_tokens[<int>complexity] = routing.expected_output_tokens[complexity]
        self._strategies = tuple([load(name) for name in STRATEGIES])
        self._strategy_places = {name: place for place, name in enumerate(STRATEGIES)}
        self._by_money = self._strategy_places["cheapest" if self._classifier is None else "cost_quality"]
        self._plan.strategy = self._strategy_places[routing.strategy] if routing.strategy else self._by_money
        self._plan.cost_quality = routing.cost_quality
        self._steering = Steering(table, () if self._classifier is None else tuple(classifier.weights.domains))
        self._tenants = {tenant.spec.name: tenant for tenant in table.tenants}
        self._default_tenant = self._tenants.get(DEFAULT_TENANT)
        self._fleet = Fleet(table, state)

    def __dealloc__(self):
        free(self._abilities)

    cdef int _learn(self, object models) except -1:
        """Takes the models' abilities, and the pair of the calibration."""
        cdef Py_ssize_t place = 0
        domains = self._classifier.weights.domains
        calibration = self._classifier.calibration
        self._abilities = <double*>calloc(len(models) * len(domains), sizeof(double))
        if self._abilities == NULL:
            raise MemoryError()
        self._scales.abilities = self._abilities
        self._scales.domains = len(domains)
        for model in models:
            for domain in domains:
                self._abilities[place] = ability_of(model, domain, calibration)
                place += 1
        if calibration is not None and calibration.pair is not None:
            pair = calibration.pair
            if pair.strong in self._models and pair.weak in self._models:
                self._scales.strong = self._models[pair.strong]
                self._scales.weak = self._models[pair.weak]
        return 0

    cpdef Decision decide(self, Request request, int64_t now_ns=0, uint64_t draw=0):
        """Decides.

        Args:
            request: what is asked.
            now_ns: the clock that the state is written by (CLOCK_MONOTONIC), in nanoseconds, from 0 to below 2^62.
            draw: 64 random bits, from which everything random follows.

        Raises:
            UnknownModelError: the request forces a model that the table does not have.
            UnknownTaskTypeError: the request states a task type that the table does not have.
            UnknownStrategyError: the request states a strategy that there is not.
            NoClassifierError: the request states the dial, or the strategy that goes by it, and there is no classifier.
            InvalidTextError: the text holds a lone surrogate.
            UnroutableError: nothing may answer.
            ValueError: `now_ns` is out of range.
        """
        if request is None:
            raise TypeError("a request is needed, not None")
        cdef DemandC demand
        cdef DeskC desk
        cdef ViewC view
        cdef PlanC shadow
        cdef const FleetC* fleet = &self._fleet.c
        cdef Decision decision = Decision.__new__(Decision)
        decision.table = self._table
        decision.fleet = self._fleet
        decision.request = request
        decision.deployment = decision.shadow_deployment = -1
        demand.now_ns = moment(now_ns)
        demand.draw = draw
        self._resolve(request, &demand, decision)
        self._demand_of(request, &demand, decision)
        self._steer(request, &demand, decision, &shadow)
        self._pay(request, &demand, decision, &shadow)
        decision.seen = self._look_around(&demand)
        desk.is_laid = False
        decision.floor = self._floor_of(request, decision, &decision._plan)
        decision.deployment = self._choose(decision, &decision._plan, decision.floor, &desk, &view)
        if decision.deployment < 0:
            raise unroutable(decision, self._state, now_ns)
        decision.estimated_cost_picousd = estimate_picousd(kind_of(fleet, decision.deployment), &demand)
        decision.prefers_vision = view.only_vision
        if shadow.strategy >= 0:
            decision.shadow_deployment = self._choose(decision, &shadow, self._floor_of(request, decision, &shadow), &desk, &view)
        return decision

    cdef int _resolve(self, Request request, DemandC* demand, Decision decision) except -1:
        """Turns names into places, the text into features, a class and an assessment; says what is pinned."""
        cdef FeaturesC* found = &decision._found

        demand.forced_model = -1
        if len(request.force_model) > 0:
            index = self._models.get(request.force_model)
            if index is None:
                raise UnknownModelError(request.force_model)
            demand.forced_model = index
        if len(request.task_type) > 0 and request.task_type not in self._task_types:
            raise UnknownTaskTypeError(request.task_type, self._task_types)
        if len(request.strategy) > 0 and request.strategy not in self._strategy_places:
            raise UnknownStrategyError(request.strategy, STRATEGIES)
        if self._classifier is None:
            if request.stated_dial >= 0.0:
                raise NoClassifierError("cost_quality")
            if request.strategy == "cost_quality":
                raise NoClassifierError("strategy")

        self._lexicon.scan_text(request.text, found)
        decision._base = classify(found)
        if self._classifier is not None:
            decision.classifier = self._classifier
            self._classifier.judge(request.text, &decision._judgement)
            decision.is_sure = decision._judgement.confidence >= self._min_confidence
        demand.pin = 1
        if demand.forced_model < 0:
            if len(request.agent) > 0 and request.agent in self._critical_agents:
                demand.pin = self._accurate_tier
            if has_governance(found):
                demand.pin = max(demand.pin, self._governance_tier)
        return 0

    cdef int _demand_of(self, Request request, DemandC* demand, Decision decision) except -1:
        """What filters go by, and what it costs."""
        cdef const FeaturesC* found = &decision._found
        demand.input_tokens = add(input_tokens(found), request.extra_input_tokens)
        demand.output_tokens = request.max_tokens if request.max_tokens > 0 else self._expected_output_tokens[decision._base]
        demand.likely_tokens = min(demand.output_tokens, self._expected_output_tokens[decision._base])
        demand.context_tokens = add(demand.input_tokens, request.max_tokens if request.max_tokens > 0 else 1)
        demand.max_cost_picousd = request.max_cost_picousd
        demand.latency_budget_s = request.latency_budget_s
        demand.deadline_s = request.deadline_s
        demand.min_compliance = max(request.min_compliance, self._min_compliance)
        demand.has_image = request.has_image
        demand.needs_response_format = request.needs_response_format
        demand.needs_logprobs = request.needs_logprobs
        demand.needs = request.needs
        demand.speaks_of_images = has_vision(found)
        demand.regions = self._fleet.bits_of(request.regions) if len(request.regions) > 0 else ANYWHERE
        demand.prefix_key = request.prefix_key
        demand.cached_tokens = request.extra_input_tokens
        demand.warm_count = 0
        if self._prefixes is not None and request.prefix_key != 0 and request.extra_input_tokens > 0:
            demand.warm_count = self._prefixes.find(request.prefix_key, demand.now_ns - self._prefix_ns, demand.warm)
        decision.pin = demand.pin
        decision.input_tokens = demand.input_tokens
        decision.output_tokens = demand.output_tokens
        return 0

    cdef int _steer(self, Request request, DemandC* demand, Decision decision, PlanC* shadow) except -1:
        """Tenant, rule and experiment: what may be used, which strategy chooses, how the dial stands."""
        cdef FactsC facts
        cdef const RuleC* rule
        cdef const PlanC* arm
        cdef PlanC plan = self._plan
        cdef Py_ssize_t tenant = -1
        cdef uint64_t by

        decision.tenant = self._tenants.get(request.tenant, self._default_tenant)
        demand.allowed = NULL
        demand.tenant_regions = ANYWHERE
        if decision.tenant is not None:
            tenant = decision.tenant.index
            demand.allowed = self._fleet.allowed_to(tenant)
            demand.tenant_regions = self._fleet.regions_of(tenant)
            if self._fleet.dial_of(tenant) >= 0.0:
                plan.cost_quality = self._fleet.dial_of(tenant)

        demand.min_tier = request.min_tier
        demand.max_tier = request.max_tier
        decision._rule = decision._experiment = decision._arm = -1
        if self._steering.words > 0:
            facts.rows[BY_TENANT] = tenant + 1
            facts.rows[BY_AGENT] = self._steering.agents.get(request.agent, 0)
            facts.rows[BY_TASK_TYPE] = self._steering.task_types.get(request.task_type, 0)
            facts.rows[BY_CLASS] = VISION if request.has_image or demand.speaks_of_images else decision._base
            facts.rows[BY_DOMAIN] = decision._judgement.domain + 1 if decision.is_sure else 0
            facts.rows[BY_LABEL] = decision._judgement.label + 1 if decision.is_sure else 0
            decision._rule = self._steering.first_rule(&facts)
        if decision._rule >= 0:
            rule = self._steering.rules + decision._rule
            decision._experiment = rule.experiment
            if rule.plan.cost_quality >= 0.0:
                plan.cost_quality = rule.plan.cost_quality
            if rule.plan.strategy >= 0:
                plan.strategy = rule.plan.strategy
            if demand.forced_model < 0:
                demand.min_tier = max(demand.min_tier, rule.min_tier)
                demand.max_tier = min(demand.max_tier, max(rule.max_tier, demand.pin))
        demand.min_tier = max(demand.min_tier, demand.pin)

        if len(request.strategy) > 0:
            plan.strategy = self._strategy_places[request.strategy]
        plan.cost_quality = self._dial(request, plan.cost_quality, decision.is_sure)
        shadow.strategy = -1
        if decision._experiment >= 0 and len(request.strategy) == 0:
            by = request.sticky_bits if len(request.sticky_key) > 0 else derive(demand.draw, ARM)
            decision._arm = self._steering.arm_of(decision._experiment, by)
        if decision._arm >= 0:
            shadow[0] = plan
            arm = &self._steering.arms[self._steering.experiments[decision._experiment].first_arm + decision._arm].plan
            if arm.strategy >= 0:
                shadow.strategy = arm.strategy
            if arm.cost_quality >= 0.0:
                shadow.cost_quality = self._dial(request, arm.cost_quality, decision.is_sure)
            if not self._steering.experiments[decision._experiment].shadow:
                plan = shadow[0]
                shadow.strategy = -1
        decision._plan = plan
        decision._full_cost_quality = plan.cost_quality
        return 0

    cdef double _dial(self, Request request, double configured, bint is_sure) noexcept nogil:
        """The request's, else what is configured; what cannot be judged goes to the cheapest at its floor."""
        if self._classifier is None:
            return 0.0
        if request.stated_dial >= 0.0:
            return request.stated_dial
        return configured if is_sure else 0.0

    cdef int _pay(self, Request request, DemandC* demand, Decision decision, PlanC* shadow) except -1:
        """What budgets have left, and what follows where one runs low."""
        cdef int32_t paying[2]
        cdef int32_t place
        cdef int64_t left
        demand.left_picousd = INT64_MAX
        decision.budget_factor = 1.0
        if self._state.budgets == 0:
            return 0
        paying[0] = -1 if decision.tenant is None else decision.tenant.budget
        paying[1] = self._agent_budgets.get(request.agent, -1)
        for place in range(2):
            if paying[place] >= 0:
                left = left_of(self._state.budget_records + paying[place], demand.now_ns)
                decision.budget_factor = min(decision.budget_factor, self._steering.factor_of(paying[place], left))
                if self._steering.budgets[paying[place]].hard:
                    demand.left_picousd = min(demand.left_picousd, left)
        if decision.budget_factor < 1.0:
            decision._plan.strategy = self._by_money
            decision._plan.cost_quality *= decision.budget_factor
            if shadow.strategy >= 0:
                shadow.strategy = self._by_money
                shadow.cost_quality *= decision.budget_factor
        return 0

    cdef bytes _look_around(self, const DemandC* demand):
        """Keeps the demand, and behind it what the state of the moment strikes, if it strikes anything."""
        cdef const FleetC* fleet = &self._fleet.c
        cdef bint is_struck = not are_all_fit(fleet, demand)
        cdef bytes seen = PyBytes_FromStringAndSize(NULL, sizeof(DemandC) + (fleet.count if is_struck else 0))
        demand_in(seen)[0] = demand[0]
        if is_struck:
            strike_by_moment(fleet, demand, struck_in(seen))
        return seen

    cdef int32_t _floor_of(self, Request request, Decision decision, const PlanC* plan) except -1:
        """The floor under a strategy: by class, or by the assessment where that is sure and the strategy does not weigh it."""
        cdef int32_t floor = self._floors[decision._base]
        if len(request.force_model) > 0:
            return 1
        if decision.is_sure:
            floor = 1 if (<Strategy>self._strategies[plan.strategy]).weighs_quality else decision._judgement.tier
        if len(request.task_type) > 0:
            floor = max(floor, <int32_t>self._task_types[request.task_type])
        return floor

    cdef Py_ssize_t _choose(self, Decision decision, const PlanC* plan, int32_t floor, DeskC* desk, ViewC* view) except -2:
        """Chooses by a plan; below 0: nothing is left."""
        cdef const FleetC* fleet = &self._fleet.c
        cdef Strategy strategy = <Strategy>self._strategies[plan.strategy]
        cdef const DemandC* demand = demand_in(decision.seen)
        cdef const unsigned char* by_moment = struck_in(decision.seen)
        cdef ScalesC scales = self._scales
        cdef ChoiceC choice
        if self._classifier is not None:
            set_up(&scales, &decision._judgement, plan.cost_quality)
        view.only_vision = False
        if not strategy.find(fleet, demand, floor, by_moment, &choice):
            lay(fleet, demand, desk)
            gather(fleet, demand, floor, by_moment, desk, view)
            if view.size == 0:
                return -1
            scales.dearest_picousd = <double>desk.dearest
            view.scales = NULL if self._classifier is None else &scales
            choice = strategy.choose(view)
        if plan == &decision._plan and choice.deployment >= 0:
            decision.figure = choice.figure
            if self._classifier is not None:
                decision._expected_quality = quality_of(&scales, kind_of(fleet, choice.deployment).model)
        return choice.deployment

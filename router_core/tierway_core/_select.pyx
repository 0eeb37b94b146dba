# cython: language_level=3, freethreading_compatible=True
"""The decision: table x features x state. `tierway_core.reference` is its specification; here is only how it is fast.

Names and texts are turned into numbers here, once; `_choice` decides by the numbers.

Thread-safety: a `Router` is immutable and takes no lock; any number of threads may decide at once.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from tierway_core._budget cimport left_of
from tierway_core._chance cimport ARM, derive
from tierway_core._choice cimport (
    ANYWHERE, LEFT, ChoiceC, DemandC, DeploymentC, DeskC, KindC, ScalesC, ViewC, add, classify, dearest, filter_all, gather, kind_of,
    quality_of, set_up
)
from tierway_core._classifier cimport AssessmentC, Classifier
from tierway_core._features cimport FeaturesC, Lexicon, as_features, has_governance, has_vision, input_tokens
from tierway_core._prefixes cimport Prefixes
from tierway_core._request cimport Request
from tierway_core._state cimport State
from tierway_core._steering cimport (
    BY_AGENT, BY_CLASS, BY_DOMAIN, BY_LABEL, BY_TASK_TYPE, BY_TENANT, FactsC, PlanC, RuleC, Steering, reserve
)
from tierway_core._strategy cimport Strategy

from tierway_core._strategy import load
from tierway_core.candidates import candidates
from tierway_core.chance import key_of as name_key
from tierway_core.errors import NoClassifierError, UnknownModelError, UnknownStrategyError, UnknownTaskTypeError
from tierway_core.explain import explain
from tierway_core.fit import check_fit
from tierway_core.policy import DEFAULT_TENANT
from tierway_core.quality import ability_of
from tierway_core.specs import BASE_CLASSES
from tierway_core.strategies import STRATEGIES
from tierway_core.types import Complexity
from tierway_core.unroutable import unroutable
from tierway_core.weights import LABELS

cdef enum:  # a number of Complexity
    VISION = 5

cdef extern from *:
    """
    #define TIERWAY_NOW_MOST_NS (INT64_C(1) << 62)
    """
    const int64_t NOW_MOST_NS "TIERWAY_NOW_MOST_NS"  # as State has it


# Indexed by the number: making an enum member of it costs more than the decision.
cdef tuple _COMPLEXITIES = (None, *Complexity)


@cython.final
@cython.freelist(64)
cdef class Decision:
    """What was decided. Immutable; whatever is not needed by every caller is worked out when it is first read.

    Only `Router.decide` makes these. Thread-safety: one thread at a time may read.
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
        if self._features is None:
            self._features = as_features(&self._found)
        return self._features

    @property
    def assessment(self):
        """What the classifier says of the text; None by the rules of the class."""
        if self._assessment is None and self.classifier is not None:
            self._assessment = self.classifier.as_assessment(&self._judgement)
        return self._assessment

    @property
    def figures(self):
        """The numbers of the assessment that reasons show; None by the rules of the class."""
        if self.classifier is None:
            return None
        cdef const AssessmentC* found = &self._judgement
        return found.difficulty, found.sigma, <double>found.domain, found.domain_probability, found.confidence

    @property
    def is_about_governance(self):
        """Whether the text speaks of governance."""
        return has_governance(&self._found)

    @property
    def confidence(self):
        """How far the assessment is to be trusted, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None else self._judgement.confidence

    @property
    def difficulty(self):
        """How difficult the text is; None by the rules of the class."""
        return None if self.classifier is None else self._judgement.difficulty

    @property
    def domain(self):
        """What the text is about; empty by the rules of the class."""
        return "" if self.classifier is None else self.classifier.weights.domains[<Py_ssize_t>self._judgement.domain]

    @property
    def label(self):
        """The label of the text; empty by the rules of the class."""
        return "" if self.classifier is None else LABELS[<Py_ssize_t>self._judgement.label]

    @property
    def cost_quality(self):
        """The dial that held, lowered where a budget runs low, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None else self._plan.cost_quality

    @property
    def full_cost_quality(self):
        """The dial before it was lowered, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None else self._full_cost_quality

    @property
    def strategy(self):
        """The strategy that chose."""
        return STRATEGIES[<int>self._plan.strategy]

    @property
    def rule(self):
        """The rule that held; empty: none."""
        return "" if self._rule < 0 else self.table.routing.rules[<int>self._rule].name

    @property
    def experiment(self):
        """The experiment that took the request; empty: none."""
        return "" if self._arm < 0 else self.table.routing.experiments[<int>self._experiment].name

    @property
    def arm(self):
        """The experiment's arm; empty: none."""
        return "" if self._arm < 0 else self.table.routing.experiments[<int>self._experiment].arms[<int>self._arm].name

    @property
    def budgets(self):
        """Places of the budgets that the request is paid from."""
        return self.table.budgets_of(self.tenant, self.request.agent)

    @property
    def expected_quality(self):
        """The expected quality of the chosen model's answer, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None or self.deployment < 0 else self._expected_quality

    @property
    def candidates(self):
        """What each deployment would have been worth, or why it was out, in the order of the table."""
        return candidates(self)

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
        self._take_fleet(table, state)
        self._take_tenants(table)

    def __dealloc__(self):
        free(self._fleet.kinds)
        free(self._fleet.deployments)
        free(self._fleet.kind_of)
        free(self._fleet.limits)
        free(self._abilities)
        free(self._allowed)
        free(self._tenant_regions)
        free(self._tenant_dials)

    cdef int _take_fleet(self, object table, State state) except -1:
        """Takes the deployments, alike ones as a kind."""
        cdef FleetC* fleet = &self._fleet
        cdef KindC* kind
        cdef DeploymentC* row
        cdef dict kinds = {}
        cdef int32_t limits = 0
        cdef int32_t limit, place
        fleet.count = len(table.deployments)
        fleet.kinds = <KindC*>reserve(fleet.count, sizeof(KindC))
        fleet.deployments = <DeploymentC*>reserve(fleet.count, sizeof(DeploymentC))
        fleet.kind_of = <int32_t*>reserve(fleet.count, sizeof(int32_t))
        fleet.limits = <int32_t*>reserve(sum([len(each.limits) for each in table.deployments]), sizeof(int32_t))
        fleet.records = state.records
        fleet.limit_records = state.limit_records
        fleet.workers = state.workers
        self._regions = {}
        row = fleet.deployments
        for deployment in table.deployments:
            model, spec = deployment.model, deployment.spec
            alike = (model.name, spec.context_tokens, spec.expected_latency_s, spec.expected_token_s, spec.region, spec.lacks)
            place = kinds.setdefault(alike, len(kinds))
            fleet.kind_of[row - fleet.deployments] = place
            row.identity = name_key(spec.name)
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
            row += 1
        fleet.kinds_count = len(kinds)
        return 0

    cdef int _take_tenants(self, object table) except -1:
        """Takes what tenants may use."""
        cdef Py_ssize_t models = len(table.models)
        cdef Py_ssize_t index
        self._tenants = {tenant.spec.name: tenant for tenant in table.tenants}
        self._default_tenant = self._tenants.get(DEFAULT_TENANT)
        self._allowed = <unsigned char*>reserve(len(table.tenants) * models, 1)
        self._tenant_regions = <uint64_t*>reserve(len(table.tenants), sizeof(uint64_t))
        self._tenant_dials = <double*>reserve(len(table.tenants), sizeof(double))
        for tenant in table.tenants:
            spec = tenant.spec
            index = tenant.index
            self._tenant_dials[index] = -1.0 if spec.cost_quality is None else spec.cost_quality
            self._tenant_regions[index] = ANYWHERE if spec.regions is None else self._bits_of(spec.regions)
            for place, model in enumerate(table.models):
                self._allowed[index * models + <Py_ssize_t>place] = (
                    spec.min_tier <= model.tier <= spec.max_tier and (spec.models is None or model.name in spec.models)
                )
        return 0

    def _bits_of(self, frozenset regions not None):
        """Of regions, those where something runs."""
        cdef uint64_t bits = 0
        for region in regions:
            bits |= <uint64_t>self._regions.get(region, 0)
        return bits

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
        if not 0 <= now_ns < NOW_MOST_NS:
            raise ValueError(f"now_ns is from 0 to below 2^62, not {now_ns}")
        cdef DemandC demand
        cdef DeskC desk
        cdef ViewC view
        cdef PlanC shadow
        cdef Decision decision = Decision.__new__(Decision)
        decision.table = self._table
        decision.request = request
        decision.deployment = decision.shadow_deployment = -1
        demand.now_ns = now_ns
        demand.draw = draw
        self._resolve(request, &demand, decision)
        self._steer(request, &demand, decision, &shadow)
        self._pay(request, &demand, decision, &shadow)
        decision.filtered = PyBytes_FromStringAndSize(NULL, self._fleet.count)
        filter_all(&self._fleet, &demand, &desk, <unsigned char*>PyBytes_AS_STRING(decision.filtered))
        decision.floor = self._floor_of(request, decision, &decision._plan)
        decision.deployment = self._choose(decision, &demand, &decision._plan, decision.floor, &desk, &view)
        if decision.deployment < 0:
            raise unroutable(decision)
        decision.estimated_cost_picousd = desk.costs[self._fleet.kind_of[decision.deployment]]
        decision.prefers_vision = view.only_vision
        if shadow.strategy >= 0:
            decision.shadow_deployment = self._choose(
                decision, &demand, &shadow, self._floor_of(request, decision, &shadow), &desk, &view
            )
        return decision

    cdef int _resolve(self, Request request, DemandC* demand, Decision decision) except -1:
        """Turns a request into numbers: names into indices, the text into features, a class, a pin and what filters go by."""
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
        demand.regions = self._bits_of(request.regions) if len(request.regions) > 0 else ANYWHERE
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
            demand.allowed = self._allowed + tenant * <Py_ssize_t>len(self._models)
            demand.tenant_regions = self._tenant_regions[tenant]
            if self._tenant_dials[tenant] >= 0.0:
                plan.cost_quality = self._tenant_dials[tenant]

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

    cdef Py_ssize_t _choose(
        self, Decision decision, const DemandC* demand, const PlanC* plan, int32_t floor, DeskC* desk, ViewC* view
    ) except -2:
        """Chooses by a plan; below 0: nothing is left."""
        cdef ScalesC scales
        cdef ChoiceC choice
        gather(&self._fleet, demand, floor, <const unsigned char*>PyBytes_AS_STRING(decision.filtered), desk, view)
        if view.size == 0:
            return -1
        view.scales = NULL
        if self._classifier is not None:
            scales = self._scales
            set_up(&scales, &decision._judgement, plan.cost_quality, dearest(&self._fleet, desk))
            view.scales = &scales
        choice = (<Strategy>self._strategies[plan.strategy]).choose(view)
        if plan == &decision._plan:
            decision.figure = choice.figure
            if self._classifier is not None:
                decision._expected_quality = quality_of(&scales, kind_of(&self._fleet, choice.deployment).model)
        return choice.deployment

# cython: language_level=3, freethreading_compatible=True
"""The decision: table x features x state. `tierway_core.reference` is its specification; here is only how it is fast.

Names and texts are turned into numbers here, once; `_choice` decides by the numbers.

Thread-safety: a `Router` is immutable and takes no lock; any number of threads may decide at once.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free

from tierway_core._choice cimport (
    LEFT, ChoiceC, DemandC, DeploymentC, PoolC, ScalesC, add, cheapest, classify, dearest, filter_all, most_useful, pool_of,
    quality_of, set_up
)
from tierway_core._classifier cimport AssessmentC, Classifier
from tierway_core._features cimport FeaturesC, Lexicon, as_features, has_governance, has_vision, input_tokens
from tierway_core._state cimport State

from tierway_core.candidates import candidates
from tierway_core.errors import NoClassifierError, UnknownModelError, UnknownTaskTypeError
from tierway_core.explain import explain
from tierway_core.quality import ability_of, check_domains
from tierway_core.specs import BASE_CLASSES
from tierway_core.types import Complexity
from tierway_core.unroutable import unroutable


@cython.final
@cython.freelist(64)
cdef class Request:
    """What is asked of a decision. Immutable; the stub documents each argument.

    Raises:
        ValueError: a count or a limit is negative or NaN, or the dial is not within 0 and 1.
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
        cost_quality=None,
    ):
        # Written so that NaN fails.
        if extra_input_tokens < 0 or max_tokens < 0 or not latency_budget_s >= 0.0 or not min_compliance >= 0.0:
            raise ValueError("extra_input_tokens, max_tokens, latency_budget_s and min_compliance must be 0 or more")
        self._cost_quality = -1.0
        if cost_quality is not None:
            self._cost_quality = cost_quality
            if not 0.0 <= self._cost_quality <= 1.0:
                raise ValueError(f"cost_quality must be 0 to 1, not {cost_quality}")
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

    @property
    def cost_quality(self):
        """The dial from cost to quality, 0 to 1; None: not stated."""
        return None if self._cost_quality < 0.0 else self._cost_quality


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
    def cost_quality(self):
        """The dial that held, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None else self._cost_quality

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
        ValueError: the state is for another number of deployments; the rules want a classifier, and none is given.
        TableError: a model's ability is for a domain that the classifier does not know.
        CalibrationError: the calibration's is.
    """

    def __cinit__(self, table, State state not None, Classifier classifier=None):
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
        self._min_confidence = routing.min_confidence
        self._cost_quality = routing.cost_quality
        self._scales.strong = self._scales.weak = -1
        if routing.classifier:
            if classifier is None:
                raise ValueError("the table's rules want a classifier, and none is given")
            self._classifier = classifier
            self._learn(table.models)
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
        free(self._abilities)

    cdef int _learn(self, object models) except -1:
        """Takes the models' abilities, and the pair of the calibration."""
        cdef Py_ssize_t place = 0
        domains = self._classifier.weights.domains
        calibration = self._classifier.calibration
        check_domains(models, domains, calibration)
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

    cpdef Decision decide(self, Request request):
        """Decides.

        Raises:
            UnknownModelError: the request forces a model that the table does not have.
            UnknownTaskTypeError: the request states a task type that the table does not have.
            NoClassifierError: the request states the dial, and there is no classifier.
            InvalidTextError: the text holds a lone surrogate.
            UnroutableError: nothing may answer.
        """
        if request is None:
            raise TypeError("a request is needed, not None")
        cdef DemandC demand
        cdef PoolC pool
        cdef ChoiceC choice
        cdef ScalesC scales
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
        if self._classifier is None:
            choice = cheapest(self._deployments, self._state.records, self._state.workers, self._count, &demand, filtered, &pool)
        else:
            scales = self._scales
            set_up(&scales, &decision._judgement, decision._cost_quality, dearest(self._deployments, self._count, &demand))
            choice = most_useful(self._deployments, self._state.records, self._state.workers, self._count, &demand, filtered, &pool, &scales)
            decision._expected_quality = quality_of(&scales, self._deployments[choice.deployment].model)
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
        if request._cost_quality >= 0.0 and self._classifier is None:
            raise NoClassifierError("cost_quality")

        self._lexicon.scan_text(request.text, found)
        decision._base = classify(found)
        if self._classifier is not None:
            decision.classifier = self._classifier
            self._classifier.judge(request.text, &decision._judgement)
            decision.is_sure = decision._judgement.confidence >= self._min_confidence
            decision._cost_quality = request._cost_quality
            if request._cost_quality < 0.0:
                decision._cost_quality = self._cost_quality if decision.is_sure else 0.0
        demand.pin = 1
        if is_forced:
            demand.floor = 1
        else:
            if not decision.is_sure:
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

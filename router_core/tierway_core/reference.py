"""The pure-Python twin of the router: the specification of a decision, written to be read.

`_select.pyx` does the same in microseconds; tests hold the two equal on everything. `tierway_core.text` is the same for features.

1. Resolve the names of the request; find the features of its text.
2. Class: the *base class* from words, code and planning; VISION on top if there is an image or a word for one.
3. Assessment, if there is a classifier and the rules want it: sure from `min_confidence` on (`tierway_core.assessment`).
4. Floor: the base class's unless the classifier is sure, raised by the task type. Soft. A forced model has none (1).
5. Pin: the accurate tier for critical agents, the governance tier for governance queries. Hard. A forced model has none (1).
6. Each deployment is struck by the first filter that applies, in the order of `FILTERS`, or is left.
7. The pool is what is left at or above the floor; failing that, the highest tier below it. A text that speaks of images,
   without one, narrows the pool to models with vision, if there are any.
8. By the rules of the class, the cheapest of the pool. With an assessment, the highest utility: expected quality against price
   by the dial (`tierway_core.quality`), then the cheapest. Ties go to the lower tier, then to fewer in flight, then to the order
   of the table.
"""

from dataclasses import dataclass, replace

from tierway_core._classifier import Classifier
from tierway_core._state import State
from tierway_core.assessment import Assessment, assess
from tierway_core.candidates import Candidate, candidates
from tierway_core.cost import estimate_picousd
from tierway_core.errors import NoClassifierError, UnknownTaskTypeError
from tierway_core.explain import explain
from tierway_core.outcome import RequestFields
from tierway_core.quality import check_domains, qualities, utility
from tierway_core.specs import INT64_MAX, TIER_MIN, ModelSpec
from tierway_core.table import Deployment, Table
from tierway_core.terms import build_terms
from tierway_core.text import extract as extract_with
from tierway_core.types import Complexity, Features, Reason, ReasonCode
from tierway_core.unroutable import unroutable

__all__ = ["ReferenceDecision", "ReferenceRouter", "extract"]


def extract(text: str) -> Features:
    """Finds the features of `text`, with the built-in vocabulary alone: no governance terms.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    return extract_with(text, build_terms())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceDecision:
    """A decision of the twin; the same attributes as `Decision`, which documents them."""

    table: Table
    request: RequestFields
    features: Features
    base: Complexity
    complexity: Complexity
    floor: int
    pin: int
    input_tokens: int
    output_tokens: int
    filtered: bytes
    classifier: Classifier | None = None
    assessment: Assessment | None = None
    is_sure: bool = False
    cost_quality: float | None = None
    expected_quality: float | None = None
    prefers_vision: bool = False
    deployment: int = -1
    estimated_cost_picousd: int = 0

    @property
    def model(self) -> ModelSpec:
        return self.table.deployments[self.deployment].model

    @property
    def tier(self) -> int:
        return self.model.tier

    @property
    def is_about_governance(self) -> bool:
        return self.features.governance

    @property
    def figures(self) -> tuple[float, ...] | None:
        found = self.assessment
        if found is None or self.classifier is None:
            return None
        domain = float(self.classifier.weights.domains.index(found.domain))
        return found.difficulty, found.sigma, domain, found.domain_probability, found.confidence

    @property
    def confidence(self) -> float | None:
        return None if self.assessment is None else self.assessment.confidence

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return candidates(self)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return explain(self)

    @property
    def fallback(self) -> tuple[int, ...]:
        if not self.request.allow_fallback:
            return ()
        names = (self.model.name, *self.table.chain(self.model.name))
        return tuple(
            deployment.index
            for name in names
            for deployment in self.table.deployments
            if deployment.model.name == name
            and not self.filtered[deployment.index]
            and deployment.index != self.deployment
        )

    @property
    def fallback_models(self) -> tuple[str, ...]:
        names = dict.fromkeys(self.table.deployments[index].model.name for index in self.fallback)
        names.pop(self.model.name, None)
        return tuple(names)


class ReferenceRouter:
    """Decides as `Router` does, thousands of times slower."""

    def __init__(self, table: Table, state: State, classifier: Classifier | None = None) -> None:
        if state.deployments != len(table.deployments):
            raise ValueError(f"the state has {state.deployments} deployments, the table has {len(table.deployments)}")
        if table.routing.classifier and classifier is None:
            raise ValueError("the table's rules want a classifier, and none is given")
        self._table = table
        self._state = state
        self._classifier = classifier if table.routing.classifier else None
        if self._classifier is not None:
            check_domains(table.models, self._classifier.weights.domains, self._classifier.calibration)

    def decide(self, request: RequestFields) -> ReferenceDecision:
        """Decides; raises as `Router.decide` does."""
        routing = self._table.routing
        if request.force_model:
            self._table.model_index(request.force_model)
        if request.task_type and request.task_type not in routing.task_types:
            raise UnknownTaskTypeError(request.task_type, routing.task_types)
        if request.cost_quality is not None and self._classifier is None:
            raise NoClassifierError("cost_quality")

        features = extract_with(request.text, self._table.terms)
        base = classify(features)
        assessment = self._assess(request.text)
        is_sure = assessment is not None and assessment.confidence >= routing.min_confidence
        floor = pin = TIER_MIN
        if not request.force_model:
            floor = routing.task_types.get(request.task_type, TIER_MIN)
            if not is_sure:
                floor = max(floor, routing.floors[base])
            if request.agent in routing.critical_agents:
                pin = routing.accurate_tier
            if features.governance:
                pin = max(pin, routing.governance_tier)

        input_tokens = min(features.input_tokens + request.extra_input_tokens, INT64_MAX)
        output_tokens = request.max_tokens or routing.expected_output_tokens[base]
        struck = [
            self._strike(request, pin, input_tokens, output_tokens, deployment)
            for deployment in self._table.deployments
        ]
        undecided = ReferenceDecision(
            table=self._table,
            request=request,
            features=features,
            base=base,
            complexity=Complexity.VISION if request.has_image or features.vision else base,
            floor=floor,
            pin=pin,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            filtered=bytes(code or 0 for code in struck),
            classifier=self._classifier,
            assessment=assessment,
            is_sure=is_sure,
            cost_quality=self._dial(request, is_sure=is_sure),
        )
        return self._select(undecided)

    def _assess(self, text: str) -> Assessment | None:
        if self._classifier is None:
            return None
        calibration = self._classifier.calibration
        gain = calibration.pair.gain if calibration is not None and calibration.pair is not None else None
        return assess(self._classifier.weights, text, gain)

    def _dial(self, request: RequestFields, *, is_sure: bool) -> float | None:
        """The request's, else the table's; what cannot be judged goes to the cheapest at its floor, as by class rules."""
        if self._classifier is None:
            return None
        if request.cost_quality is not None:
            return request.cost_quality
        return self._table.routing.cost_quality if is_sure else 0.0

    def _strike(
        self, request: RequestFields, pin: int, input_tokens: int, output_tokens: int, deployment: Deployment
    ) -> ReasonCode | None:
        """The first filter that strikes a deployment."""
        model, spec = deployment.model, deployment.spec
        strikes = {
            ReasonCode.FILTERED_FORCED_MODEL: bool(request.force_model) and model.name != request.force_model,
            ReasonCode.FILTERED_VISION: request.has_image and not model.vision,
            ReasonCode.FILTERED_RESPONSE_FORMAT: request.needs_response_format and not model.response_format,
            ReasonCode.FILTERED_LOGPROBS: request.needs_logprobs and not model.logprobs,
            ReasonCode.FILTERED_TIER: not max(request.min_tier, pin) <= model.tier <= request.max_tier,
            ReasonCode.FILTERED_COMPLIANCE: model.compliance
            < max(request.min_compliance, self._table.routing.min_compliance),
            ReasonCode.FILTERED_CONTEXT: input_tokens + (request.max_tokens or 1) > spec.context_tokens,
            ReasonCode.FILTERED_COST: 0
            <= request.max_cost_picousd
            < estimate_picousd(model, input_tokens, output_tokens),
            ReasonCode.FILTERED_LATENCY: spec.expected_latency_s > request.latency_budget_s,
            ReasonCode.FILTERED_UNAVAILABLE: not self._state.is_available(deployment.index),
        }
        return next((code for code, strikes_here in strikes.items() if strikes_here), None)

    def _select(self, undecided: ReferenceDecision) -> ReferenceDecision:
        left = [d for d, code in zip(self._table.deployments, undecided.filtered, strict=True) if not code]
        if not left:
            raise unroutable(undecided)
        highest = max(deployment.model.tier for deployment in left)
        lowest = min(undecided.floor, highest)  # the floor, or what comes nearest
        pool = [deployment for deployment in left if deployment.model.tier >= lowest]
        seeing = [deployment for deployment in pool if deployment.model.vision]
        prefers_vision = undecided.features.vision and not undecided.request.has_image and 0 < len(seeing) < len(pool)

        expected = self._qualities(undecided)
        costs = [
            estimate_picousd(deployment.model, undecided.input_tokens, undecided.output_tokens)
            for deployment in self._table.deployments
        ]

        def key(deployment: Deployment) -> tuple[float, int, int, int, int]:
            cost, worth = costs[deployment.index], 0.0
            if expected is not None and undecided.cost_quality is not None:
                worth = utility(expected[deployment.index], cost, max(costs), undecided.cost_quality)
            return -worth, cost, deployment.model.tier, self._state.in_flight(deployment.index), deployment.index

        chosen = min(seeing if prefers_vision else pool, key=key)
        return replace(
            undecided,
            prefers_vision=prefers_vision,
            deployment=chosen.index,
            estimated_cost_picousd=costs[chosen.index],
            expected_quality=None if expected is None else expected[chosen.index],
        )

    def _qualities(self, undecided: ReferenceDecision) -> list[float] | None:
        """The expected quality of each deployment; None without an assessment."""
        if self._classifier is None or undecided.assessment is None:
            return None
        by_model = qualities(self._table.models, undecided.assessment, self._classifier.calibration)
        return [by_model[self._table.model_index(deployment.model.name)] for deployment in self._table.deployments]


def classify(features: Features) -> Complexity:
    """The base class, which sets the floor."""
    if features.words > 200 or (features.code and features.planning):
        return Complexity.COMPLEX
    if features.words > 50 or features.code or features.planning:
        return Complexity.MODERATE
    if features.words >= 10:
        return Complexity.SIMPLE
    return Complexity.TRIVIAL

"""The pure-Python twin of the router: the specification of a decision, written to be read.

`_select.pyx` does the same in microseconds; tests hold the two equal on everything. `tierway_core.text` is the same for features.

1. Resolve the names of the request; find the features of its text.
2. Class: the *base class* from words, code and planning; VISION on top if there is an image or a word for one.
3. Assessment, if there is a classifier and the table wants it: sure from `min_confidence` on (`tierway_core.assessment`).
4. Steering: tenant, rule, experiment and budgets say which strategy chooses, and how the dial stands (`tierway_core.steering`).
5. Floor: the base class's. Where the classifier is sure, its tier for strategies that do not weigh quality themselves, and none (1) for
   those that do. Raised by the task type. Soft. A forced model has none (1).
6. Pin: the accurate tier for critical agents, the governance tier for governance queries. Hard. A forced model has none (1).
7. Each deployment is struck by the first filter that applies, in the order of `FILTERS`, or is left.
8. The pool is what is left at or above the floor; failing that, the highest tier below it. A text that speaks of images,
   without one, narrows the pool to models with vision, if there are any.
9. The strategy chooses of the pool (`tierway_core.strategies`). The arm of a shadow experiment does so too, for the record.
"""

from dataclasses import replace

from tierway_core._classifier import Classifier
from tierway_core._prefixes import Prefixes
from tierway_core._state import State
from tierway_core.assessment import Assessment, assess
from tierway_core.chance import key_of
from tierway_core.cost import estimate_picousd
from tierway_core.errors import NoClassifierError, UnknownTaskTypeError
from tierway_core.explain import class_floor
from tierway_core.filters import Filters
from tierway_core.fit import check_fit
from tierway_core.outcome import Outcome, RequestFields
from tierway_core.prospects import Prospects
from tierway_core.quality import qualities
from tierway_core.reference_decision import ReferenceDecision
from tierway_core.specs import INT64_MAX, TIER_MIN
from tierway_core.steering import Plan, arm_of, budget_factor, first_rule, lowered, plan_of, with_arm
from tierway_core.strategy import Moment, Option, find_strategy
from tierway_core.table import Deployment, Table, Tenant
from tierway_core.terms import build_terms
from tierway_core.text import extract as extract_with
from tierway_core.types import Complexity, Features
from tierway_core.unroutable import unroutable

__all__ = ["ReferenceRouter", "extract"]


def extract(text: str) -> Features:
    """Finds the features of `text`, with the built-in vocabulary alone: no governance terms.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    return extract_with(text, build_terms())


class ReferenceRouter:
    """Decides as `Router` does, thousands of times slower."""

    def __init__(
        self, table: Table, state: State, classifier: Classifier | None = None, prefixes: Prefixes | None = None
    ) -> None:
        check_fit(table, state, classifier)
        self._table = table
        self._state = state
        self._prefixes = prefixes
        self._classifier = classifier if table.routing.classifier else None

    def decide(self, request: RequestFields, now_ns: int = 0, draw: int = 0) -> ReferenceDecision:
        """Decides; raises as `Router.decide` does."""
        self._check_names(request)
        table, routing = self._table, self._table.routing
        features = extract_with(request.text, table.terms)
        base = classify(features)
        complexity = Complexity.VISION if request.has_image or features.vision else base
        assessment = self._assess(request.text)
        is_sure = assessment is not None and assessment.confidence >= routing.min_confidence

        tenant = table.tenant(request.tenant)
        rule = first_rule(table, request, tenant, complexity, assessment if is_sure else None)
        full = plan_of(routing, request, rule, tenant, is_sure=is_sure)
        experiment = next((each for each in routing.experiments if rule and each.name == rule.experiment), None)
        arm = arm_of(experiment, request, draw) if experiment else None
        shadow = None
        if experiment and arm:
            tried = with_arm(routing, full, arm, request, is_sure=is_sure)
            full, shadow = (full, tried) if experiment.shadow else (tried, None)
        factor = self._budget_factor(tenant, request, now_ns)

        undecided = ReferenceDecision(
            table=table,
            request=request,
            features=features,
            base=base,
            complexity=complexity,
            floor=TIER_MIN,
            pin=self._pin(request, features),
            input_tokens=min(features.input_tokens + request.extra_input_tokens, INT64_MAX),
            output_tokens=request.max_tokens or routing.expected_output_tokens[base],
            filtered=b"",
            classifier=self._classifier,
            assessment=assessment,
            is_sure=is_sure,
            tenant=tenant,
            rule=rule.name if rule else "",
            experiment=experiment.name if experiment and arm else "",
            arm=arm.name if arm else "",
            full_cost_quality=full.cost_quality if self._classifier else None,
            budget_factor=factor,
        )
        filters = Filters(undecided, self._prospects(undecided, now_ns), self._state, now_ns)
        undecided = replace(undecided, filtered=bytes(filters.strike(each) or 0 for each in table.deployments))
        decided = self._choose(undecided, lowered(routing, full, factor), now_ns, draw)
        if not any(code == 0 for code in decided.filtered):
            raise unroutable(decided, self._state, now_ns)
        if shadow is None:
            return decided
        shadowed = self._choose(undecided, lowered(routing, shadow, factor), now_ns, draw)
        return replace(decided, shadow_deployment=shadowed.deployment)

    def _check_names(self, request: RequestFields) -> None:
        routing = self._table.routing
        if request.force_model:
            self._table.model_index(request.force_model)
        if request.task_type and request.task_type not in routing.task_types:
            raise UnknownTaskTypeError(request.task_type, routing.task_types)
        if request.strategy:
            find_strategy(request.strategy)
        if self._classifier is None and request.cost_quality is not None:
            raise NoClassifierError("cost_quality")
        if self._classifier is None and request.strategy == "cost_quality":
            raise NoClassifierError("strategy")

    def _assess(self, text: str) -> Assessment | None:
        if self._classifier is None:
            return None
        calibration = self._classifier.calibration
        gain = calibration.pair.gain if calibration is not None and calibration.pair is not None else None
        return assess(self._classifier.weights, text, gain)

    def _budget_factor(self, tenant: Tenant | None, request: RequestFields, now_ns: int) -> float:
        """The lowest of all budgets that the request is paid from."""
        budgets = self._table.budgets
        return min(
            (
                budget_factor(
                    self._state.remaining_picousd(index, now_ns),
                    budgets[index].limit_picousd,
                    budgets[index].low_share,
                )
                for index in self._table.budgets_of(tenant, request.agent)
            ),
            default=1.0,
        )

    def _pin(self, request: RequestFields, features: Features) -> int:
        routing = self._table.routing
        if request.force_model:
            return TIER_MIN
        by_agent = routing.accurate_tier if request.agent in routing.critical_agents else TIER_MIN
        return max(by_agent, routing.governance_tier if features.governance else TIER_MIN)

    def _floor(self, outcome: Outcome) -> int:
        by_task_type = self._table.routing.task_types.get(outcome.request.task_type, TIER_MIN)
        return TIER_MIN if outcome.request.force_model else max(class_floor(outcome), by_task_type)

    def _prospects(self, undecided: ReferenceDecision, now_ns: int) -> Prospects:
        request, tokens = undecided.request, (undecided.input_tokens, undecided.output_tokens, self._likely(undecided))
        return Prospects(self._table, self._state, self._prefixes, request, *tokens, now_ns)

    def _likely(self, outcome: Outcome) -> int:
        """Tokens of output: what is expected of the class, and no more than may be generated."""
        return min(outcome.output_tokens, self._table.routing.expected_output_tokens[outcome.base])

    def _choose(self, undecided: ReferenceDecision, plan: Plan, now_ns: int, draw: int) -> ReferenceDecision:
        """Completes a decision by a plan, as far as something is left to choose from."""
        table, strategy = self._table, find_strategy(plan.strategy)
        dial = plan.cost_quality if self._classifier else None
        decided = replace(undecided, strategy=plan.strategy, cost_quality=dial)
        decided = replace(decided, floor=self._floor(decided))
        left = [each for each, code in zip(table.deployments, undecided.filtered, strict=True) if not code]
        if not left:
            return decided
        lowest = min(decided.floor, max(each.model.tier for each in left))  # the floor, or what comes nearest
        pool = [deployment for deployment in left if deployment.model.tier >= lowest]
        seeing = [deployment for deployment in pool if deployment.model.vision]
        prefers_vision = undecided.features.vision and not undecided.request.has_image and 0 < len(seeing) < len(pool)

        tokens = undecided.input_tokens, undecided.output_tokens
        expected = self._qualities(undecided)
        prospects = self._prospects(undecided, now_ns)
        moment = Moment(
            draw=draw,
            prefix_key=undecided.request.prefix_key,
            likely_tokens=self._likely(undecided),
            request_tokens=min(sum(tokens), INT64_MAX),
            cost_quality=plan.cost_quality,
            dearest_picousd=max(estimate_picousd(model, *tokens) for model in table.models),
        )
        options = [
            self._option(deployment, prospects, expected, now_ns) for deployment in (seeing if prefers_vision else pool)
        ]
        index, figure = strategy.choose(options, moment)
        return replace(
            decided,
            prefers_vision=prefers_vision,
            deployment=index,
            figure=figure,
            estimated_cost_picousd=estimate_picousd(table.deployments[index].model, *tokens),
            expected_quality=None if expected is None else expected[index],
        )

    def _option(
        self, deployment: Deployment, prospects: Prospects, expected: list[float] | None, now_ns: int
    ) -> Option:
        return Option(
            deployment=deployment.index,
            tier=deployment.model.tier,
            weight=deployment.spec.weight,
            identity=key_of(deployment.spec.name),
            cost_picousd=prospects.cost_picousd(deployment),
            quality=0.0 if expected is None else expected[deployment.index],
            first_token_s=prospects.first_token_s(deployment),
            token_s=prospects.token_s(deployment),
            in_flight=self._state.in_flight(deployment.index),
            tokens=self._state.usage(deployment.index, now_ns)[1],
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

"""Explains an outcome: reasons for a decision, an error for a request that nothing may answer.

Deciding leaves compact codes behind; sentences are made here, only when someone reads them. The compiled router and its
twin share this module, as an outcome of either looks the same (`Outcome`).
"""

from collections.abc import Hashable, Iterator
from typing import Protocol

from tierway_core.cost import estimate_picousd
from tierway_core.errors import UnroutableError
from tierway_core.specs import ModelSpec
from tierway_core.table import Deployment, Table
from tierway_core.types import Complexity, Features, Reason, ReasonCode, UnroutableKind

__all__ = [
    "FILTERS",
    "Outcome",
    "RequestFields",
    "closing",
    "closing_key",
    "explain",
    "opening",
    "opening_key",
    "struck",
    "struck_key",
    "unroutable",
]

FILTERS = (
    ReasonCode.FILTERED_FORCED_MODEL,
    ReasonCode.FILTERED_VISION,
    ReasonCode.FILTERED_RESPONSE_FORMAT,
    ReasonCode.FILTERED_LOGPROBS,
    ReasonCode.FILTERED_TIER,
    ReasonCode.FILTERED_COMPLIANCE,
    ReasonCode.FILTERED_CONTEXT,
    ReasonCode.FILTERED_COST,
    ReasonCode.FILTERED_LATENCY,
    ReasonCode.FILTERED_UNAVAILABLE,
)
"""The filters in the order in which they strike."""


class RequestFields(Protocol):
    """A `Request`, as far as explaining and the twin read it."""

    @property
    def text(self) -> str: ...
    @property
    def extra_input_tokens(self) -> int: ...
    @property
    def has_image(self) -> bool: ...
    @property
    def needs_response_format(self) -> bool: ...
    @property
    def needs_logprobs(self) -> bool: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def agent(self) -> str: ...
    @property
    def task_type(self) -> str: ...
    @property
    def force_model(self) -> str: ...
    @property
    def min_tier(self) -> int: ...
    @property
    def max_tier(self) -> int: ...
    @property
    def max_cost_picousd(self) -> int: ...
    @property
    def latency_budget_s(self) -> float: ...
    @property
    def min_compliance(self) -> float: ...
    @property
    def allow_fallback(self) -> bool: ...


class Outcome(Protocol):
    """What deciding leaves behind, whether it found something or not."""

    @property
    def table(self) -> Table: ...
    @property
    def request(self) -> RequestFields: ...
    @property
    def features(self) -> Features: ...
    @property
    def base(self) -> Complexity: ...
    @property
    def floor(self) -> int: ...
    @property
    def pin(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def filtered(self) -> bytes: ...
    @property
    def prefers_vision(self) -> bool: ...
    @property
    def deployment(self) -> int: ...
    @property
    def estimated_cost_picousd(self) -> int: ...


_CONSTANT = bytes(
    {
        ReasonCode.FILTERED_FORCED_MODEL,
        ReasonCode.FILTERED_VISION,
        ReasonCode.FILTERED_RESPONSE_FORMAT,
        ReasonCode.FILTERED_LOGPROBS,
        ReasonCode.FILTERED_UNAVAILABLE,
        0,
    }
)
# The outcomes of these filters follow from the deployment alone; the sentences of the others carry numbers of the request.


def explain(outcome: Outcome) -> tuple[Reason, ...]:
    """Says why it came out so: floors, pins, preferences, what was left out, and the choice (if there is one)."""
    return (*opening(outcome), *struck(outcome), *closing(outcome))


def opening(outcome: Outcome) -> Iterator[Reason]:
    """What the query asks for: floors, pins, preferences."""
    table, request, features = outcome.table, outcome.request, outcome.features
    routing = table.routing
    if not request.force_model:
        class_floor = routing.floors[outcome.base]
        signs = "".join((", code" if features.code else "", ", planning" if features.planning else ""))
        words = f"{features.words} word{'' if features.words == 1 else 's'}"
        detail = (
            f"The query looks {outcome.base.name.lower()} ({words}{signs}), which is served from tier {class_floor}."
        )
        yield Reason(ReasonCode.COMPLEXITY_FLOOR, "", detail)
        if outcome.floor > class_floor:
            detail = f"The task type {request.task_type} is served from tier {outcome.floor}."
            yield Reason(ReasonCode.TASK_TYPE_FLOOR, request.task_type, detail)
        if request.agent in routing.critical_agents:
            detail = f"The critical agent {request.agent} is pinned to tier {routing.accurate_tier} and up."
            yield Reason(ReasonCode.PIN_AGENT, request.agent, detail)
        if features.governance:
            detail = f"The query is about governance, which is pinned to tier {routing.governance_tier} and up."
            yield Reason(ReasonCode.PIN_GOVERNANCE, "", detail)
    if request.has_image:
        yield Reason(ReasonCode.PIN_VISION, "", "The query has an image, so only models with vision may answer.")
    if request.force_model:
        yield Reason(
            ReasonCode.FORCED_MODEL, request.force_model, f"The request forces the model {request.force_model}."
        )
    if outcome.prefers_vision:
        yield Reason(ReasonCode.PREFER_VISION, "", "The query speaks of images, so models with vision are preferred.")
    chosen = _chosen(outcome)
    if chosen is not None and chosen.model.tier < outcome.floor:
        detail = f"Nothing is left at tier {outcome.floor} or above; the best tier below is {chosen.model.tier}."
        yield Reason(ReasonCode.FLOOR_DEGRADED, "", detail)


def opening_key(outcome: Outcome) -> Hashable | None:
    """What the opening follows from, for who keeps openings; None when a name of the request is in it."""
    request = outcome.request
    if request.agent or request.task_type or request.force_model:
        return None
    features, chosen = outcome.features, _chosen(outcome)
    return (
        outcome.base,
        features.words,
        features.code,
        features.planning,
        features.governance,
        request.has_image,
        outcome.prefers_vision,
        outcome.floor,
        chosen and chosen.model.tier,
    )


def struck_key(outcome: Outcome) -> Hashable | None:
    """What the deployments left out and why follow from; None when numbers of the request are in it."""
    return None if outcome.filtered.translate(None, _CONSTANT) else outcome.filtered


def closing_key(outcome: Outcome) -> Hashable | None:
    """What the choice's reason follows from."""
    return (outcome.deployment, outcome.input_tokens, outcome.output_tokens)


def struck(outcome: Outcome) -> Iterator[Reason]:
    """What was left out, and by which filter."""
    for deployment, code in zip(outcome.table.deployments, outcome.filtered, strict=True):
        if code:
            why = _why_filtered(outcome, deployment, ReasonCode(code))
            yield Reason(ReasonCode(code), deployment.spec.name, f"{deployment.spec.name} is left out: {why}.")


def closing(outcome: Outcome) -> Iterator[Reason]:
    """What was chosen among the rest, if anything was."""
    chosen = _chosen(outcome)
    if chosen is not None:
        detail = (
            f"{chosen.spec.name} is the cheapest of what is left: {_usd(outcome.estimated_cost_picousd)} "
            f"for an estimated {outcome.input_tokens} tokens of input and {outcome.output_tokens} of output."
        )
        yield Reason(ReasonCode.CHEAPEST, chosen.spec.name, detail)


def _chosen(outcome: Outcome) -> Deployment | None:
    return outcome.table.deployments[outcome.deployment] if outcome.deployment >= 0 else None


def _why_filtered(outcome: Outcome, deployment: Deployment, code: ReasonCode) -> str:
    request, model, spec = outcome.request, deployment.model, deployment.spec
    match code:
        case ReasonCode.FILTERED_FORCED_MODEL:
            return "another model is forced"
        case ReasonCode.FILTERED_VISION:
            return "it cannot see images"
        case ReasonCode.FILTERED_RESPONSE_FORMAT:
            return "it cannot enforce the response format"
        case ReasonCode.FILTERED_LOGPROBS:
            return "it cannot give log-probabilities"
        case ReasonCode.FILTERED_TIER:
            least = max(request.min_tier, outcome.pin)
            return f"tier {model.tier} is not within {least} to {request.max_tier}"
        case ReasonCode.FILTERED_COMPLIANCE:
            required = max(request.min_compliance, outcome.table.routing.min_compliance)
            return f"its compliance score {model.compliance:g} is below {required:g}"
        case ReasonCode.FILTERED_CONTEXT:
            return f"{outcome.input_tokens} + {request.max_tokens or 1} tokens do not fit its context of {spec.context_tokens}"
        case ReasonCode.FILTERED_COST:
            cost = estimate_picousd(model, outcome.input_tokens, outcome.output_tokens)
            return f"its estimate of {_usd(cost)} exceeds {_usd(request.max_cost_picousd)}"
        case ReasonCode.FILTERED_LATENCY:
            return f"its expected latency of {spec.expected_latency_s:g} s exceeds {request.latency_budget_s:g} s"
        case _:
            return "it is unavailable"


def unroutable(outcome: Outcome) -> UnroutableError:
    """Makes the error for an outcome in which every deployment is struck."""
    codes = set(outcome.filtered)
    furthest = next(code for code in reversed(FILTERS) if code in codes)
    field, message = _blame(outcome, furthest)
    if furthest is ReasonCode.FILTERED_UNAVAILABLE:
        kind = UnroutableKind.NO_DEPLOYMENT_AVAILABLE
    elif (
        outcome.request.force_model
        or furthest is ReasonCode.FILTERED_VISION
        or (furthest is ReasonCode.FILTERED_TIER and _is_pinned(outcome))
    ):
        kind = UnroutableKind.PIN_UNSATISFIABLE
    elif furthest is ReasonCode.FILTERED_CONTEXT:
        kind = UnroutableKind.CONTEXT_TOO_LONG
    else:
        kind = UnroutableKind.NO_CANDIDATE
    return UnroutableError(kind, field, explain(outcome), message)


def _blame(outcome: Outcome, furthest: ReasonCode) -> tuple[str, str]:
    """The request field at fault, and what is wrong in one sentence."""
    request, routing = outcome.request, outcome.table.routing
    who = f"the forced model {request.force_model}" if request.force_model else "no model that is otherwise fit"
    negation = " not" if request.force_model else ""
    match furthest:
        case ReasonCode.FILTERED_VISION:
            return "query.messages", f"the query has an image, and {who} can{negation} see images"
        case ReasonCode.FILTERED_RESPONSE_FORMAT:
            return "query.response_format", f"{who} can{negation} enforce a response format"
        case ReasonCode.FILTERED_LOGPROBS:
            return "sampling.top_logprobs", f"{who} can{negation} give log-probabilities"
        case ReasonCode.FILTERED_TIER:
            return _blame_tier(outcome, who, negation)
        case ReasonCode.FILTERED_COMPLIANCE:
            required = max(request.min_compliance, routing.min_compliance)
            if request.min_compliance > routing.min_compliance:
                field = "preferences.min_compliance"
            else:  # the policy's own minimum: at most the choice of the model is the request's fault
                field = "preferences.force_model" if request.force_model else ""
            return field, f"{who} has{negation} the required compliance score of {required:g}"
        case ReasonCode.FILTERED_CONTEXT:
            needed = f"{outcome.input_tokens} + {request.max_tokens or 1} tokens"
            return "query", f"the query needs an estimated {needed}, which {who} can{negation} hold"
        case ReasonCode.FILTERED_COST:
            return "preferences.max_cost_usd", f"{who} can{negation} answer within {_usd(request.max_cost_picousd)}"
        case ReasonCode.FILTERED_LATENCY:
            return (
                "preferences.latency_budget",
                f"{who} is{negation} expected to answer within {request.latency_budget_s:g} s",
            )
        case _:
            return (
                "",
                "the forced model is unavailable" if request.force_model else "no deployment that fits is available",
            )


def _blame_tier(outcome: Outcome, who: str, negation: str) -> tuple[str, str]:
    request, pin = outcome.request, outcome.pin
    if _is_pinned(outcome):
        by_agent = request.agent in outcome.table.routing.critical_agents and outcome.table.routing.accurate_tier == pin
        what = f"the agent {request.agent}" if by_agent else "a query about governance"
        if request.max_tier < pin:  # the caller's limit contradicts the pin: that is what can be mended
            return "preferences.max_tier", f"{what} is pinned to tier {pin} and up, above max_tier {request.max_tier}"
        return (
            "preferences.agent" if by_agent else "query",
            f"{what} is pinned to tier {pin} and up, and {who} is there",
        )
    if any(model.tier < request.min_tier for model in _models_struck_by_tier(outcome)):
        field = "preferences.min_tier"
    else:
        field = "preferences.max_tier"
    return field, f"{who} is{negation} of tier {request.min_tier} to {request.max_tier}"


def _is_pinned(outcome: Outcome) -> bool:
    """Whether a pin, and no limit of the caller, struck some deployment."""
    request = outcome.request
    return any(
        request.min_tier <= m.tier <= request.max_tier and m.tier < outcome.pin for m in _models_struck_by_tier(outcome)
    )


def _models_struck_by_tier(outcome: Outcome) -> Iterator[ModelSpec]:
    for deployment, code in zip(outcome.table.deployments, outcome.filtered, strict=True):
        if code == ReasonCode.FILTERED_TIER:
            yield deployment.model


def _usd(picousd: int) -> str:
    return f"{picousd / 1e12:.9f} USD"

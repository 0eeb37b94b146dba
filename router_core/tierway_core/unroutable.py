"""Makes the error for a request that nothing may answer: the kind, and the field that could be changed."""

from collections import Counter
from collections.abc import Iterator

from tierway_core._state import State
from tierway_core.errors import UnroutableError
from tierway_core.explain import cannot, explain, usd
from tierway_core.filters import FILTERS, tier_bounds
from tierway_core.outcome import Outcome
from tierway_core.specs import ModelSpec
from tierway_core.types import Feature, ReasonCode, UnroutableKind

__all__ = ["unroutable"]


_KINDS = {
    ReasonCode.FILTERED_TENANT: UnroutableKind.TENANT_RESTRICTED,
    ReasonCode.FILTERED_BUDGET: UnroutableKind.BUDGET_EXHAUSTED,
    ReasonCode.FILTERED_DEADLINE: UnroutableKind.DEADLINE_TOO_SHORT,
    ReasonCode.FILTERED_UNAVAILABLE: UnroutableKind.NO_DEPLOYMENT_AVAILABLE,
    ReasonCode.FILTERED_BREAKER: UnroutableKind.NO_DEPLOYMENT_AVAILABLE,
    ReasonCode.FILTERED_RATE_LIMIT: UnroutableKind.RATE_LIMITED,
}
"""Filters that are to blame alike whatever else is asked for."""

_FIELDS = {
    Feature.TOOLS: "query.tools",
    Feature.TOOL_CHOICE: "query.tool_choice",
    Feature.PARALLEL_TOOLS: "query.tool_choice",
    Feature.IMAGE_DATA: "query.messages",
    Feature.IMAGE_URI: "query.messages",
    Feature.JSON_OBJECT: "query.response_format",
    Feature.JSON_SCHEMA: "query.response_format",
    Feature.LOGPROBS: "sampling.top_logprobs",
    Feature.TOP_K: "sampling.top_k",
    Feature.SEED: "sampling.seed",
    Feature.PENALTIES: "sampling",
    Feature.MANY_STOPS: "sampling.stop",
    Feature.HIGH_TEMPERATURE: "sampling.temperature",
}
"""Where a request asks for what can be lacking."""


def unroutable(outcome: Outcome, state: State, now_ns: int) -> UnroutableError:
    """Makes the error for an outcome in which every deployment is struck.

    Args:
        outcome: what became of the request.
        state: by which it was decided.
        now_ns: when.
    """
    codes = set(outcome.filtered)
    furthest = next(code for code in reversed(FILTERS) if code in codes)
    field, message = _blame(outcome, furthest)
    kind = _kind(outcome, furthest)
    predicted_s = _predicted_s(outcome, state, now_ns) if kind is UnroutableKind.DEADLINE_TOO_SHORT else None
    return UnroutableError(kind, field, explain(outcome), message, predicted_s)


def _predicted_s(outcome: Outcome, state: State, now_ns: int) -> float:
    """The least that an answer is predicted to take where only the deadline stands in its way; as the filter has it, nothing is warm."""
    likely_tokens = min(outcome.output_tokens, outcome.table.routing.expected_output_tokens[outcome.base])
    return min(
        state.first_token_s(index, now_ns, deployment.spec.expected_latency_s)
        + float(likely_tokens) * state.token_s(index, now_ns, deployment.spec.expected_token_s)
        for index, (deployment, code) in enumerate(zip(outcome.table.deployments, outcome.filtered, strict=True))
        if code == ReasonCode.FILTERED_DEADLINE
    )


def _kind(outcome: Outcome, furthest: ReasonCode) -> UnroutableKind:
    request = outcome.request
    if furthest in _KINDS:
        return _KINDS[furthest]
    if furthest is ReasonCode.FILTERED_REGION and not request.regions:
        return UnroutableKind.TENANT_RESTRICTED
    if (
        request.force_model
        or furthest is ReasonCode.FILTERED_VISION
        or (furthest is ReasonCode.FILTERED_TIER and _is_pinned(outcome))
    ):
        return UnroutableKind.PIN_UNSATISFIABLE
    if furthest is ReasonCode.FILTERED_CONTEXT:
        return UnroutableKind.CONTEXT_TOO_LONG
    return UnroutableKind.NO_CANDIDATE


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
        case ReasonCode.FILTERED_UNSUPPORTED:
            return _blame_need(outcome, who, negation)
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
            return "preferences.max_cost_usd", f"{who} can{negation} answer within {usd(request.max_cost_picousd)}"
        case ReasonCode.FILTERED_LATENCY:
            return (
                "preferences.latency_budget",
                f"{who} is{negation} expected to answer within {request.latency_budget_s:g} s",
            )
        case _:
            return _blame_policy(outcome, furthest, who, negation)


def _blame_policy(outcome: Outcome, furthest: ReasonCode, who: str, negation: str) -> tuple[str, str]:
    """The same for what the tenant may use, and for the state of the moment."""
    request = outcome.request
    what = "the forced model is not" if request.force_model else "no deployment that fits is"
    match furthest:
        case ReasonCode.FILTERED_TENANT:
            field = "preferences.force_model" if request.force_model else ""
            return field, f"{who} is{negation} allowed to the tenant"
        case ReasonCode.FILTERED_REGION:
            field = "preferences.regions" if request.regions else ""
            return field, f"{who} is{negation} in an allowed region"
        case ReasonCode.FILTERED_BUDGET:
            return "", f"{who} is{negation} estimated to cost as little as the budget has left"
        case ReasonCode.FILTERED_DEADLINE:
            return "", f"{who} is{negation} predicted to answer within the {request.deadline_s:g} s that are left"
        case ReasonCode.FILTERED_BREAKER:
            return "", f"{what} available: breakers are open"
        case ReasonCode.FILTERED_RATE_LIMIT:
            return "", f"{what} within its rate limit"
        case _:
            return "", "the forced model is unavailable" if request.force_model else f"{what} available"


def _blame_need(outcome: Outcome, who: str, negation: str) -> tuple[str, str]:
    """Names what most of those that were struck for it lack; if several things are lacking as often, the first of them."""
    lacking = Counter(
        feature
        for deployment, code in zip(outcome.table.deployments, outcome.filtered, strict=True)
        if code == ReasonCode.FILTERED_UNSUPPORTED
        for feature in Feature(outcome.request.needs) & deployment.spec.lacks
    )
    feature = max(lacking, key=lambda each: (lacking[each], -each))
    return _FIELDS[feature], f"{who} can{negation} {cannot(feature)}"


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
    least, most = tier_bounds(outcome)
    if not any(
        model.tier < request.min_tier or model.tier > request.max_tier for model in _models_struck_by_tier(outcome)
    ):
        return "", f"the rule {outcome.rule} allows tiers {least} to {most}, and {who} is there"
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

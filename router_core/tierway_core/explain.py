"""Explains an outcome: the reasons why it came out so.

Deciding leaves compact codes behind; sentences are made here, only when someone reads them. The compiled router and its
twin share this module, as an outcome of either looks the same (`Outcome`).
"""

from collections.abc import Hashable, Iterator

from tierway_core.assessment import Assessment
from tierway_core.cost import estimate_picousd
from tierway_core.filters import tier_bounds
from tierway_core.outcome import Outcome
from tierway_core.specs import TIER_MIN
from tierway_core.strategy import find_strategy
from tierway_core.table import Deployment
from tierway_core.types import Feature, Reason, ReasonCode

__all__ = [
    "cannot",
    "class_floor",
    "closing",
    "closing_key",
    "explain",
    "opening",
    "opening_key",
    "struck",
    "struck_key",
    "usd",
    "why_filtered",
]

_CONSTANT = bytes(
    {
        ReasonCode.FILTERED_FORCED_MODEL,
        ReasonCode.FILTERED_TENANT,
        ReasonCode.FILTERED_REGION,
        ReasonCode.FILTERED_VISION,
        ReasonCode.FILTERED_RESPONSE_FORMAT,
        ReasonCode.FILTERED_LOGPROBS,
        ReasonCode.FILTERED_UNSUPPORTED,
        ReasonCode.FILTERED_UNAVAILABLE,
        ReasonCode.FILTERED_BREAKER,
        ReasonCode.FILTERED_RATE_LIMIT,
        0,
    }
)
# The sentences of these filters follow from the deployment and what the request needs; those of the others carry its numbers.

_PLAIN = {
    ReasonCode.FILTERED_FORCED_MODEL: "another model is forced",
    ReasonCode.FILTERED_TENANT: "the tenant may not use it",
    ReasonCode.FILTERED_REGION: "it does not run in an allowed region",
    ReasonCode.FILTERED_VISION: "it cannot see images",
    ReasonCode.FILTERED_RESPONSE_FORMAT: "it cannot enforce the response format",
    ReasonCode.FILTERED_LOGPROBS: "it cannot give log-probabilities",
}

_ABLE = {
    Feature.TOOLS: "call functions",
    Feature.TOOL_CHOICE: "be told which function to call",
    Feature.PARALLEL_TOOLS: "be told how many functions to call at once",
    Feature.IMAGE_DATA: "take images as data",
    Feature.IMAGE_URI: "take images by their address",
    Feature.JSON_OBJECT: "be held to a JSON object",
    Feature.JSON_SCHEMA: "be held to a JSON schema",
    Feature.LOGPROBS: "give log-probabilities",
    Feature.TOP_K: "take top_k",
    Feature.SEED: "take a seed",
    Feature.PENALTIES: "take penalties",
    Feature.MANY_STOPS: "take more than four stop texts",
    Feature.HIGH_TEMPERATURE: "take a temperature above 1",
    Feature.SAMPLING: "take a temperature or top_p",
}


def explain(outcome: Outcome) -> tuple[Reason, ...]:
    """Says why it came out so: assessment, steering, floors, pins, preferences, what was left out, the choice (if there is one)."""
    return (*opening(outcome), *struck(outcome), *closing(outcome))


def class_floor(outcome: Outcome) -> int:
    """The floor that the query sets: by its class; where the classifier is sure, the tier that it tells, but none (1) where the
    strategy weighs quality itself. A forced model has none.
    """
    if outcome.request.force_model:
        return TIER_MIN
    assessment = outcome.assessment
    if not outcome.is_sure or assessment is None:
        return outcome.table.routing.floors[outcome.base]
    return TIER_MIN if find_strategy(outcome.strategy).WEIGHS_QUALITY else assessment.tier


def opening(outcome: Outcome) -> Iterator[Reason]:
    """What the query asks for: assessment, steering, floors, pins, preferences."""
    request, routing = outcome.request, outcome.table.routing
    yield from _assessed(outcome)
    yield from _steered(outcome)
    if not request.force_model:
        if not outcome.is_sure:
            features = outcome.features
            signs = "".join((", code" if features.code else "", ", planning" if features.planning else ""))
            words = f"{features.words} word{'' if features.words == 1 else 's'}"
            looks = f"The query looks {outcome.base.name.lower()} ({words}{signs})"
            detail = f"{looks}, which is served from tier {class_floor(outcome)}."
            yield Reason(ReasonCode.COMPLEXITY_FLOOR, "", detail)
        elif class_floor(outcome) > TIER_MIN:
            detail = (
                f"The assessment is worth tier {class_floor(outcome)}, from which {outcome.strategy} has it served."
            )
            yield Reason(ReasonCode.COMPLEXITY_FLOOR, "", detail)
        if outcome.floor > class_floor(outcome):
            detail = f"The task type {request.task_type} is served from tier {outcome.floor}."
            yield Reason(ReasonCode.TASK_TYPE_FLOOR, request.task_type, detail)
        if request.agent in routing.critical_agents:
            detail = f"The critical agent {request.agent} is pinned to tier {routing.accurate_tier} and up."
            yield Reason(ReasonCode.PIN_AGENT, request.agent, detail)
        if outcome.is_about_governance:
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


def _assessed(outcome: Outcome) -> Iterator[Reason]:
    """What the classifier says, and whether it is sure of it."""
    assessment = outcome.assessment
    if assessment is None:
        return
    difficulty, sigma, probability, confidence = _figures(assessment)
    detail = (
        f"The query is of difficulty {difficulty} give or take {sigma}, about {assessment.domain} ({probability}); "
        f"the classifier's confidence in this is {confidence}."
    )
    yield Reason(ReasonCode.ASSESSED, assessment.domain, detail)
    if not outcome.is_sure and not outcome.request.force_model:
        least = outcome.table.routing.min_confidence
        detail = f"A confidence of {confidence} is less than {least:g}, so the floor of the class holds."
        yield Reason(ReasonCode.UNSURE, "", detail)


def _steered(outcome: Outcome) -> Iterator[Reason]:
    """Which rule and which experiment hold, and whether a budget runs low."""
    if outcome.rule:
        yield Reason(ReasonCode.RULE, outcome.rule, f"The rule {outcome.rule} holds.")
    if outcome.experiment:
        detail = f"The experiment {outcome.experiment} has it in its arm {outcome.arm}."
        if any(each.shadow for each in outcome.table.routing.experiments if each.name == outcome.experiment):
            there = outcome.shadow_deployment >= 0
            would = outcome.table.deployments[outcome.shadow_deployment].spec.name if there else "nothing"
            detail = f"The arm {outcome.arm} of the experiment {outcome.experiment} would have chosen {would}."
        yield Reason(ReasonCode.EXPERIMENT, outcome.experiment, detail)
    if outcome.budget_factor < 1.0:
        detail = "A budget runs low, so the cheapest is chosen."
        if outcome.cost_quality is not None:
            detail = f"A budget runs low: the dial is turned down from {outcome.full_cost_quality:g} to {outcome.cost_quality:g}."
        yield Reason(ReasonCode.BUDGET_LOW, "", detail)


def _figures(assessment: Assessment) -> tuple[str, str, str, str]:
    """Difficulty, its deviation, probability of the domain, confidence: as sentences show them."""
    return (
        f"{assessment.difficulty:.2f}",
        f"{assessment.sigma:.2f}",
        f"{assessment.domain_probability:.0%}",
        f"{assessment.confidence:.2f}",
    )


def opening_key(outcome: Outcome) -> Hashable | None:
    """What the opening follows from, for who keeps openings; None when a name of the request is in it."""
    request = outcome.request
    if request.agent or request.task_type or request.force_model:
        return None
    chosen = _chosen(outcome)
    if outcome.is_sure:
        looks: Hashable = outcome.strategy, class_floor(outcome)  # nothing is said of the class
    else:
        features = outcome.features
        looks = outcome.base, features.words, features.code, features.planning
    return (
        outcome.figures,
        looks,
        outcome.is_about_governance,
        request.has_image,
        outcome.prefers_vision,
        outcome.floor,
        chosen and chosen.model.tier,
        outcome.rule,
        outcome.arm,
        outcome.shadow_deployment,
        outcome.budget_factor < 1.0 and (outcome.full_cost_quality, outcome.cost_quality),
    )


def struck_key(outcome: Outcome) -> Hashable | None:
    """What the deployments left out and why follow from; None when numbers of the request are in it."""
    return None if outcome.filtered.translate(None, _CONSTANT) else (outcome.filtered, outcome.request.needs)


def closing_key(outcome: Outcome) -> Hashable | None:
    """What the choice's reason follows from."""
    return (
        outcome.deployment,
        outcome.input_tokens,
        outcome.output_tokens,
        outcome.cost_quality,
        outcome.expected_quality,
        outcome.strategy,
        outcome.figure,
    )


def struck(outcome: Outcome) -> Iterator[Reason]:
    """What was left out, and by which filter."""
    for deployment, code in zip(outcome.table.deployments, outcome.filtered, strict=True):
        if code:
            why = why_filtered(outcome, deployment, ReasonCode(code))
            yield Reason(ReasonCode(code), deployment.spec.name, f"{deployment.spec.name} is left out: {why}.")


def closing(outcome: Outcome) -> Iterator[Reason]:
    """What was chosen among the rest, if anything was."""
    chosen = _chosen(outcome)
    if chosen is None:
        return
    price = (
        f"{usd(outcome.estimated_cost_picousd)} for an estimated {outcome.input_tokens} tokens of input "
        f"and {outcome.output_tokens} of output"
    )
    name = chosen.spec.name
    if outcome.strategy == "cheapest":
        yield Reason(ReasonCode.CHEAPEST, name, f"{name} is the cheapest of what is left: {price}.")
    elif outcome.strategy == "cost_quality":
        detail = (
            f"{name} is the best of what is left with the dial at {outcome.cost_quality:g}: "
            f"an expected quality of {outcome.expected_quality:.2f} at {price}."
        )
        yield Reason(ReasonCode.COST_QUALITY, name, detail)
    else:
        figure = find_strategy(outcome.strategy).describe(outcome.figure)
        yield Reason(ReasonCode.STRATEGY, name, f"{name} is chosen by {outcome.strategy}, {figure}: {price}.")


def _chosen(outcome: Outcome) -> Deployment | None:
    return outcome.table.deployments[outcome.deployment] if outcome.deployment >= 0 else None


def why_filtered(outcome: Outcome, deployment: Deployment, code: ReasonCode) -> str:
    """Why a filter struck a deployment, as the end of a sentence."""
    request, model, spec = outcome.request, deployment.model, deployment.spec
    if code in _PLAIN:
        return _PLAIN[code]
    match code:
        case ReasonCode.FILTERED_UNSUPPORTED:
            return f"it cannot {cannot(spec.lacks & request.needs)}"
        case ReasonCode.FILTERED_TIER:
            least, most = tier_bounds(outcome)
            return f"tier {model.tier} is not within {least} to {most}"
        case ReasonCode.FILTERED_COMPLIANCE:
            required = max(request.min_compliance, outcome.table.routing.min_compliance)
            return f"its compliance score {model.compliance:g} is below {required:g}"
        case ReasonCode.FILTERED_CONTEXT:
            return f"{outcome.input_tokens} + {request.max_tokens or 1} tokens do not fit its context of {spec.context_tokens}"
        case ReasonCode.FILTERED_COST:
            cost = estimate_picousd(model, outcome.input_tokens, outcome.output_tokens)
            return f"its estimate of {usd(cost)} exceeds {usd(request.max_cost_picousd)}"
        case ReasonCode.FILTERED_LATENCY:
            return f"its expected latency of {spec.expected_latency_s:g} s exceeds {request.latency_budget_s:g} s"
        case _:
            return _why_not_now(outcome, deployment, code)


def cannot(lacking: int) -> str:
    """What is lacking, as it follows "cannot"."""
    *others, last = (_ABLE[feature] for feature in Feature(lacking))
    return f"{', '.join(others)} or {last}" if others else last


def _why_not_now(outcome: Outcome, deployment: Deployment, code: ReasonCode) -> str:
    """The same for the filters that go by the state of the moment."""
    match code:
        case ReasonCode.FILTERED_BUDGET:
            cost = estimate_picousd(deployment.model, outcome.input_tokens, outcome.output_tokens)
            return f"its estimate of {usd(cost)} is more than a budget has left"
        case ReasonCode.FILTERED_DEADLINE:
            return f"it is not predicted to answer within {outcome.request.deadline_s:g} s"
        case ReasonCode.FILTERED_BREAKER:
            return "its breaker is open"
        case ReasonCode.FILTERED_RATE_LIMIT:
            return "its rate limit is reached"
        case _:
            return "it is unavailable"


def usd(picousd: int) -> str:
    """An amount, as sentences show it."""
    return f"{picousd / 1e12:.9f} USD"

"""All that might have answered, beside what was chosen: worked out when someone asks, from what deciding left behind."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tierway_core.cost import estimate_picousd
from tierway_core.explain import class_floor, why_filtered
from tierway_core.outcome import Outcome
from tierway_core.quality import qualities, utility
from tierway_core.table import Deployment
from tierway_core.types import ReasonCode

__all__ = ["Candidate", "candidates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A deployment, as one decision saw it."""

    deployment: int
    """Its index in `table.deployments`."""
    expected_quality: float | None
    """The probability of a right answer, 0 to 1; None by the rules of the class."""
    cost_picousd: int
    """The estimated cost, at most 2^63 - 1."""
    utility: float | None
    """What that quality is worth at that price: the highest was chosen. None unless the strategy is `cost_quality`."""
    rank: int
    """Its place among those that were left to choose from, 1 for the chosen one; 0: it was out."""
    code: ReasonCode | None
    """Why it was out: the filter that struck it, or COMPLEXITY_FLOOR, TASK_TYPE_FLOOR or PREFER_VISION. None when ranked."""
    detail: str
    """The same in one English sentence; empty when ranked."""


def candidates(outcome: Outcome) -> tuple[Candidate, ...]:
    """One candidate for each deployment, in the order of the table."""
    found = list(_unranked(outcome))
    left = [candidate for candidate in found if candidate.code is None]
    for rank, candidate in enumerate(sorted(left, key=lambda each: _order(outcome, each)), 1):
        found[candidate.deployment] = replace(candidate, rank=rank)
    return tuple(found)


def _unranked(outcome: Outcome) -> Iterator[Candidate]:
    table, assessment = outcome.table, outcome.assessment
    dial = outcome.cost_quality if outcome.strategy == "cost_quality" else None
    calibration = outcome.classifier.calibration if outcome.classifier is not None else None
    expected = None if assessment is None else qualities(table.models, assessment, calibration)
    costs = [estimate_picousd(each.model, outcome.input_tokens, outcome.output_tokens) for each in table.deployments]
    for deployment, cost in zip(table.deployments, costs, strict=True):
        quality = None if expected is None else expected[table.model_index(deployment.model.name)]
        code, detail = _why_out(outcome, deployment)
        yield Candidate(
            deployment=deployment.index,
            expected_quality=quality,
            cost_picousd=cost,
            utility=None if quality is None or dial is None else utility(quality, cost, max(costs), dial),
            rank=0,
            code=code,
            detail=detail,
        )


def _order(outcome: Outcome, candidate: Candidate) -> tuple[bool, float, int, int, int]:
    """The chosen one first: what else it was chosen by may have been of the moment. The others by worth, then by price."""
    tier = outcome.table.deployments[candidate.deployment].model.tier
    worth = 0.0 if candidate.utility is None else -candidate.utility
    return candidate.deployment != outcome.deployment, worth, candidate.cost_picousd, tier, candidate.deployment


def _why_out(outcome: Outcome, deployment: Deployment) -> tuple[ReasonCode | None, str]:
    name, tier = deployment.spec.name, deployment.model.tier
    if outcome.filtered[deployment.index]:
        code = ReasonCode(outcome.filtered[deployment.index])
        return code, f"{name} is left out: {why_filtered(outcome, deployment, code)}."
    chosen_tier = outcome.table.deployments[outcome.deployment].model.tier
    if tier < min(outcome.floor, chosen_tier):
        by_class = outcome.floor == class_floor(outcome)
        code = ReasonCode.COMPLEXITY_FLOOR if by_class else ReasonCode.TASK_TYPE_FLOOR
        return code, f"{name} is of tier {tier}, below the floor of {outcome.floor}."
    if outcome.prefers_vision and not deployment.model.vision:
        return ReasonCode.PREFER_VISION, f"{name} cannot see images, and others that are left can."
    return None, ""

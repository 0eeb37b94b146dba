"""What strikes a deployment, and in which order: a specification, for the twin.

The first filters go by what is configured and asked for; the last five by the state of the moment.
"""

from collections.abc import Callable, Mapping

from tierway_core._state import State
from tierway_core.cost import estimate_picousd
from tierway_core.outcome import Outcome
from tierway_core.prospects import Prospects
from tierway_core.table import Deployment
from tierway_core.types import ReasonCode

__all__ = ["FILTERS", "Filters", "tier_bounds"]

FILTERS = (
    ReasonCode.FILTERED_FORCED_MODEL,
    ReasonCode.FILTERED_TENANT,
    ReasonCode.FILTERED_REGION,
    ReasonCode.FILTERED_VISION,
    ReasonCode.FILTERED_RESPONSE_FORMAT,
    ReasonCode.FILTERED_LOGPROBS,
    ReasonCode.FILTERED_UNSUPPORTED,
    ReasonCode.FILTERED_TIER,
    ReasonCode.FILTERED_COMPLIANCE,
    ReasonCode.FILTERED_CONTEXT,
    ReasonCode.FILTERED_COST,
    ReasonCode.FILTERED_LATENCY,
    ReasonCode.FILTERED_BUDGET,
    ReasonCode.FILTERED_DEADLINE,
    ReasonCode.FILTERED_UNAVAILABLE,
    ReasonCode.FILTERED_BREAKER,
    ReasonCode.FILTERED_RATE_LIMIT,
)
"""The filters in the order in which they strike."""


def tier_bounds(outcome: Outcome) -> tuple[int, int]:
    """The tiers that may answer: by the request, by the rule unless a model is forced, and by a pin, which stands above the rule."""
    request, least, most = outcome.request, outcome.request.min_tier, outcome.request.max_tier
    rule = next((rule for rule in outcome.table.routing.rules if rule.name == outcome.rule), None)
    if rule is not None and not request.force_model:
        least, most = max(least, rule.min_tier), min(most, max(rule.max_tier, outcome.pin))
    return max(least, outcome.pin), most


class Filters:
    """All filters, for one request at one moment."""

    def __init__(self, outcome: Outcome, prospects: Prospects, state: State, now_ns: int) -> None:
        self._outcome = outcome
        self._prospects = prospects
        self._state = state
        self._now_ns = now_ns

    def strike(self, deployment: Deployment) -> ReasonCode | None:
        """The first filter that strikes a deployment."""
        strikes = {**self._by_configuration(deployment), **self._by_state(deployment)}
        return next((code for code in FILTERS if strikes[code]()), None)

    def _by_configuration(self, deployment: Deployment) -> Mapping[ReasonCode, Callable[[], bool]]:
        outcome, request = self._outcome, self._outcome.request
        model, spec = deployment.model, deployment.spec
        tenant = outcome.tenant.spec if outcome.tenant is not None else None
        least, most = tier_bounds(outcome)
        compliance = max(request.min_compliance, outcome.table.routing.min_compliance)
        needed_tokens = outcome.input_tokens + (request.max_tokens or 1)
        return {
            ReasonCode.FILTERED_FORCED_MODEL: lambda: bool(request.force_model) and model.name != request.force_model,
            ReasonCode.FILTERED_TENANT: lambda: (
                tenant is not None
                and not (
                    tenant.min_tier <= model.tier <= tenant.max_tier
                    and (tenant.models is None or model.name in tenant.models)
                )
            ),
            ReasonCode.FILTERED_REGION: lambda: (
                (tenant is not None and tenant.regions is not None and spec.region not in tenant.regions)
                or (bool(request.regions) and spec.region not in request.regions)
            ),
            ReasonCode.FILTERED_VISION: lambda: request.has_image and not model.vision,
            ReasonCode.FILTERED_RESPONSE_FORMAT: lambda: request.needs_response_format and not model.response_format,
            ReasonCode.FILTERED_LOGPROBS: lambda: request.needs_logprobs and not model.logprobs,
            ReasonCode.FILTERED_UNSUPPORTED: lambda: bool(request.needs & spec.lacks),
            ReasonCode.FILTERED_TIER: lambda: not least <= model.tier <= most,
            ReasonCode.FILTERED_COMPLIANCE: lambda: model.compliance < compliance,
            ReasonCode.FILTERED_CONTEXT: lambda: needed_tokens > spec.context_tokens,
            ReasonCode.FILTERED_COST: lambda: 0 <= request.max_cost_picousd < self._cost_picousd(deployment),
            ReasonCode.FILTERED_LATENCY: lambda: spec.expected_latency_s > request.latency_budget_s,
        }

    def _by_state(self, deployment: Deployment) -> Mapping[ReasonCode, Callable[[], bool]]:
        state, now_ns, index = self._state, self._now_ns, deployment.index
        return {
            ReasonCode.FILTERED_BUDGET: lambda: self._cost_picousd(deployment) > self._left_picousd(),
            ReasonCode.FILTERED_DEADLINE: lambda: (
                self._prospects.answer_s(deployment) > self._outcome.request.deadline_s
            ),
            ReasonCode.FILTERED_UNAVAILABLE: lambda: not state.is_available(index),
            ReasonCode.FILTERED_BREAKER: lambda: not state.breaker_allows(index, now_ns),
            ReasonCode.FILTERED_RATE_LIMIT: lambda: any(
                state.wait_ns(limit, now_ns) > 0 for limit in deployment.limits
            ),
        }

    def _cost_picousd(self, deployment: Deployment) -> int:
        return estimate_picousd(deployment.model, self._outcome.input_tokens, self._outcome.output_tokens)

    def _left_picousd(self) -> float:
        """The least that a hard budget has left; infinite without one."""
        table, outcome = self._outcome.table, self._outcome
        hard = [index for index in table.budgets_of(outcome.tenant, outcome.request.agent) if table.budgets[index].hard]
        return min((self._state.remaining_picousd(index, self._now_ns) for index in hard), default=float("inf"))

"""Which strategy chooses, and how the dial stands: rules, experiments and budgets that run low. A specification, for the twin.

1. The first rule whose conditions all hold counts. What only the classifier tells holds only where it is sure.
2. Strategy: the request's, else the rule's, else the table's, else `cost_quality` with the classifier and `cheapest` without.
3. Dial: the request's, else the rule's, else the tenant's, else the table's; but 0 where the classifier is not sure and the request
   states none.
4. The rule's experiment assigns an arm, by the request's sticky key or by chance, unless the request states a strategy. The arm's
   strategy and dial come before those of 2 and 3, but not before what the request states. In a shadow experiment they are told only.
5. Where a budget has less than `low_share` left, the dial is lowered by `budget_factor`, and the strategy is `cost_quality` (`cheapest`
   without the classifier) whatever was stated.
"""

from dataclasses import dataclass, replace

from tierway_core.assessment import Assessment
from tierway_core.chance import Purpose, derive, key_of, mix, unit
from tierway_core.outcome import RequestFields
from tierway_core.policy import ArmSpec, ExperimentSpec, RuleSpec
from tierway_core.specs import RoutingSpec
from tierway_core.table import Table, Tenant
from tierway_core.types import Complexity

__all__ = ["Plan", "arm_of", "budget_factor", "default_strategy", "first_rule", "lowered", "plan_of", "with_arm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to choose."""

    strategy: str
    """Name of the strategy."""
    cost_quality: float
    """The dial; 0 by the rules of the class."""


def first_rule(
    table: Table,
    request: RequestFields,
    tenant: Tenant | None,
    complexity: Complexity,
    sure: Assessment | None,
) -> RuleSpec | None:
    """The rule that holds. `sure` is the assessment where the classifier is sure of it."""

    def holds(rule: RuleSpec) -> bool:
        facts = (
            (rule.tenants, tenant and tenant.spec.name),
            (rule.agents, request.agent),
            (rule.task_types, request.task_type),
            (rule.classes, complexity),
            (rule.domains, sure and sure.domain),
            (rule.labels, sure and sure.label),
        )
        return all(not condition or fact in condition for condition, fact in facts)

    return next((rule for rule in table.routing.rules if holds(rule)), None)


def default_strategy(routing: RoutingSpec) -> str:
    """Of the table."""
    return routing.strategy or _by_money(routing)


def plan_of(
    routing: RoutingSpec, request: RequestFields, rule: RuleSpec | None, tenant: Tenant | None, *, is_sure: bool
) -> Plan:
    """Steps 2 and 3: without experiments, and with all budgets full."""
    dial = routing.cost_quality
    if rule is not None and rule.cost_quality is not None:
        dial = rule.cost_quality
    elif tenant is not None and tenant.spec.cost_quality is not None:
        dial = tenant.spec.cost_quality
    return Plan(
        strategy=request.strategy or (rule.strategy if rule else "") or default_strategy(routing),
        cost_quality=_dial(routing, request, dial, is_sure=is_sure),
    )


def arm_of(experiment: ExperimentSpec, request: RequestFields, draw: int) -> ArmSpec | None:
    """The arm that takes a request; None: it takes no part."""
    if request.strategy:
        return None
    by = mix(key_of(request.sticky_key)) if request.sticky_key else derive(draw, Purpose.ARM)
    place, total = unit(mix(key_of(experiment.name) ^ by)), 0.0
    for arm in experiment.arms:
        total += arm.share
        if place < total:
            return arm
    return None


def with_arm(routing: RoutingSpec, plan: Plan, arm: ArmSpec, request: RequestFields, *, is_sure: bool) -> Plan:
    """The plan of an arm."""
    dial = plan.cost_quality
    if arm.cost_quality is not None:
        dial = _dial(routing, request, arm.cost_quality, is_sure=is_sure)
    return Plan(strategy=arm.strategy or plan.strategy, cost_quality=dial)


def budget_factor(remaining_picousd: int, limit_picousd: int, low_share: float) -> float:
    """What a budget multiplies the dial by: 1 from `low_share` left upwards, then smoothly down to 0 where nothing is left."""
    left = float(max(remaining_picousd, 0)) / float(limit_picousd)
    if left >= low_share:
        return 1.0
    step = left / low_share
    return step * step * (3.0 - 2.0 * step)


def lowered(routing: RoutingSpec, plan: Plan, factor: float) -> Plan:
    """The plan where the budgets' factor is this."""
    if factor >= 1.0:
        return plan
    return replace(plan, strategy=_by_money(routing), cost_quality=plan.cost_quality * factor)


def _by_money(routing: RoutingSpec) -> str:
    return "cost_quality" if routing.classifier else "cheapest"


def _dial(routing: RoutingSpec, request: RequestFields, configured: float, *, is_sure: bool) -> float:
    """What cannot be judged goes to the cheapest at its floor, as by the rules of the class; but who states a dial is obeyed."""
    if not routing.classifier:
        return 0.0
    if request.cost_quality is not None:
        return request.cost_quality
    return configured if is_sure else 0.0

"""What makes limits, budgets, tenants, rules and experiments sound. Raises TableError with the path of the first thing that is wrong."""

import math
from collections.abc import Iterable, Mapping

from tierway_core.checks import check_integer, check_known, check_name, check_number, check_positive
from tierway_core.errors import TableError
from tierway_core.policy import BreakerSpec, BudgetSpec, ExperimentSpec, LimitSpec, RuleSpec, TenantSpec
from tierway_core.specs import INT32_MAX, TIER_MAX, TIER_MIN, RoutingSpec
from tierway_core.strategies import STRATEGIES
from tierway_core.weights import LABELS

__all__ = ["check_breaker", "check_policy", "index_names"]

_NS_MOST_S = 2**30
"""`State` takes spans of up to 2^60 ns: 34 years."""

_PICOUSD_MOST = 2**62
"""Likewise of money: 4.6 million USD."""


def index_names(path: str, names: Iterable[str]) -> dict[str, int]:
    """Maps names to places; none is empty, and none is there twice."""
    indices: dict[str, int] = {}
    for index, name in enumerate(names):
        here = f"{path}[{index}].name"
        check_name(here, name)
        if indices.setdefault(name, index) != index:
            raise TableError(here, f"{name!r} is also the name of {path}[{indices[name]}]")
    return indices


def check_policy(routing: RoutingSpec, models: Mapping[str, int]) -> None:
    """Checks all that `policy` describes, and the names by which one refers to the other."""
    _check_strategy("routing.strategy", routing.strategy, classifier=routing.classifier)
    check_number("routing.prefix_s", routing.prefix_s, float(_NS_MOST_S))
    limits = index_names("routing.limits", (limit.name for limit in routing.limits))
    budgets = index_names("routing.budgets", (budget.name for budget in routing.budgets))
    tenants = index_names("routing.tenants", (tenant.name for tenant in routing.tenants))
    experiments = index_names("routing.experiments", (experiment.name for experiment in routing.experiments))
    index_names("routing.rules", (rule.name for rule in routing.rules))
    for index, limit in enumerate(routing.limits):
        _check_limit(f"routing.limits[{index}]", limit)
    for index, budget in enumerate(routing.budgets):
        _check_budget(f"routing.budgets[{index}]", budget)
    for agent, name in routing.agent_budgets.items():
        check_name("routing.agent_budgets", agent)
        check_known(f"routing.agent_budgets.{agent}", name, budgets, "budget")
    for index, tenant in enumerate(routing.tenants):
        _check_tenant(f"routing.tenants[{index}]", tenant, models, limits, budgets)
    for index, experiment in enumerate(routing.experiments):
        _check_experiment(f"routing.experiments[{index}]", experiment, classifier=routing.classifier)
    for index, rule in enumerate(routing.rules):
        _check_rule(f"routing.rules[{index}]", rule, routing, tenants, experiments)


def check_breaker(path: str, breaker: BreakerSpec) -> None:
    """Checks a breaker by itself."""
    if not 0.0 <= breaker.error_share < 1.0:  # false for NaN
        raise TableError(f"{path}.error_share", f"must be 0 to below 1, not {breaker.error_share:g}")
    check_integer(f"{path}.min_requests", breaker.min_requests, 1, INT32_MAX)
    _check_period(f"{path}.window_s", breaker.window_s)
    _check_period(f"{path}.open_s", breaker.open_s)
    check_integer(f"{path}.probes", breaker.probes, 1, 63)


def _check_limit(path: str, limit: LimitSpec) -> None:
    check_positive(f"{path}.requests", limit.requests)
    _check_period(f"{path}.period_s", limit.period_s)
    check_integer(f"{path}.burst", limit.burst, 1, INT32_MAX)
    if limit.burst * limit.period_s / limit.requests > _NS_MOST_S:
        raise TableError(f"{path}.burst", f"its requests would take more than {_NS_MOST_S} s at the full rate")


def _check_budget(path: str, budget: BudgetSpec) -> None:
    check_integer(f"{path}.limit_picousd", budget.limit_picousd, 1, _PICOUSD_MOST)
    check_number(f"{path}.period_s", budget.period_s, float(_NS_MOST_S))
    check_number(f"{path}.low_share", budget.low_share, 1.0)


def _check_tenant(
    path: str, tenant: TenantSpec, models: Mapping[str, int], limits: Mapping[str, int], budgets: Mapping[str, int]
) -> None:
    _check_tiers(path, tenant.min_tier, tenant.max_tier)
    for name in sorted(tenant.models or ()):
        check_known(f"{path}.models", name, models, "model")
    for name in sorted(tenant.regions or ()):
        check_name(f"{path}.regions", name)
    for place, name in enumerate(tenant.limits):
        check_known(f"{path}.limits[{place}]", name, limits, "limit")
    if len(set(tenant.limits)) < len(tenant.limits):
        raise TableError(f"{path}.limits", "a limit is listed twice")
    if tenant.budget:
        check_known(f"{path}.budget", tenant.budget, budgets, "budget")
    _check_dial(f"{path}.cost_quality", tenant.cost_quality)


def _check_rule(
    path: str, rule: RuleSpec, routing: RoutingSpec, tenants: Mapping[str, int], experiments: Mapping[str, int]
) -> None:
    for name in sorted(rule.tenants):
        check_known(f"{path}.tenants", name, tenants, "tenant")
    for name in sorted(rule.agents):
        check_name(f"{path}.agents", name)
    for name in sorted(rule.task_types):
        check_known(f"{path}.task_types", name, routing.task_types, "task type")
    for name in sorted(rule.labels):
        check_known(f"{path}.labels", name, LABELS, "label")
    for what, names in (("domains", rule.domains), ("labels", rule.labels)):
        if names and not routing.classifier:
            raise TableError(f"{path}.{what}", "only the learned classifier tells them, and it is off")
    _check_strategy(f"{path}.strategy", rule.strategy, classifier=routing.classifier)
    _check_dial(f"{path}.cost_quality", rule.cost_quality)
    _check_tiers(path, rule.min_tier, rule.max_tier)
    if rule.experiment:
        check_known(f"{path}.experiment", rule.experiment, experiments, "experiment")


def _check_experiment(path: str, experiment: ExperimentSpec, *, classifier: bool) -> None:
    if not experiment.arms:
        raise TableError(f"{path}.arms", "at least one arm is needed")
    index_names(f"{path}.arms", (arm.name for arm in experiment.arms))
    for place, arm in enumerate(experiment.arms):
        check_positive(f"{path}.arms[{place}].share", arm.share)
        _check_strategy(f"{path}.arms[{place}].strategy", arm.strategy, classifier=classifier)
        _check_dial(f"{path}.arms[{place}].cost_quality", arm.cost_quality)
    total = math.fsum(arm.share for arm in experiment.arms)
    if total > 1.0:
        raise TableError(f"{path}.arms", f"the shares make {total:g}, more than 1")


def _check_strategy(path: str, name: str, *, classifier: bool) -> None:
    if name:
        check_known(path, name, STRATEGIES, "strategy")
    if name == "cost_quality" and not classifier:
        raise TableError(path, "cost_quality needs the learned classifier, which is off")


def _check_dial(path: str, dial: float | None) -> None:
    if dial is not None:
        check_number(path, dial, 1.0)


def _check_tiers(path: str, min_tier: int, max_tier: int) -> None:
    check_integer(f"{path}.min_tier", min_tier, TIER_MIN, TIER_MAX)
    check_integer(f"{path}.max_tier", max_tier, min_tier, TIER_MAX)


def _check_period(path: str, period_s: float) -> None:
    check_positive(path, period_s)
    check_number(path, period_s, float(_NS_MOST_S))

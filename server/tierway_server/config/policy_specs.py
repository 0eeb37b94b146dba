"""From the sections of the policy to what the core makes of them: a part of `table`."""

from __future__ import annotations

import math

from tierway_core import (
    ArmSpec,
    BreakerSpec,
    BudgetSpec,
    Complexity,
    ExperimentSpec,
    LimitSpec,
    RuleSpec,
    TenantSpec,
)
from tierway_server.config.policy import (
    BreakerConfig,
    BudgetConfig,
    DeploymentBreakerConfig,
    RateLimitConfig,
    TenantConfig,
    picousd,
)
from tierway_server.config.steering import ExperimentConfig, RuleConfig

PROVIDER_LIMITS = "provider:"
"""What the names of these limits begin with, and of no others where they would be the same."""

_AT_ONCE = 1_000_000_000
"""One request a nanosecond, and a second's worth at once: more than there can be."""


def breaker_spec(common: BreakerConfig, own: DeploymentBreakerConfig | None) -> BreakerSpec | None:
    """Return the breaker of a deployment; None where it has none."""
    stated = {} if own is None else own.model_dump(exclude_none=True)
    breaker = common.model_copy(update=stated)
    if not breaker.enabled:
        return None
    return BreakerSpec(
        error_share=breaker.error_share,
        min_requests=breaker.min_requests,
        window_s=breaker.window_s,
        open_s=breaker.open_s,
        probes=breaker.probes,
    )


def limit_spec(name: str, limit: RateLimitConfig) -> LimitSpec:
    """Return a rate limit."""
    burst = math.ceil(limit.requests) if limit.burst is None else limit.burst
    return LimitSpec(name=name, requests=limit.requests, period_s=limit.period_s, burst=burst)


def provider_limit_spec(provider: str) -> LimitSpec:
    """Return the limit that is held while a provider asks to be left alone, and lets everything through otherwise."""
    return LimitSpec(name=provider_limit(provider), requests=1e9, period_s=1.0, burst=_AT_ONCE, provider=provider)


def provider_limit(provider: str) -> str:
    """Return the name of that limit."""
    return PROVIDER_LIMITS + provider


def budget_spec(name: str, budget: BudgetConfig) -> BudgetSpec:
    """Return a budget."""
    return BudgetSpec(
        name=name,
        limit_picousd=picousd(budget.limit_usd),
        period_s=budget.period_s,
        hard=budget.hard,
        low_share=budget.low_share,
    )


def tenant_spec(name: str, tenant: TenantConfig) -> TenantSpec:
    """Return a tenant."""
    return TenantSpec(
        name=name,
        min_tier=tenant.min_tier,
        max_tier=tenant.max_tier,
        models=None if tenant.models is None else frozenset(tenant.models),
        regions=None if tenant.regions is None else frozenset(tenant.regions),
        limits=tenant.limits,
        budget=tenant.budget or "",
        cost_quality=tenant.cost_quality,
    )


def rule_spec(rule: RuleConfig) -> RuleSpec:
    """Return a rule."""
    return RuleSpec(
        name=rule.name,
        tenants=frozenset(rule.tenants),
        agents=frozenset(rule.agents),
        task_types=frozenset(rule.task_types),
        classes=frozenset(Complexity[name.upper()] for name in rule.classes),
        domains=frozenset(rule.domains),
        labels=frozenset(name.upper() for name in rule.labels),
        strategy=rule.strategy or "",
        cost_quality=rule.cost_quality,
        min_tier=rule.min_tier,
        max_tier=rule.max_tier,
        experiment=rule.experiment or "",
    )


def experiment_spec(experiment: ExperimentConfig) -> ExperimentSpec:
    """Return an experiment."""
    return ExperimentSpec(
        name=experiment.name,
        shadow=experiment.shadow,
        arms=tuple(
            ArmSpec(name=arm.name, share=arm.share, strategy=arm.strategy or "", cost_quality=arm.cost_quality)
            for arm in experiment.arms
        ),
    )

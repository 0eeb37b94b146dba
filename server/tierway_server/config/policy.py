"""The sections `limits`, `budgets`, `tenants` and `breaker`: what an operator grants, to whom, and when a deployment is given a rest."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from tierway_server.config.section import Items, Name, Score, Section, Tier

PICOUSD_PER_USD = 10**12

_Period = Annotated[float, Field(gt=0, le=315_360_000)]
"""Seconds, at most ten years."""
_Failing = Annotated[float, Field(ge=0, lt=1)]
"""A share of failures that can be exceeded."""
_Probes = Annotated[int, Field(ge=1, le=63)]
_Requests = Annotated[int, Field(ge=1, le=1_000_000)]


def picousd(usd: float) -> int:
    """Return the same amount in pico-USD.

    Raises:
        ValueError: when it is finer than one pico-USD.
    """
    amount = Decimal(repr(usd)) * PICOUSD_PER_USD
    if amount != amount.to_integral_value():
        raise ValueError("is finer than 1 pico-USD: at most 12 decimal places")
    return int(amount)


def _check_exact(value: float) -> float:
    picousd(value)
    return value


class RateLimitConfig(Section):
    """A rate limit: deployments and tenants draw on it by its name."""

    requests: Annotated[float, Field(gt=0, le=1e9)]
    """Requests a period."""

    period_s: _Period = 60.0
    """The period in seconds."""

    burst: _Requests | None = None
    """Requests that may come at once; further ones are spaced evenly. Default: `requests`, rounded up."""


class BudgetConfig(Section):
    """An amount of money that tenants and agents are paid from, by its name."""

    limit_usd: Annotated[float, Field(gt=0, le=4_000_000), AfterValidator(_check_exact)]
    """What may be spent in a period, in USD."""

    period_s: Annotated[float, Field(ge=0, le=315_360_000)] = 0.0
    """After so many seconds it starts anew; 0: never."""

    hard: bool = True
    """Whether what costs more than is left is refused. A soft budget only turns the dial towards cheap."""

    low_share: Score = 0.2
    """The share left below which the dial is turned towards cheap, more and more, 0 to 1; 0: never."""


class BreakerConfig(Section):
    """When a deployment that fails is given a rest, and how it comes back."""

    enabled: bool = True
    """Whether deployments have circuit breakers."""

    error_share: _Failing = 0.05
    """Share of failures within the window above which it opens, 0 to below 1."""

    min_requests: _Requests = 20
    """It never opens by fewer requests within the window."""

    window_s: _Period = 10.0
    """What counts: the last so many seconds."""

    open_s: _Period = 30.0
    """It rests so many seconds, before probes are let through."""

    probes: _Probes = 3
    """So many probes must succeed to close it again; no more are let through at once."""


class DeploymentBreakerConfig(Section):
    """The same for one deployment; what is left out is as in `breaker`."""

    enabled: bool | None = None
    """Whether this deployment has a circuit breaker."""

    error_share: _Failing | None = None
    """Share of failures within the window above which it opens, 0 to below 1."""

    min_requests: _Requests | None = None
    """It never opens by fewer requests within the window."""

    window_s: _Period | None = None
    """What counts: the last so many seconds."""

    open_s: _Period | None = None
    """It rests so many seconds, before probes are let through."""

    probes: _Probes | None = None
    """So many probes must succeed to close it again; no more are let through at once."""


class TenantConfig(Section):
    """What a tenant may use, by the name that it calls itself; `default` holds for all others."""

    min_tier: Tier = 1
    """Lowest tier that may answer."""

    max_tier: Tier = 5
    """Highest tier that may answer; not below `min_tier`."""

    models: Items[Name] | None = None
    """Models that may answer. Default: all."""

    regions: Items[Name] | None = None
    """Regions whose deployments may answer. Default: all, those without a region included."""

    limits: Items[Name] = ()
    """Rate limits that each of its requests draws on."""

    budget: Name | None = None
    """Budget that its answers are paid from. Default: none."""

    cost_quality: Score | None = None
    """Its dial. Default: that of `routing`."""

    @field_validator("max_tier")
    @classmethod
    def _is_not_below_min_tier(cls, value: int, info: ValidationInfo) -> int:
        return tiers_in_order(value, info)


def tiers_in_order(max_tier: int, info: ValidationInfo) -> int:
    """Return `max_tier`, of a section that has `min_tier` too.

    Raises:
        ValueError: it is below that.
    """
    least = info.data.get("min_tier", max_tier)
    if max_tier < least:
        raise ValueError(f"must be at least min_tier, which is {least}")
    return max_tier

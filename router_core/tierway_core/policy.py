"""What an operator grants and steers by: limits, budgets, breakers, tenants, rules, experiments. Values; `Table` validates them."""

from dataclasses import dataclass

from tierway_core.types import Complexity

__all__ = [
    "DEFAULT_TENANT",
    "ArmSpec",
    "BreakerSpec",
    "BudgetSpec",
    "ExperimentSpec",
    "LimitSpec",
    "RuleSpec",
    "TenantSpec",
]

DEFAULT_TENANT = "default"
"""The tenant that holds for requests of none, or of one that the table does not know, if it has a tenant of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSpec:
    """A rate limit: so many requests a period, and so many at once."""

    name: str
    """Unique among all limits of the table."""
    requests: float
    """Requests a period, above 0."""
    period_s: float
    """The period in seconds, above 0."""
    burst: int = 1
    """Requests that may come at once, at least 1. Default: 1, evenly spaced."""
    provider: str = ""
    """The provider whose own limit it stands for: it lets everything through but while it is held. Empty: what an operator grants."""

    @property
    def increment_ns(self) -> int:
        """Nanoseconds from one request to the next at the full rate, at least 1."""
        return max(1, round(self.period_s * 1e9 / self.requests))

    @property
    def burst_ns(self) -> int:
        """How far the limit may be ahead of the clock, in nanoseconds: what the burst's requests take at the full rate."""
        return self.increment_ns * self.burst


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSpec:
    """An amount of money that may be spent in a period."""

    name: str
    """Unique among all budgets of the table."""
    limit_picousd: int
    """What may be spent, in pico-USD, 1 to 2^62 (4.6 million USD)."""
    period_s: float = 0.0
    """After so many seconds it starts anew; 0: never."""
    hard: bool = True
    """Whether what costs more than is left may not answer. A soft budget only turns the dial down."""
    low_share: float = 0.2
    """The share left below which the dial is turned towards cheap, 0 to 1; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSpec:
    """When a deployment is given a rest, and how it comes back."""

    error_share: float = 0.05
    """The share of failures in the window above which it opens, 0 to below 1."""
    min_requests: int = 20
    """It never opens by fewer requests in the window than these, at least 1."""
    window_s: float = 10.0
    """What counts: the last so many seconds, above 0."""
    open_s: float = 30.0
    """It rests this long, above 0 seconds, before probes are let through."""
    probes: int = 3
    """So many probes must succeed to close it again, 1 to 63; no more are let through at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSpec:
    """What a tenant may use. The request's own limits hold beside these."""

    name: str
    """Unique among all tenants; `DEFAULT_TENANT` holds for all others."""
    min_tier: int = 1
    """The lowest tier that may answer."""
    max_tier: int = 5
    """The highest tier that may answer."""
    models: frozenset[str] | None = None
    """Names of the models that may answer; None: all."""
    regions: frozenset[str] | None = None
    """Regions whose deployments may answer; None: all, those that state none included."""
    limits: tuple[str, ...] = ()
    """Names of the limits that each request draws on."""
    budget: str = ""
    """Name of the budget that its requests are paid from; empty: none."""
    cost_quality: float | None = None
    """Its dial, 0 to 1; None: the table's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """How requests of a kind are steered. The first rule whose conditions all hold counts; an empty condition always holds."""

    name: str
    """Unique among all rules."""
    tenants: frozenset[str] = frozenset()
    """Tenants of the table."""
    agents: frozenset[str] = frozenset()
    """Calling agents."""
    task_types: frozenset[str] = frozenset()
    """Task types of the table."""
    classes: frozenset[Complexity] = frozenset()
    """Classes of the query, VISION included."""
    domains: frozenset[str] = frozenset()
    """Domains of the classifier; hold only where it is sure."""
    labels: frozenset[str] = frozenset()
    """Labels of the classifier (SIMPLE, MEDIUM, COMPLEX, REASONING); hold only where it is sure."""
    strategy: str = ""
    """The strategy that chooses; empty: the table's."""
    cost_quality: float | None = None
    """The dial, 0 to 1; None: the tenant's, else the table's."""
    min_tier: int = 1
    """The lowest tier that may answer. Of no effect where a model is forced."""
    max_tier: int = 5
    """The highest tier that may answer, but a pin stands above it. Of no effect where a model is forced."""
    experiment: str = ""
    """Name of the experiment that takes part of these requests; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSpec:
    """One way to choose that an experiment tries."""

    name: str
    """Unique in the experiment."""
    share: float
    """The share of requests that it takes, above 0; those of all arms make 1 at most. What is left is decided as without."""
    strategy: str = ""
    """The strategy that chooses; empty: the one that holds without the experiment."""
    cost_quality: float | None = None
    """The dial, 0 to 1; None: the one that holds without the experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSpec:
    """Tries ways to choose on a part of the requests. Who states a strategy takes no part."""

    name: str
    """Unique among all experiments."""
    arms: tuple[ArmSpec, ...]
    """What is tried, one arm at least."""
    shadow: bool = False
    """Whether the arm's choice is told and not executed."""

"""What a table is made from: models, the places where they run, and how to route. Values; `Table` validates them.

`policy` has what an operator grants and steers by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tierway_core.policy import BreakerSpec, BudgetSpec, ExperimentSpec, LimitSpec, RuleSpec, TenantSpec
from tierway_core.types import Complexity, Feature

__all__ = [
    "BASE_CLASSES",
    "DEPLOYMENTS_MOST",
    "INT32_MAX",
    "INT64_MAX",
    "REGIONS_MOST",
    "TIER_MAX",
    "TIER_MIN",
    "DeploymentSpec",
    "ModelSpec",
    "RoutingSpec",
]

TIER_MIN = 1
TIER_MAX = 5
INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
DEPLOYMENTS_MOST = 4096
"""A decision works on its stack: there is room for so many."""
REGIONS_MOST = 64
"""A region is a bit in a word; none is one of them."""

BASE_CLASSES = (Complexity.TRIVIAL, Complexity.SIMPLE, Complexity.MODERATE, Complexity.COMPLEX)
"""The classes that set a floor."""

_NOTHING = Feature(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSpec:
    """A place where a model runs."""

    name: str
    """Unique among all deployments of the table."""
    provider: str
    """Who runs it."""
    context_tokens: int
    """The most tokens of prompt and answer together, 1 to 2^31 - 1."""
    expected_latency_s: float
    """The expected time to the first token, at least 0; what is measured takes its place."""
    expected_token_s: float = 0.0
    """The expected time of each further token, at least 0; what is measured takes its place. 0 leaves a guess out: a wrong one
    would refuse what has short deadlines, and so never be measured."""
    region: str = ""
    """Where it runs, as tenants and requests name it; empty: nowhere that could be asked for."""
    weight: float = 1.0
    """Its part of the load among its like, above 0, for the strategies that go by weights."""
    availability: float = 1.0
    """The share of time that it is expected to answer, 0 to 1, for reports."""
    limits: tuple[str, ...] = ()
    """Names of the limits that each of its requests draws on, such as the provider's."""
    breaker: BreakerSpec | None = None
    """When it is given a rest; None: never."""
    lacks: Feature = _NOTHING
    """What it cannot do, whatever its model can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model that may answer."""

    name: str
    """Unique in the table."""
    tier: int
    """1 (nano) to 5 (expert)."""
    compliance: float
    """Compliance score, 0 to 1."""
    vision: bool
    """Whether it can see images."""
    response_format: bool
    """Whether it can enforce a response format."""
    logprobs: bool
    """Whether it can give log-probabilities."""
    input_picousd: int
    """Price of a token of input, 0 to 2^63 - 1."""
    cached_input_picousd: int
    """Price of a token of input that came from a cache, likewise. Estimates take every token for uncached."""
    output_picousd: int
    """Price of a token of output, likewise."""
    fallback: tuple[str, ...]
    """Names of the models that follow when this one fails, in order."""
    deployments: tuple[DeploymentSpec, ...]
    """Where it runs, at least one place."""
    ability: float = 0.0
    """On the scale of difficulty, -10 to 10: it gets half of the prompts right that are as difficult as it is able."""
    ability_by_domain: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The same for prompts of a domain; `ability` holds for domains without. A router with a classifier knows the names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ability_by_domain", MappingProxyType(dict(self.ability_by_domain)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSpec:
    """The rules that hold for all requests."""

    floors: Mapping[Complexity, int]
    """The tier from which each class of `BASE_CLASSES` is served; all four are stated."""
    accurate_tier: int
    """The lowest tier that may answer a critical agent."""
    critical_agents: frozenset[str]
    """Agents that are pinned to the accurate tier."""
    governance_tier: int
    """The lowest tier that may answer a governance query."""
    governance_terms: tuple[str, ...]
    """What makes a governance query: terms of one to four words."""
    task_types: Mapping[str, int]
    """The tier from which each task type is served."""
    expected_output_tokens: Mapping[Complexity, int]
    """Output to expect of each class of `BASE_CLASSES` when a request states no maximum; all four are stated."""
    min_compliance: float
    """The lowest compliance score that may answer anything, 0 to 1."""
    classifier: bool = False
    """Whether the learned classifier decides where it is sure. Default: the rules of the class always do."""
    min_confidence: float = 0.5
    """The confidence from which the classifier is sure, 0 to 1: below it the floors of the class hold."""
    cost_quality: float = 0.5
    """The dial for requests that state none, 0 (the cheapest) to 1 (the best). Of no effect without the classifier."""
    strategy: str = ""
    """The strategy for requests that state none; empty: `cost_quality` with the classifier, `cheapest` without."""
    prefix_s: float = 300.0
    """A deployment is taken to hold a prefix that it was sent within so many seconds, at least 0."""
    limits: tuple[LimitSpec, ...] = ()
    """Rate limits that deployments and tenants draw on."""
    budgets: tuple[BudgetSpec, ...] = ()
    """Budgets that tenants and agents are paid from."""
    agent_budgets: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Name of the budget that an agent's requests are paid from, beside their tenant's."""
    tenants: tuple[TenantSpec, ...] = ()
    """What tenants may use."""
    rules: tuple[RuleSpec, ...] = ()
    """How requests of a kind are steered: the first that matches holds."""
    experiments: tuple[ExperimentSpec, ...] = ()
    """What rules may try on a part of their requests."""

    def __post_init__(self) -> None:
        # Copies behind a read-only view: a mapping that its giver changes later would undo the validation.
        for name in ("floors", "task_types", "expected_output_tokens", "agent_budgets"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

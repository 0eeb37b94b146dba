"""What a server tells of itself: its models, where they run, and what they have done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tierway_client._enums import BreakerState, Priority
from tierway_client._results import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentInfo:
    """A place where a model runs."""

    name: str
    """Its name, unique among all deployments."""

    provider: str
    """Who runs it; `vllm` for an engine in the server's process."""

    available: bool
    """Whether it can answer now."""

    unavailable_reason: str
    """Why it cannot; empty when it can."""

    context_tokens: int
    """The most tokens of prompt and answer together."""

    expected_latency_s: float | None
    """The expected time to the first token, in seconds; None when the server does not say."""

    region: str
    """Where it runs, as `Preferences.regions` names it; empty when the server does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model of the server's configuration."""

    name: str
    """Its name, unique."""

    tier: int
    """Its tier, 1 to 5."""

    compliance_score: float
    """Its compliance score, 0 to 1."""

    vision: bool
    """Whether it can see images."""

    input_usd_per_million_tokens: float
    """USD for a million tokens of input."""

    cached_input_usd_per_million_tokens: float
    """USD for a million tokens of input that came from a cache."""

    output_usd_per_million_tokens: float
    """USD for a million tokens of output."""

    fallback_chain: tuple[str, ...]
    """The models that follow when it fails, in order."""

    deployments: tuple[DeploymentInfo, ...]
    """Where it runs."""

    @property
    def available(self) -> bool:
        """Whether any deployment can answer now."""
        return any(deployment.available for deployment in self.deployments)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStats:
    """What one model has done."""

    model: str
    """The model's name."""

    decisions: int
    """How often it was chosen first."""

    answers: int
    """How often it answered to the end."""

    failures: int
    """How often it failed."""

    usage: Usage
    """Tokens that it read and generated, of tries that failed or were stopped too."""

    cost_usd: float
    """What they cost, in USD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierStats:
    """What the server's learned classifier works with."""

    weights: str
    """The identity of its weights, 16 hexadecimal digits."""

    calibration: str
    """The identity of its calibration, likewise; empty without one."""

    calibration_load_time: datetime | None
    """When that calibration was loaded, in UTC; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStats:
    """How one deployment stands now."""

    deployment: str
    """The deployment's name."""

    breaker: BreakerState
    """Its circuit breaker."""

    breaker_forced: bool
    """Whether an administrator holds the breaker where it is."""

    error_share: float
    """The share of its latest answers that failed, 0 to 1."""

    in_flight: int
    """Answers that it generates now."""

    first_token_s: float
    """Its time to the first token, in seconds, measured; the configured expectation until there is an answer."""

    token_s: float
    """Its time for each further token, likewise."""

    minute_requests: int
    """Requests that it answered within the minute."""

    minute_tokens: int
    """Tokens that it read and generated within the minute."""

    waiting: Mapping[Priority, int]
    """Requests that wait for a place now, by lane, the most urgent first."""

    shed: Mapping[Priority, int]
    """Requests that did not wait, or waited in vain, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStats:
    """How one rate limit stands now."""

    limit: str
    """The limit's name."""

    wait_s: float
    """How long the next request would have to wait, in seconds; 0 when it would pass."""

    refusals: int
    """Requests that it refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStats:
    """How one budget stands, in this period."""

    budget: str
    """The budget's name."""

    limit_usd: float
    """What may be spent, in USD."""

    spent_usd: float
    """What has been spent, in USD."""

    reserved_usd: float
    """What answers under way hold, in USD."""

    remaining_usd: float
    """What is left to reserve, in USD; not below 0."""

    hard: bool
    """Whether requests are refused when nothing is left."""

    refusals: int
    """Requests that it refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStats:
    """How hard answers were to get: what was done beyond asking the first choice once."""

    judged: int
    """Answers that were judged before they were shown."""

    weak: int
    """Those of them that seemed weak."""

    escalated: int
    """Weak ones that were asked again one tier up."""

    forgone: int
    """Weak ones that were shown all the same."""

    escalation_share: float
    """What share of the judged ones were asked again, 0 to 1; 0 while none was judged."""

    weak_alarm: bool
    """Whether more of the latest judged answers were weak than the server's `escalation.alert_share` allows."""

    fallbacks: int
    """Tries that failed before their first token and were followed by one at another deployment."""

    takeovers: int
    """Answers that broke off after their first token, and that another deployment went on with."""

    retries: int
    """Tries that failed, after which the same deployment was asked again."""

    retries_refused: int
    """Retries that were not made because there were too many."""

    hedges: int
    """Deployments that were asked because another was slow to begin."""

    hedges_won: int
    """Those of them that were faster."""

    cache_hits: int
    """Requests that were given a kept answer."""

    cache_shared: int
    """Requests that shared an answer under way."""

    cache_misses: int
    """Requests that would have taken a kept answer, and found none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What the server has done since it started, or since its counts were reset, and how things stand."""

    start_time: datetime
    """When it started, in UTC."""

    models: tuple[ModelStats, ...]
    """Each model that was decided on, by name."""

    decisions_by_tier: Mapping[int, int]
    """How often each tier was chosen; tiers without decisions are left out."""

    errors_by_reason: Mapping[str, int]
    """How often requests failed, by ErrorInfo reason."""

    in_flight: int
    """Answers that are being generated now."""

    classifier: ClassifierStats | None
    """What the learned classifier works with; None where it is turned off."""

    count_start_time: datetime
    """Since when the counts are counted, in UTC."""

    deployments: tuple[DeploymentStats, ...]
    """How each deployment stands, in the configuration's order."""

    limits: tuple[LimitStats, ...]
    """How each rate limit stands, likewise."""

    budgets: tuple[BudgetStats, ...]
    """How each budget stands, likewise."""

    decisions_by_strategy: Mapping[str, int]
    """How often each strategy chose."""

    decisions_by_experiment: Mapping[str, Mapping[str, int]]
    """How many decisions of each experiment fell into each of its arms."""

    answers: AnswerStats
    """How hard answers were to get."""

    constitution_hash: str
    """The constitutional hash under which the server decides."""

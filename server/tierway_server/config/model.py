"""The whole configuration: one immutable value, valid in itself."""

from __future__ import annotations

from collections.abc import Mapping

from tierway_server.config.answering import HedgingConfig, RetriesConfig
from tierway_server.config.cache import CacheConfig
from tierway_server.config.engines import EngineConfig
from tierway_server.config.escalation import EscalationConfig
from tierway_server.config.models import DeploymentConfig, ModelConfig
from tierway_server.config.policy import BreakerConfig, BudgetConfig, RateLimitConfig, TenantConfig
from tierway_server.config.providers import ProviderConfig
from tierway_server.config.queue import QueueConfig
from tierway_server.config.routing import RoutingConfig
from tierway_server.config.section import Items, Name, Section
from tierway_server.config.server import ConstitutionConfig, ServerConfig
from tierway_server.config.shared_state import SharedStateConfig


class Config(Section):
    """Configuration of a Tierway server."""

    # Made by `load` or `parse`, which also check what the sections say about each other.

    include: Items[str] = ()
    """Files to merge below this one, in order, relative to it. Mappings merge key by key, lists of named things by name."""

    server: ServerConfig = ServerConfig()
    """What the process listens on, its deadlines and limits."""

    constitution: ConstitutionConfig = ConstitutionConfig()
    """By which rules decisions are made: their hash."""

    routing: RoutingConfig = RoutingConfig()
    """Floors, pins and estimates by which a request finds its tier."""

    limits: Mapping[Name, RateLimitConfig] = {}
    """Rate limits, by name."""

    budgets: Mapping[Name, BudgetConfig] = {}
    """Budgets, by name."""

    tenants: Mapping[Name, TenantConfig] = {}
    """What tenants may use, by their names."""

    breaker: BreakerConfig = BreakerConfig()
    """When deployments that fail are given a rest."""

    retries: RetriesConfig = RetriesConfig()
    """When a deployment that failed is asked once more."""

    hedging: HedgingConfig = HedgingConfig()
    """When a second deployment is asked besides a slow one."""

    escalation: EscalationConfig = EscalationConfig()
    """When a weak answer is asked again one tier up."""

    cache: CacheConfig = CacheConfig()
    """Whether answers are kept for requests that are the same."""

    queue: QueueConfig = QueueConfig()
    """How requests wait where all places are taken."""

    engines: Mapping[Name, EngineConfig] = {}
    """vLLM engines of this process, by name."""

    providers: Mapping[Name, ProviderConfig] = {}
    """Remote services that run models, by name."""

    models: Items[ModelConfig] = ()
    """Models that may be chosen; at least one."""

    shared_state: SharedStateConfig | None = None
    """What is shared with replicas on other machines. Default: nothing."""

    @property
    def deployments(self) -> tuple[tuple[ModelConfig, DeploymentConfig], ...]:
        """Every deployment with its model, in the order in which the routing table numbers them."""
        return tuple((model, deployment) for model in self.models for deployment in model.deployments)

    @property
    def queue_sizes(self) -> tuple[int, ...]:
        """How many requests may wait in front of each deployment, in the same order; those on one engine wait together."""
        return tuple(
            self.queue.size if deployment.engine is None else self.engines[deployment.engine].waiting
            for _, deployment in self.deployments
        )

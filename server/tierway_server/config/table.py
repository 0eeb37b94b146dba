"""Turns a configuration into the table that the core decides on.

Beside the modules of the policy and `classifier`, the one place of this package that knows the core.
"""

from __future__ import annotations

import re

from tierway_core import Complexity, DeploymentSpec, Feature, ModelSpec, RoutingSpec, Table, TableError
from tierway_core.diversity import Chain, Source, diversity
from tierway_server.config.engines import EngineConfig
from tierway_server.config.model import Config
from tierway_server.config.models import ENGINE_PROVIDER, DeploymentConfig, ModelConfig
from tierway_server.config.policy_specs import (
    breaker_spec,
    budget_spec,
    experiment_spec,
    limit_spec,
    provider_limit,
    provider_limit_spec,
    rule_spec,
    tenant_spec,
)
from tierway_server.config.price import picousd_per_token
from tierway_server.config.problems import ConfigError, Problem, path_of
from tierway_server.config.provider_kinds import PREFILL
from tierway_server.config.routing import ExpectedOutputConfig, FloorsConfig

_ABILITY = {1: -1.5, 2: 0.0, 3: 1.0, 4: 1.8, 5: 2.4}
_EXPECTED_LATENCY_S = {1: 0.05, 2: 0.1, 3: 0.2, 4: 0.6, 5: 0.9}

# Where the core names a thing otherwise than the file does.
_FILE_PATHS = (
    (re.compile(r"\.cached_input_picousd\b"), ".price_usd_per_million_tokens.cached_input"),
    (re.compile(r"\.(input|output)_picousd\b"), r".price_usd_per_million_tokens.\1"),
    (re.compile(r"\bgovernance_(tier|terms)\b"), r"governance.\1"),
    (re.compile(r"\brouting\.min_confidence\b"), "routing.classifier.min_confidence"),
)
_BY_NAME = re.compile(r"routing\.(limits|budgets|tenants)\[([0-9]+)\](?=\.|$)")
"""What is a list for the core, and a mapping by name in the file."""


def build_table(config: Config) -> Table:
    """Return the routing table of `config`; its deployments are in the order of ``config.deployments``.

    Raises:
        ConfigError: for what only the table can tell, such as a fallback chain that comes back to where it was.
    """
    try:
        return Table([_model(config, model) for model in config.models], _routing(config))
    except TableError as error:
        raise ConfigError([Problem(path=_file_path(config, error.path), message=error.message)]) from error


def chains(config: Config) -> tuple[Chain, ...]:
    """Return how much the chain of each model of `config` depends on whom.

    Raises:
        ConfigError: as `build_table`.
    """
    return diversity(
        build_table(config), [_source(config, each) for model in config.models for each in model.deployments]
    )


def _source(config: Config, deployment: DeploymentConfig) -> Source:
    if deployment.provider is not None:
        return Source(name=deployment.provider, availability=config.providers[deployment.provider].availability)
    assert deployment.engine is not None
    return Source(
        name=f"{ENGINE_PROVIDER}:{deployment.engine}", availability=config.engines[deployment.engine].availability
    )


def _model(config: Config, model: ModelConfig) -> ModelSpec:
    price = model.price_usd_per_million_tokens
    return ModelSpec(
        name=model.name,
        tier=model.tier,
        compliance=model.compliance,
        ability=_ABILITY[model.tier] if model.ability is None else model.ability,
        ability_by_domain=dict(model.ability_by_domain),
        vision=model.vision,
        response_format=model.response_format,
        logprobs=model.logprobs,
        input_picousd=picousd_per_token(price.input),
        cached_input_picousd=picousd_per_token(price.input if price.cached_input is None else price.cached_input),
        output_picousd=picousd_per_token(price.output),
        fallback=model.fallback,
        deployments=tuple(_deployment(config, model, deployment) for deployment in model.deployments),
    )


def _deployment(config: Config, model: ModelConfig, deployment: DeploymentConfig) -> DeploymentSpec:
    context_tokens = deployment.context_tokens or model.context_tokens
    if deployment.engine is not None:
        context_tokens = min(context_tokens, config.engines[deployment.engine].context_tokens)
    return DeploymentSpec(
        name=deployment.name,
        provider=deployment.provider or ENGINE_PROVIDER,
        context_tokens=context_tokens,
        expected_latency_s=deployment.expected_latency_s or _EXPECTED_LATENCY_S[model.tier],
        expected_token_s=deployment.expected_token_s,
        region=deployment.region or "",
        weight=deployment.weight,
        availability=deployment.availability,
        limits=deployment.limits + (() if deployment.provider is None else (provider_limit(deployment.provider),)),
        breaker=breaker_spec(config.breaker, deployment.breaker),
        lacks=_lacks(config, deployment),
    )


def _lacks(config: Config, deployment: DeploymentConfig) -> Feature:
    if deployment.provider is None:
        assert deployment.engine is not None
        return engine_lacks(config.engines[deployment.engine])
    lacks = Feature(0)
    for name in deployment.lacked_at(config.providers[deployment.provider]) - {PREFILL}:
        lacks |= Feature[name.upper()]
    return lacks


def engine_lacks(engine: EngineConfig) -> Feature:
    """What an engine of this process cannot do: it reads text only, and calls functions only by a parser."""
    lacks = Feature.IMAGE_DATA | Feature.IMAGE_URI
    return lacks if engine.tool_parser else lacks | Feature.TOOLS | Feature.TOOL_CHOICE | Feature.PARALLEL_TOOLS


def _routing(config: Config) -> RoutingSpec:
    routing = config.routing
    return RoutingSpec(
        floors=_by_complexity(routing.floors),
        accurate_tier=routing.accurate_tier,
        critical_agents=frozenset(routing.critical_agents),
        governance_tier=routing.governance.tier,
        governance_terms=routing.governance.terms,
        task_types=dict(routing.task_types),
        expected_output_tokens=_by_complexity(routing.expected_output_tokens),
        min_compliance=routing.min_compliance,
        classifier=routing.classifier.enabled,
        min_confidence=routing.classifier.min_confidence,
        cost_quality=routing.cost_quality,
        strategy=routing.strategy or "",
        prefix_s=routing.prefix_s,
        limits=(
            *(limit_spec(name, limit) for name, limit in config.limits.items()),
            *map(provider_limit_spec, config.providers),
        ),
        budgets=tuple(budget_spec(name, budget) for name, budget in config.budgets.items()),
        agent_budgets=dict(routing.agent_budgets),
        tenants=tuple(tenant_spec(name, tenant) for name, tenant in config.tenants.items()),
        rules=tuple(map(rule_spec, routing.rules)),
        experiments=tuple(map(experiment_spec, routing.experiments)),
    )


def _by_complexity(section: FloorsConfig | ExpectedOutputConfig) -> dict[Complexity, int]:
    return {
        Complexity.TRIVIAL: section.trivial,
        Complexity.SIMPLE: section.simple,
        Complexity.MODERATE: section.moderate,
        Complexity.COMPLEX: section.complex,
    }


def _file_path(config: Config, table_path: str) -> str:
    if listed := _BY_NAME.match(table_path):
        section, place = listed.groups()
        name = list(getattr(config, section))[int(place)]
        return path_of((section, name)) + table_path[listed.end() :]
    for pattern, replacement in _FILE_PATHS:
        table_path = pattern.sub(replacement, table_path)
    return table_path

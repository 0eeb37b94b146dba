"""The section `models`: who answers, where, and at which price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tierway_server.config.policy import DeploymentBreakerConfig
from tierway_server.config.price import PriceConfig
from tierway_server.config.provider_kinds import LACKS, FeatureName
from tierway_server.config.providers import ProviderConfig, check_features, check_parameters
from tierway_server.config.section import NAME_PATTERN, Items, Name, Score, Seconds, Section, Tier

ENGINE_PROVIDER = "vllm"
"""The provider that deployments on an engine of this process are listed under."""

UNNAMED = "unnamed"
"""What a deployment is called while its model, engine or provider has no proper name to call it after."""

_Ability = Annotated[float, Field(ge=-10, le=10)]
_Context = Annotated[int, Field(ge=16, le=16_777_216)]


class DeploymentConfig(Section):
    """A place where a model runs: an engine of this process, or a remote provider."""

    name: Name
    """Unique among all deployments. Default: `<model>@<engine or provider>`."""

    engine: Name | None = None
    """The engine that runs it. Either this or `provider`."""

    provider: Name | None = None
    """The provider that runs it. Either this or `engine`."""

    model: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """What the provider calls the model. Required with `provider`, refused with `engine`."""

    context_tokens: _Context | None = None
    """Most tokens of prompt and answer together here. Default: the model's, and no more than the engine's."""

    expected_latency_s: Seconds | None = None
    """Expected time to the first token, in seconds, until it is measured. Default, by tier: 0.05, 0.1, 0.2, 0.6, 0.9."""

    expected_token_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """Expected time of each further token, in seconds, until it is measured. 0 holds no deadline against it."""

    region: Name | None = None
    """Where it runs, as tenants and requests name it. Default: nowhere that could be asked for."""

    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Its part of the load among its like, for the strategies that go by weights."""

    availability: Score = 1.0
    """Expected share of the time that it answers while its engine or provider does, 0 to 1: for `tierway config report`."""

    limits: Items[Name] = ()
    """Rate limits that each of its requests draws on, such as the provider's."""

    breaker: DeploymentBreakerConfig | None = None
    """What differs from the section `breaker`."""

    lacks: Items[FeatureName] = ()
    """What this model cannot do there beyond what the provider cannot: requests that need it go elsewhere. With `provider` only."""

    can: Items[FeatureName] = ()
    """What it can do there although the provider cannot. With `provider` only."""

    parameters: Mapping[str, Any] = {}
    """Added to each request, such as `reasoning_effort: low`; what is null is left out of it. With `provider` only."""

    def lacked_at(self, provider: ProviderConfig) -> frozenset[FeatureName]:
        """What it cannot do, running at `provider`: the kind's word, then the provider's, then its own."""
        at_provider = (LACKS[provider.kind] | set(provider.lacks)) - set(provider.can)
        return frozenset((at_provider | set(self.lacks)) - set(self.can))

    @field_validator("can")
    @classmethod
    def _contradict_nothing(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return check_features(value, info)

    @field_validator("parameters")
    @classmethod
    def _are_parameters(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        return check_parameters(value)

    @model_validator(mode="after")
    def _runs_somewhere(self) -> DeploymentConfig:
        if (self.engine is None) == (self.provider is None):
            raise ValueError('must have exactly one of "engine" and "provider"')
        if self.provider is not None and self.model is None:
            raise ValueError('must state "model", what the provider calls it')
        if self.engine is not None and self.model is not None:
            raise ValueError('must have no "model": an engine has only its own')
        if self.engine is not None and (self.lacks or self.can or self.parameters):
            raise ValueError('must have none of "lacks", "can" and "parameters": they are for providers')
        return self


class ModelConfig(Section):
    """A model that may be chosen."""

    name: Name
    """Unique among all models."""

    tier: Tier
    """1 (nano) to 5 (expert)."""

    context_tokens: _Context
    """Most tokens of prompt and answer together."""

    compliance: Score
    """Compliance score, 0 to 1."""

    ability: _Ability | None = None
    """How able it is, on the scale of difficulty, -10 to 10: it answers half of the queries well that are as difficult as it is able.
    Default, by tier: -1.5, 0, 1, 1.8, 2.4."""

    ability_by_domain: Mapping[str, _Ability] = {}
    """How able it is in some domains, by their names; elsewhere `ability` holds."""

    vision: bool = False
    """Whether it can see images."""

    response_format: bool = True
    """Whether it can be held to a JSON schema."""

    logprobs: bool = True
    """Whether it gives log-probabilities."""

    price_usd_per_million_tokens: PriceConfig
    """What it costs."""

    fallback: Items[Name] = ()
    """Models that follow when it fails, in order, each with its own `fallback` behind it. Chains have no cycle."""

    deployments: Annotated[Items[DeploymentConfig], Field(min_length=1)]
    """Where it runs; at least one."""

    @model_validator(mode="before")
    @classmethod
    def _name_deployments(cls, data: object) -> object:
        """Fill in the names that deployments are left without, so that each has one from here on."""
        if not isinstance(data, Mapping) or not isinstance(data.get("deployments"), list):
            return data
        return {**data, "deployments": [_named(each, data.get("name")) for each in data["deployments"]]}


def default_deployment_name(model: object, deployment: Mapping[str, object]) -> str:
    """Return ``<model>@<engine or provider>``; `UNNAMED` while these are not right, which is reported where they stand."""
    name = f"{model}@{deployment.get('engine') or deployment.get('provider') or '?'}"
    return name if re.fullmatch(NAME_PATTERN, name) else UNNAMED


def _named(deployment: object, model: object) -> object:
    if not isinstance(deployment, Mapping) or "name" in deployment:
        return deployment
    return {"name": default_deployment_name(model, deployment), **deployment}

"""What makes models and rules sound. Every function raises TableError with the path of the first thing that is wrong."""

import math
from collections.abc import Collection, Iterator, Mapping

from tierway_core.checks import check_integer, check_known, check_name, check_number, check_positive
from tierway_core.errors import TableError
from tierway_core.policy_validation import check_breaker
from tierway_core.specs import (
    BASE_CLASSES,
    DEPLOYMENTS_MOST,
    INT32_MAX,
    INT64_MAX,
    REGIONS_MOST,
    TIER_MAX,
    TIER_MIN,
    DeploymentSpec,
    ModelSpec,
    RoutingSpec,
)
from tierway_core.terms import build_terms, parse_term
from tierway_core.types import Complexity
from tierway_core.vocabulary import Category, Term

__all__ = ["check_model", "check_routing", "check_size", "index_models"]

_ABILITY_MOST = 10.0
"""Abilities of real models are within 5 of zero."""


def index_models(models: tuple[ModelSpec, ...]) -> dict[str, int]:
    """Maps names to places; there is at least one model, and no name twice."""
    if not models:
        raise TableError("models", "at least one model is needed")
    indices: dict[str, int] = {}
    for index, model in enumerate(models):
        check_name(f"models[{index}].name", model.name)
        if indices.setdefault(model.name, index) != index:
            raise TableError(
                f"models[{index}].name", f"{model.name!r} is also the name of models[{indices[model.name]}]"
            )
    return indices


def check_size(models: tuple[ModelSpec, ...]) -> None:
    """Checks that all models together are not more than a decision can hold."""
    deployments = [deployment for model in models for deployment in model.deployments]
    if len(deployments) > DEPLOYMENTS_MOST:
        raise TableError("models", f"{len(deployments)} deployments are more than {DEPLOYMENTS_MOST}")
    regions = {deployment.region for deployment in deployments}
    if len(regions) > REGIONS_MOST:
        raise TableError("models", f"{len(regions)} regions are more than {REGIONS_MOST}, none counted as one")


def check_model(path: str, model: ModelSpec, deployment_names: set[str], limits: Collection[str]) -> None:
    """Checks a model by itself, its deployments' names against `deployment_names`, which they join, and the names of limits."""
    check_integer(f"{path}.tier", model.tier, TIER_MIN, TIER_MAX)
    check_number(f"{path}.compliance", model.compliance, 1.0)
    check_integer(f"{path}.input_picousd", model.input_picousd, 0, INT64_MAX)
    check_integer(f"{path}.cached_input_picousd", model.cached_input_picousd, 0, INT64_MAX)
    check_integer(f"{path}.output_picousd", model.output_picousd, 0, INT64_MAX)
    _check_ability(f"{path}.ability", model.ability)
    for name, ability in model.ability_by_domain.items():
        check_name(f"{path}.ability_by_domain", name)
        _check_ability(f"{path}.ability_by_domain.{name}", ability)
    if not model.deployments:
        raise TableError(f"{path}.deployments", "at least one deployment is needed")
    for place, spec in enumerate(model.deployments):
        here = f"{path}.deployments[{place}]"
        check_name(f"{here}.name", spec.name)
        if spec.name in deployment_names:
            raise TableError(f"{here}.name", f"{spec.name!r} is the name of another deployment")
        deployment_names.add(spec.name)
        check_integer(f"{here}.context_tokens", spec.context_tokens, 1, INT32_MAX)
        check_number(f"{here}.expected_latency_s", spec.expected_latency_s, math.inf)
        _check_load(here, spec, limits)


def _check_load(path: str, spec: DeploymentSpec, limits: Collection[str]) -> None:
    """Checks what says how much a deployment can take."""
    check_number(f"{path}.expected_token_s", spec.expected_token_s, math.inf)
    check_positive(f"{path}.weight", spec.weight)
    check_number(f"{path}.availability", spec.availability, 1.0)
    for place, name in enumerate(spec.limits):
        check_known(f"{path}.limits[{place}]", name, limits, "limit")
    if len(set(spec.limits)) < len(spec.limits):
        raise TableError(f"{path}.limits", "a limit is listed twice")
    if spec.breaker is not None:
        check_breaker(f"{path}.breaker", spec.breaker)


def check_routing(routing: RoutingSpec) -> Mapping[Term, Category]:
    """Checks the rules; returns the vocabulary that they complete."""
    _check_classes("routing.floors", routing.floors, TIER_MAX)
    _check_classes("routing.expected_output_tokens", routing.expected_output_tokens, INT64_MAX)
    check_integer("routing.accurate_tier", routing.accurate_tier, TIER_MIN, TIER_MAX)
    check_integer("routing.governance_tier", routing.governance_tier, TIER_MIN, TIER_MAX)
    check_number("routing.min_compliance", routing.min_compliance, 1.0)
    check_number("routing.min_confidence", routing.min_confidence, 1.0)
    check_number("routing.cost_quality", routing.cost_quality, 1.0)
    for agent in sorted(routing.critical_agents):
        check_name("routing.critical_agents", agent)
    for name, tier in routing.task_types.items():
        check_name("routing.task_types", name)
        check_integer(f"routing.task_types.{name}", tier, TIER_MIN, TIER_MAX)
    for place, text in enumerate(routing.governance_terms):
        try:
            parse_term(text)
        except ValueError as error:
            raise TableError(f"routing.governance_terms[{place}]", str(error)) from None
    return build_terms(routing.governance_terms)


def _check_classes(path: str, values: Mapping[Complexity, int], most: int) -> None:
    for name, value in _by_class(path, values):
        check_integer(name, value, 1, most)


def _by_class(path: str, values: Mapping[Complexity, int]) -> Iterator[tuple[str, int]]:
    for complexity in BASE_CLASSES:
        if complexity not in values:
            raise TableError(f"{path}.{complexity.name.lower()}", "is missing")
        yield f"{path}.{complexity.name.lower()}", values[complexity]
    for key in values:
        if key not in BASE_CLASSES:
            raise TableError(f"{path}.{Complexity(key).name.lower()}", "is not a class that is counted here")


def _check_ability(path: str, value: float) -> None:
    if not -_ABILITY_MOST <= value <= _ABILITY_MOST:  # false for NaN
        raise TableError(path, f"must be {-_ABILITY_MOST:g} to {_ABILITY_MOST:g}, not {value:g}")

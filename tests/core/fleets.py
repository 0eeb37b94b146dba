"""Small fleets to decide on: every value can be stated, and none has to be."""

from collections.abc import Mapping, Sequence
from typing import Any

from tierway_core import Complexity, DeploymentSpec, ModelSpec, RoutingSpec, State, Table

BY_CLASS = {Complexity.TRIVIAL: 1, Complexity.SIMPLE: 2, Complexity.MODERATE: 3, Complexity.COMPLEX: 4}


def make_deployment(name: str, **changes: Any) -> DeploymentSpec:
    values: dict[str, Any] = {"name": name, "provider": "somewhere", "context_tokens": 8192, "expected_latency_s": 0.1}
    return DeploymentSpec(**values | changes)


def make_model(
    name: str, tier: int, price_picousd: int = 1000, *, places: Sequence[str] = ("x",), **changes: Any
) -> ModelSpec:
    values: dict[str, Any] = {
        "name": name,
        "tier": tier,
        "compliance": 0.9,
        "vision": False,
        "response_format": True,
        "logprobs": True,
        "input_picousd": price_picousd,
        "cached_input_picousd": price_picousd,
        "output_picousd": price_picousd,
        "fallback": (),
        "deployments": tuple(make_deployment(f"{name}@{place}") for place in places),
    }
    return ModelSpec(**values | changes)


def make_routing(**changes: Any) -> RoutingSpec:
    values: dict[str, Any] = {
        "floors": BY_CLASS,
        "accurate_tier": 4,
        "critical_agents": frozenset({"security_agent"}),
        "governance_tier": 5,
        "governance_terms": ("constitution", "constitutional ai"),
        "task_types": {"legal": 4},
        "expected_output_tokens": {complexity: 100 * floor for complexity, floor in BY_CLASS.items()},
        "min_compliance": 0.0,
    }
    return RoutingSpec(**values | changes)


def make_table(*models: ModelSpec, **routing: Any) -> Table:
    return Table(models, make_routing(**routing))


def make_state(table: Table, *, unavailable: Sequence[int] = (), in_flight: Mapping[int, int] | None = None) -> State:
    state = State(len(table.deployments))
    for deployment in table.deployments:
        state.set_available(deployment.index, deployment.index not in unavailable)
    for index, requests in (in_flight or {}).items():
        for _ in range(requests):
            state.begin(index)
    return state


def five_tiers() -> list[ModelSpec]:
    """One model a tier, dearer by tier; tiers 4 and 5 see."""
    return [make_model(f"t{tier}", tier, 1000 * tier, vision=tier >= 4) for tier in range(1, 6)]

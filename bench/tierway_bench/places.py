"""One model that answers in many places: every request goes to it, and a strategy chooses among nothing but the places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tierway_core import BudgetSpec, Complexity, DeploymentSpec, LimitSpec, ModelSpec, RoutingSpec, Table

_PICOUSD = 1_000
_OUTPUT_TOKENS = 100


def table_of(
    places: Iterable[DeploymentSpec], *, limits: Sequence[LimitSpec] = (), budgets: Sequence[BudgetSpec] = ()
) -> Table:
    """A table of one model, served in these places, which all cost the same; limits and budgets bind nobody."""
    classes = (Complexity.TRIVIAL, Complexity.SIMPLE, Complexity.MODERATE, Complexity.COMPLEX)
    model = ModelSpec(
        name="model",
        tier=1,
        compliance=1.0,
        vision=False,
        response_format=True,
        logprobs=True,
        input_picousd=_PICOUSD,
        cached_input_picousd=_PICOUSD,
        output_picousd=_PICOUSD,
        fallback=(),
        deployments=tuple(places),
    )
    routing = RoutingSpec(
        floors=dict.fromkeys(classes, 1),
        accurate_tier=1,
        critical_agents=frozenset(),
        governance_tier=1,
        governance_terms=(),
        task_types={},
        expected_output_tokens=dict.fromkeys(classes, _OUTPUT_TOKENS),
        min_compliance=0.0,
        limits=tuple(limits),
        budgets=tuple(budgets),
    )
    return Table([model], routing)

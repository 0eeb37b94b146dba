"""How much a model's chain depends on whom: providers, their entropy, single points of failure, expected availability.

A chain is a model with all that follows it. It answers as long as one of its deployments does. Whatever takes a deployment down
is its source: a provider, or an engine of this process. Sources fail independently of each other; the deployments of one source
share its fate, and beside it each may fail for itself (`DeploymentSpec.availability`). So the chain is expected to be up for

    1 - product over its sources of (1 - source * (1 - product over its deployments there of (1 - deployment)))

That this process itself is up is taken for granted: while it is down, nobody asks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, prod

from tierway_core.table import Table

__all__ = ["MONTH_MINUTES", "Chain", "Source", "diversity"]

MONTH_MINUTES = 30 * 24 * 60
"""A month, for downtime: 30 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What deployments share the fate of."""

    name: str
    """Unique among the sources."""
    availability: float
    """The expected share of the time that it answers, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A model with all that follows it, as one who has to rely on it sees it."""

    model: str
    """The model that comes first."""
    models: tuple[str, ...]
    """All of its models, in the order in which they are tried."""
    providers: tuple[tuple[str, int], ...]
    """Who runs them, by first appearance, and on how many deployments."""
    entropy_bits: float
    """Entropy of the providers' shares of the deployments: 0 with one provider, 1 with two of equal shares, 2 with four."""
    single_points: tuple[str, ...]
    """Sources and providers without which nothing is left, by first appearance."""
    availability: float
    """The expected share of the time that something of it answers, 0 to 1."""

    @property
    def downtime_minutes(self) -> float:
        """The expected minutes a month in which nothing of it answers."""
        return (1.0 - self.availability) * MONTH_MINUTES


def diversity(table: Table, sources: Sequence[Source]) -> tuple[Chain, ...]:
    """The chain of each model, in the order of the table.

    Args:
        table: models, deployments and who follows whom.
        sources: what each deployment depends on, by its index; equal ones are one.
    """
    return tuple(_chain(table, sources, model.name) for model in table.models)


def _chain(table: Table, sources: Sequence[Source], model: str) -> Chain:
    models = (model, *table.chain(model))
    indices = [index for name in models for index in table.deployments_of(name)]
    providers = Counter(table.deployments[index].spec.provider for index in indices)
    depended_on: dict[
        Source, float
    ] = {}  # with the share of the time in which each of its deployments is down by itself
    for index in indices:
        own = 1.0 - table.deployments[index].spec.availability
        depended_on[sources[index]] = depended_on.get(sources[index], 1.0) * own
    alone = [source.name for source in depended_on] if len(depended_on) == 1 else []
    alone += list(providers) if len(providers) == 1 else []
    return Chain(
        model=model,
        models=models,
        providers=tuple(providers.items()),
        entropy_bits=-sum(count / len(indices) * log2(count / len(indices)) for count in providers.values()) + 0.0,
        single_points=tuple(dict.fromkeys(alone)),
        availability=1.0 - prod(1.0 - source.availability * (1.0 - own) for source, own in depended_on.items()),
    )

"""The table that decisions read: models and where they run, in order, with their fallback chains and the rules of routing.

Building a `Table` validates everything, so that deciding need not. All values are immutable; sharing between threads is safe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierway_core.chain import follow, reject_cycles
from tierway_core.errors import TableError, UnknownModelError
from tierway_core.specs import DeploymentSpec, ModelSpec, RoutingSpec
from tierway_core.validation import check_model, check_routing, index_models
from tierway_core.vocabulary import Category, Term

__all__ = ["Deployment", "DeploymentSpec", "ModelSpec", "RoutingSpec", "Table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment of the table, in its place."""

    index: int
    """Its place in `Table.deployments` and in `State`."""
    model: ModelSpec
    """The model that it runs."""
    spec: DeploymentSpec
    """The rest."""


class Table:
    """Models and rules, validated and immutable.

    Raises:
        TableError: the first thing that is wrong, with its path.
    """

    __slots__ = ("_chains", "_deployments", "_indices", "_models", "_places", "_routing", "_terms")

    def __init__(self, models: Sequence[ModelSpec], routing: RoutingSpec) -> None:
        self._models = tuple(models)
        self._indices = index_models(self._models)
        deployment_names: set[str] = set()
        for index, model in enumerate(self._models):
            check_model(f"models[{index}]", model, deployment_names)
        self._chains = self._follow_fallbacks()
        self._terms = check_routing(routing)
        self._routing = routing
        rows = [(model, spec) for model in self._models for spec in model.deployments]
        self._deployments = tuple(
            Deployment(index=index, model=model, spec=spec) for index, (model, spec) in enumerate(rows)
        )
        self._places = tuple(tuple(d.index for d in self._deployments if d.model is model) for model in self._models)

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The models, as given."""
        return self._models

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """All deployments: those of the first model, then those of the second, and so on."""
        return self._deployments

    @property
    def routing(self) -> RoutingSpec:
        """The rules, as given."""
        return self._routing

    @property
    def terms(self) -> Mapping[Term, Category]:
        """The vocabulary: the built-in terms and the governance terms."""
        return self._terms

    def model_index(self, name: str) -> int:
        """The place of a model in `models`.

        Raises:
            UnknownModelError: there is none of this name.
        """
        try:
            return self._indices[name]
        except KeyError:
            raise UnknownModelError(name) from None

    def deployments_of(self, model_name: str) -> tuple[int, ...]:
        """Indices of the deployments of a model, in order.

        Raises:
            UnknownModelError: there is none of this name.
        """
        return self._places[self.model_index(model_name)]

    def chain(self, model_name: str) -> tuple[str, ...]:
        """The models that follow when this one fails: its fallbacks and theirs, depth first, each once, without itself.

        Raises:
            UnknownModelError: there is none of this name.
        """
        return self._chains[self.model_index(model_name)]

    def _follow_fallbacks(self) -> tuple[tuple[str, ...], ...]:
        for index, model in enumerate(self._models):
            for place, name in enumerate(model.fallback):
                path = f"models[{index}].fallback[{place}]"
                if name not in self._indices:
                    raise TableError(path, f"there is no model {name!r}")
                if name in model.fallback[:place]:
                    raise TableError(path, f"{name!r} is listed twice")
        edges = [[self._indices[name] for name in model.fallback] for model in self._models]
        reject_cycles(edges, [model.name for model in self._models])
        return tuple(tuple(self._models[index].name for index in follow(edges, start)) for start in range(len(edges)))

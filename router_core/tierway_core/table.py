"""The table that decisions read: models and where they run, in order, with their fallback chains and the rules of routing.

Building a `Table` validates everything, so that deciding need not. All values are immutable; sharing between threads is safe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierway_core.chain import follow, reject_cycles
from tierway_core.errors import TableError, UnknownModelError
from tierway_core.policy import DEFAULT_TENANT, BudgetSpec, LimitSpec, TenantSpec
from tierway_core.policy_validation import check_policy
from tierway_core.specs import DeploymentSpec, ModelSpec, RoutingSpec
from tierway_core.validation import check_model, check_routing, check_size, index_models
from tierway_core.vocabulary import Category, Term

__all__ = ["Deployment", "DeploymentSpec", "ModelSpec", "RoutingSpec", "Table", "Tenant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment of the table, in its place."""

    index: int
    """Its place in `Table.deployments` and in `State`."""
    model: ModelSpec
    """The model that it runs."""
    spec: DeploymentSpec
    """The rest."""
    limits: tuple[int, ...] = ()
    """The places of its limits in `Table.limits` and in `State`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant of the table, in its place."""

    index: int
    """Its place in `Table.tenants`."""
    spec: TenantSpec
    """What it may use."""
    limits: tuple[int, ...]
    """The places of its limits in `Table.limits` and in `State`."""
    budget: int
    """The place of its budget in `Table.budgets` and in `State`; below 0: none."""


class Table:
    """Models and rules, validated and immutable.

    Raises:
        TableError: the first thing that is wrong, with its path.
    """

    __slots__ = (
        "_budget_of_agent",
        "_chains",
        "_deployments",
        "_indices",
        "_models",
        "_places",
        "_routing",
        "_tenant_of_name",
        "_tenants",
        "_terms",
    )

    def __init__(self, models: Sequence[ModelSpec], routing: RoutingSpec) -> None:
        self._models = tuple(models)
        self._indices = index_models(self._models)
        limits = {limit.name: index for index, limit in enumerate(routing.limits)}
        deployment_names: set[str] = set()
        for index, model in enumerate(self._models):
            check_model(f"models[{index}]", model, deployment_names, limits)
        check_size(self._models)
        self._chains = self._follow_fallbacks()
        self._terms = check_routing(routing)
        check_policy(routing, self._indices)
        self._routing = routing
        rows = [(model, spec) for model in self._models for spec in model.deployments]
        self._deployments = tuple(
            Deployment(index=index, model=model, spec=spec, limits=tuple(limits[name] for name in spec.limits))
            for index, (model, spec) in enumerate(rows)
        )
        self._places = tuple(tuple(d.index for d in self._deployments if d.model is model) for model in self._models)
        budgets = {budget.name: index for index, budget in enumerate(routing.budgets)}
        self._budget_of_agent = {agent: budgets[name] for agent, name in routing.agent_budgets.items()}
        self._tenants = tuple(
            Tenant(
                index=index,
                spec=spec,
                limits=tuple(limits[name] for name in spec.limits),
                budget=budgets[spec.budget] if spec.budget else -1,
            )
            for index, spec in enumerate(routing.tenants)
        )
        self._tenant_of_name = {tenant.spec.name: tenant for tenant in self._tenants}

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
    def limits(self) -> tuple[LimitSpec, ...]:
        """The rate limits, in the order in which `State` has them."""
        return self._routing.limits

    @property
    def budgets(self) -> tuple[BudgetSpec, ...]:
        """The budgets, in the order in which `State` has them."""
        return self._routing.budgets

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """The tenants, as given, in their places."""
        return self._tenants

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

    def tenant(self, name: str) -> Tenant | None:
        """The tenant of this name, else the default one; None when there is neither: nothing is restricted."""
        return self._tenant_of_name.get(name) or self._tenant_of_name.get(DEFAULT_TENANT)

    def budgets_of(self, tenant: Tenant | None, agent: str) -> tuple[int, ...]:
        """Places of the budgets that a request is paid from: its tenant's, then its agent's, each once."""
        found = (-1 if tenant is None else tenant.budget, self._budget_of_agent.get(agent, -1))
        return tuple(dict.fromkeys(index for index in found if index >= 0))

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

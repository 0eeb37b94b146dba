"""What limits, budgets, tenants, rules and experiments say about each other: the part of `crosscheck` that looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tierway_core.strategies import STRATEGIES
from tierway_server.config.problems import Location, quoted
from tierway_server.config.suggest import did_you_mean

Finding = tuple[Location, str]


def check_names(document: Mapping[str, object]) -> Iterator[Finding]:
    """Yield where a name of `document` is that of nothing, or is listed twice."""
    routing = mapping(document.get("routing"))
    limits, budgets, tenants = (mapping(document.get(section)) for section in ("limits", "budgets", "tenants"))
    models = [model.get("name") for _, model in mappings(document.get("models"))]
    experiments = [experiment.get("name") for _, experiment in mappings(routing.get("experiments"))]
    for index, model in mappings(document.get("models")):
        for place, deployment in mappings(model.get("deployments")):
            here: Location = ("models", index, "deployments", place, "limits")
            yield from _listed(here, deployment.get("limits"), limits, "limit")
    for name, tenant in tenants.items():
        at = mapping(tenant)
        yield from _listed(("tenants", name, "limits"), at.get("limits"), limits, "limit")
        yield from _listed(("tenants", name, "models"), at.get("models"), models, "model")
        yield from _named(("tenants", name, "budget"), at.get("budget"), budgets, "budget")
    for agent, budget in mapping(routing.get("agent_budgets")).items():
        yield from _named(("routing", "agent_budgets", agent), budget, budgets, "budget")
    for index, rule in mappings(routing.get("rules")):
        rule_at: Location = ("routing", "rules", index)
        yield from _listed((*rule_at, "tenants"), rule.get("tenants"), tenants, "tenant")
        yield from _listed(
            (*rule_at, "task_types"), rule.get("task_types"), mapping(routing.get("task_types")), "task type"
        )
        yield from _named((*rule_at, "experiment"), rule.get("experiment"), experiments, "experiment")
        yield from _named((*rule_at, "strategy"), rule.get("strategy"), STRATEGIES, "strategy")
    yield from _named(("routing", "strategy"), routing.get("strategy"), STRATEGIES, "strategy")
    for index, experiment in mappings(routing.get("experiments")):
        for place, arm in mappings(experiment.get("arms")):
            arm_at = ("routing", "experiments", index, "arms", place, "strategy")
            yield from _named(arm_at, arm.get("strategy"), STRATEGIES, "strategy")


def _listed(location: Location, names: object, known: Iterable[object], what: str) -> Iterator[Finding]:
    if not isinstance(names, list):
        return
    for index, name in enumerate(names):
        yield from _named((*location, index), name, known, what)
        if isinstance(name, str) and name in names[:index]:
            yield (*location, index), f"{quoted(name)} is listed twice"


def _named(location: Location, name: object, known: Iterable[object], what: str) -> Iterator[Finding]:
    names = [each for each in known if isinstance(each, str)]
    if isinstance(name, str) and name not in names:
        yield location, f"unknown {what} {quoted(name)}{did_you_mean(name, names)}"


def mapping(value: object) -> Mapping[str, object]:
    """Return `value` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[tuple[int, Mapping[str, object]]]:
    """Return the mappings of a list, with their places."""
    return [
        (index, item)
        for index, item in enumerate(value if isinstance(value, list) else ())
        if isinstance(item, Mapping)
    ]

"""Whether a table, a state and a classifier belong together."""

from tierway_core._classifier import Classifier
from tierway_core._state import State
from tierway_core.errors import TableError
from tierway_core.quality import check_domains
from tierway_core.table import Table

__all__ = ["check_fit"]


def check_fit(table: Table, state: State, classifier: Classifier | None) -> None:
    """Checks what a router is made of.

    Raises:
        ValueError: the state is for other numbers of deployments, limits or budgets; a classifier is wanted, and none is given.
        TableError: a model's ability, or a rule, is for a domain that the classifier does not know.
        CalibrationError: the calibration's ability is.
    """
    for what, in_state, in_table in (
        ("deployments", state.deployments, len(table.deployments)),
        ("limits", state.limits, len(table.limits)),
        ("budgets", state.budgets, len(table.budgets)),
    ):
        if in_state != in_table:
            raise ValueError(f"the state has {in_state} {what}, the table has {in_table}")
    if not table.routing.classifier:
        return
    if classifier is None:
        raise ValueError("the table's rules want a classifier, and none is given")
    domains = classifier.weights.domains
    check_domains(table.models, domains, classifier.calibration)
    for index, rule in enumerate(table.routing.rules):
        for name in sorted(rule.domains):
            if name not in domains:
                known = ", ".join(domains)
                raise TableError(f"routing.rules[{index}].domains", f"the weights know no {name!r} (known: {known})")

"""The decision: which deployment answers a query, and why. Pure, synchronous, microseconds.

    table = Table(models, routing)                  # validated, immutable
    state = State(len(table.deployments))           # what is available, what is in flight
    router = Router(table, state)
    decision = router.decide(Request("What is 2 + 2?"))

No I/O, no clock, no randomness; the standard library only. `reference` is the pure-Python twin and the specification.
"""

from tierway_core._features import Lexicon, estimate_tokens, extract
from tierway_core._select import Decision, Request, Router
from tierway_core._state import State
from tierway_core.errors import (
    CoreError,
    InvalidTextError,
    TableError,
    UnknownModelError,
    UnknownTaskTypeError,
    UnroutableError,
)
from tierway_core.specs import DeploymentSpec, ModelSpec, RoutingSpec
from tierway_core.table import Deployment, Table
from tierway_core.types import Complexity, Features, Reason, ReasonCode, UnroutableKind

__all__ = [
    "Complexity",
    "CoreError",
    "Decision",
    "Deployment",
    "DeploymentSpec",
    "Features",
    "InvalidTextError",
    "Lexicon",
    "ModelSpec",
    "Reason",
    "ReasonCode",
    "Request",
    "Router",
    "RoutingSpec",
    "State",
    "Table",
    "TableError",
    "UnknownModelError",
    "UnknownTaskTypeError",
    "UnroutableError",
    "UnroutableKind",
    "estimate_tokens",
    "extract",
]

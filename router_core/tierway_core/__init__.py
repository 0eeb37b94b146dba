"""The decision: which deployment answers a query, and why. Pure, synchronous, microseconds.

    table = Table(models, routing)                  # validated, immutable
    state = State(len(table.deployments))           # what is available, what is in flight
    classifier = Classifier(Weights.default())      # learned: how difficult a text is; if the rules want it
    router = Router(table, state, classifier)
    decision = router.decide(Request("What is 2 + 2?"))

No I/O but reading weights and calibrations where asked to, no clock, no randomness; the standard library only. `reference` and
`assessment` are the pure-Python twins and the specification.
"""

from tierway_core._classifier import Classifier
from tierway_core._decision import Decision
from tierway_core._features import Lexicon, estimate_tokens, extract
from tierway_core._prefixes import Prefixes
from tierway_core._request import Request
from tierway_core._select import Router
from tierway_core._sharing import Sharing
from tierway_core._state import NEVER_NS, State
from tierway_core.assessment import Assessment, assess
from tierway_core.candidates import Candidate
from tierway_core.contributions import Contribution, contributions
from tierway_core.errors import (
    CalibrationError,
    CoreError,
    InvalidTextError,
    NoClassifierError,
    TableError,
    UnknownModelError,
    UnknownStrategyError,
    UnknownTaskTypeError,
    UnroutableError,
    WeightsError,
)
from tierway_core.policy import ArmSpec, BreakerSpec, BudgetSpec, ExperimentSpec, LimitSpec, RuleSpec, TenantSpec
from tierway_core.specs import DeploymentSpec, ModelSpec, RoutingSpec
from tierway_core.strategies import STRATEGIES
from tierway_core.table import Deployment, Table, Tenant
from tierway_core.types import Breaker, Complexity, Feature, Features, Reason, ReasonCode, Recovery, UnroutableKind
from tierway_core.weights import Weights

__all__ = [
    "NEVER_NS",
    "STRATEGIES",
    "ArmSpec",
    "Assessment",
    "Breaker",
    "BreakerSpec",
    "BudgetSpec",
    "CalibrationError",
    "Candidate",
    "Classifier",
    "Complexity",
    "Contribution",
    "CoreError",
    "Decision",
    "Deployment",
    "DeploymentSpec",
    "ExperimentSpec",
    "Feature",
    "Features",
    "InvalidTextError",
    "Lexicon",
    "LimitSpec",
    "ModelSpec",
    "NoClassifierError",
    "Prefixes",
    "Reason",
    "ReasonCode",
    "Recovery",
    "Request",
    "Router",
    "RoutingSpec",
    "RuleSpec",
    "Sharing",
    "State",
    "Table",
    "TableError",
    "Tenant",
    "TenantSpec",
    "UnknownModelError",
    "UnknownStrategyError",
    "UnknownTaskTypeError",
    "UnroutableError",
    "UnroutableKind",
    "Weights",
    "WeightsError",
    "assess",
    "contributions",
    "estimate_tokens",
    "extract",
]

"""A decision of the pure-Python twin: what `Decision` tells, read off what the twin found. The specification of `_decision.pyx`."""

from dataclasses import dataclass

from tierway_core._classifier import Classifier
from tierway_core.assessment import Assessment
from tierway_core.candidates import Candidate, candidates
from tierway_core.explain import explain
from tierway_core.outcome import RequestFields
from tierway_core.specs import ModelSpec
from tierway_core.table import Table, Tenant
from tierway_core.types import Complexity, Features, Reason

__all__ = ["ReferenceDecision"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceDecision:
    """A decision of the twin; the same attributes as `Decision`, which documents them."""

    table: Table
    request: RequestFields
    features: Features
    base: Complexity
    complexity: Complexity
    floor: int
    pin: int
    input_tokens: int
    output_tokens: int
    filtered: bytes
    strategy: str = ""
    figure: float = 0.0
    tenant: Tenant | None = None
    rule: str = ""
    experiment: str = ""
    arm: str = ""
    shadow_deployment: int = -1
    full_cost_quality: float | None = None
    budget_factor: float = 1.0
    classifier: Classifier | None = None
    assessment: Assessment | None = None
    is_sure: bool = False
    cost_quality: float | None = None
    expected_quality: float | None = None
    prefers_vision: bool = False
    deployment: int = -1
    estimated_cost_picousd: int = 0

    @property
    def model(self) -> ModelSpec:
        return self.table.deployments[self.deployment].model

    @property
    def tier(self) -> int:
        return self.model.tier

    @property
    def is_about_governance(self) -> bool:
        return self.features.governance

    @property
    def figures(self) -> tuple[float, ...] | None:
        found = self.assessment
        if found is None or self.classifier is None:
            return None
        domain = float(self.classifier.weights.domains.index(found.domain))
        return found.difficulty, found.sigma, domain, found.domain_probability, found.confidence

    @property
    def confidence(self) -> float | None:
        return None if self.assessment is None else self.assessment.confidence

    @property
    def difficulty(self) -> float | None:
        return None if self.assessment is None else self.assessment.difficulty

    @property
    def domain(self) -> str:
        return "" if self.assessment is None else self.assessment.domain

    @property
    def label(self) -> str:
        return "" if self.assessment is None else self.assessment.label

    @property
    def budgets(self) -> tuple[int, ...]:
        return self.table.budgets_of(self.tenant, self.request.agent)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return candidates(self)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return explain(self)

    @property
    def fallback(self) -> tuple[int, ...]:
        if not self.request.allow_fallback:
            return ()
        names = (self.model.name, *self.table.chain(self.model.name))
        return tuple(
            deployment.index
            for name in names
            for deployment in self.table.deployments
            if deployment.model.name == name
            and not self.filtered[deployment.index]
            and deployment.index != self.deployment
        )

    @property
    def fallback_models(self) -> tuple[str, ...]:
        names = dict.fromkeys(self.table.deployments[index].model.name for index in self.fallback)
        names.pop(self.model.name, None)
        return tuple(names)

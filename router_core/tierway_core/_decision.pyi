from typing import final

from tierway_core._classifier import Classifier
from tierway_core._request import Request
from tierway_core.assessment import Assessment
from tierway_core.candidates import Candidate
from tierway_core.specs import ModelSpec
from tierway_core.table import Table, Tenant
from tierway_core.types import Complexity, Features, Reason

@final
class Decision:
    @property
    def table(self) -> Table:
        """The table that was decided by."""
    @property
    def request(self) -> Request:
        """The request that was decided."""
    @property
    def deployment(self) -> int:
        """Index of the chosen deployment in `table.deployments`."""
    @property
    def model(self) -> ModelSpec:
        """The chosen model."""
    @property
    def tier(self) -> int:
        """The tier of the chosen model."""
    @property
    def base(self) -> Complexity:
        """The class that set the floor: TRIVIAL to COMPLEX."""
    @property
    def complexity(self) -> Complexity:
        """The class of the query: `base`, or VISION."""
    @property
    def floor(self) -> int:
        """The tier from which the query was to be served; 1 when a model is forced. The chosen tier may be below it."""
    @property
    def pin(self) -> int:
        """The lowest tier that a pin allows; 1 without one, or when a model is forced."""
    @property
    def prefers_vision(self) -> bool:
        """Whether models without vision were passed over because the text speaks of images."""
    @property
    def estimated_cost_picousd(self) -> int:
        """The estimated cost in pico-USD, at most 2^63 - 1."""
    @property
    def input_tokens(self) -> int:
        """Estimated tokens of input, `extra_input_tokens` included."""
    @property
    def output_tokens(self) -> int:
        """Tokens of output that the estimate takes: the stated maximum, or the table's expectation."""
    @property
    def features(self) -> Features:
        """What was found in the text."""
    @property
    def classifier(self) -> Classifier | None:
        """The classifier that was asked; None when the rules of the class decided."""
    @property
    def assessment(self) -> Assessment | None:
        """What the classifier says of the text; None by the rules of the class. Made when first read."""
    @property
    def figures(self) -> tuple[float, ...] | None:
        """The numbers that the assessment's reason shows, for who keeps sentences: difficulty, sigma, number of the domain,
        its probability, confidence. None by the rules of the class.
        """
    @property
    def is_about_governance(self) -> bool:
        """Whether the text speaks of governance."""
    @property
    def confidence(self) -> float | None:
        """How far the assessment is to be trusted, 0 to 1; None by the rules of the class."""
    @property
    def difficulty(self) -> float | None:
        """How difficult the text is, for who needs no whole `assessment`; None by the rules of the class."""
    @property
    def domain(self) -> str:
        """What the text is about, likewise; empty by the rules of the class."""
    @property
    def label(self) -> str:
        """The most probable label, likewise; empty by the rules of the class."""
    @property
    def is_sure(self) -> bool:
        """Whether the confidence is enough for the floor of the class not to hold."""
    @property
    def cost_quality(self) -> float | None:
        """The dial that held, lowered where a budget runs low; None by the rules of the class.

        The request's, else that of the experiment's arm, the rule, the tenant or the table.
        """
    @property
    def full_cost_quality(self) -> float | None:
        """The dial before it was lowered, `cost_quality` where it was not; None by the rules of the class."""
    @property
    def budget_factor(self) -> float:
        """What the dial was multiplied by because a budget runs low, 0 to 1; 1: none does."""
    @property
    def strategy(self) -> str:
        """The strategy that chose."""
    @property
    def figure(self) -> float:
        """What the strategy chose by, of the chosen deployment; its module says what that is."""
    @property
    def tenant(self) -> Tenant | None:
        """The tenant of the request, or the default one; None: nothing is restricted."""
    @property
    def budgets(self) -> tuple[int, ...]:
        """Places of the budgets that the request is paid from, in `table.budgets`. Made when read."""
    @property
    def rule(self) -> str:
        """Name of the rule that held; empty: none."""
    @property
    def experiment(self) -> str:
        """Name of the experiment that took the request; empty: none."""
    @property
    def arm(self) -> str:
        """Name of the experiment's arm; empty: none."""
    @property
    def shadow_deployment(self) -> int:
        """Index of what the arm of a shadow experiment would have chosen; below 0: there is no such arm, or it found nothing."""
    @property
    def expected_quality(self) -> float | None:
        """The probability that the chosen model's answer is right, 0 to 1; None by the rules of the class."""
    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What each deployment would have been worth, or why it was out, in the order of the table. Made when read."""
    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it came out so, in the order in which it was found. Made when read."""
    @property
    def filtered(self) -> bytes:
        """For each deployment, 0 or the `ReasonCode` of the filter that struck it."""
    @property
    def fallback(self) -> tuple[int, ...]:
        """Indices of the deployments that may follow, in order; nothing that a filter struck. Made when read."""
    @property
    def fallback_models(self) -> tuple[str, ...]:
        """Names of the models of `fallback`, each once, without the chosen one. Made when read."""

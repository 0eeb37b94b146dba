"""The contract's enums, with the contract's numbers.

They are open: a newer server may send a number that this version has no name for. It becomes a member named `UNKNOWN_<number>` that
compares equal to its number, instead of an error.
"""

import enum
from typing import Self


class OpenEnum(enum.IntEnum):
    """An enum of the contract that keeps numbers it does not know."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        # Not registered in the class: a member exists because somebody named it, not because a server once sent it.
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether this version of the client has a name for the number."""
        return self.value in type(self)._value2member_map_


class Role(OpenEnum):
    """Who speaks in a message."""

    UNSPECIFIED = 0
    """Not stated; refused."""
    SYSTEM = 1
    """The application's instructions."""
    USER = 2
    """The person, or the calling program."""
    ASSISTANT = 3
    """An earlier answer of the model."""
    TOOL = 4
    """The result of a function that the model called."""


class ToolMode(OpenEnum):
    """How free a model is to call functions."""

    UNSPECIFIED = 0
    """Not stated; refused."""
    AUTO = 1
    """The model decides."""
    NONE = 2
    """It calls none."""
    REQUIRED = 3
    """It calls at least one."""


class Priority(OpenEnum):
    """How urgent a request is among those that wait."""

    UNSPECIFIED = 0
    """Not stated."""
    INTERACTIVE = 1
    """A person waits for it."""
    NORMAL = 2
    """Neither."""
    BATCH = 3
    """Nobody waits for it: it is shed first."""


class Complexity(OpenEnum):
    """How demanding a query looks."""

    UNSPECIFIED = 0
    """Not classified."""
    TRIVIAL = 1
    """Under 10 words, no code, no planning."""
    SIMPLE = 2
    """10 to 50 words, no code, no planning."""
    MODERATE = 3
    """51 to 200 words, or code without planning, or planning without code."""
    COMPLEX = 4
    """Over 200 words, or code with planning."""
    VISION = 5
    """Has an image part, or speaks of one."""


class BreakerSetting(OpenEnum):
    """What an operator does with a circuit breaker."""

    UNSPECIFIED = 0
    """Not stated."""
    AUTOMATIC = 1
    """The automaton decides again, and begins closed."""
    CLOSED = 2
    """Held closed: requests pass, whatever fails."""
    OPEN = 3
    """Held open: no request passes."""


class BreakerState(OpenEnum):
    """The circuit breaker of a deployment."""

    UNSPECIFIED = 0
    """Not stated."""
    CLOSED = 1
    """Requests pass."""
    OPEN = 2
    """It failed too often: nothing passes until its time is over."""
    HALF_OPEN = 3
    """A few requests pass, to see whether it has recovered."""


class Label(OpenEnum):
    """What kind of query it is, in the words of those who compare routers."""

    UNSPECIFIED = 0
    """Not labelled."""
    SIMPLE = 1
    """Asks for a fact, a greeting, a short rewrite."""
    MEDIUM = 2
    """Asks for an explanation, a summary, a little code."""
    COMPLEX = 3
    """Asks for a design, several requirements at once, a larger program."""
    REASONING = 4
    """Asks for a proof, a derivation, a chain of steps."""


class FeatureKind(OpenEnum):
    """Kinds of features that the learned classifier reads."""

    UNSPECIFIED = 0
    """Not stated."""
    COUNTER = 1
    """A count over the whole text, such as its words, digits or lines."""
    WORD = 2
    """A word."""
    PAIR = 3
    """Two words in a row."""
    CHARACTERS = 4
    """Three to five characters in a row."""


class ReasonCode(OpenEnum):
    """What happened in a decision. Treat one that is not known by the reason's `detail`."""

    UNSPECIFIED = 0
    """Not stated."""
    COMPLEXITY_FLOOR = 1
    """The complexity class set the floor tier."""
    TASK_TYPE_FLOOR = 2
    """The task type raised the floor tier."""
    PIN_AGENT = 3
    """A critical agent is pinned to the accurate tier."""
    PIN_GOVERNANCE = 4
    """A governance query is pinned to the governance tier."""
    PIN_VISION = 5
    """An image part restricts the candidates to models with vision."""
    FORCED_MODEL = 6
    """The caller forced the model."""
    PREFER_VISION = 7
    """The query speaks of images, so a model with vision is preferred."""
    FLOOR_DEGRADED = 8
    """Nothing qualified at or above the floor: the best tier below it is used."""
    CHEAPEST = 9
    """Cheapest estimate among what was left."""
    FILTERED_UNAVAILABLE = 10
    """Left out: the deployment is unavailable now."""
    FILTERED_TIER = 11
    """Left out: its tier is outside what the caller allows, or below a pin."""
    FILTERED_CONTEXT = 12
    """Left out: the query does not fit its context."""
    FILTERED_VISION = 13
    """Left out: it cannot see images."""
    FILTERED_RESPONSE_FORMAT = 14
    """Left out: it cannot enforce the response format."""
    FILTERED_COMPLIANCE = 15
    """Left out: its compliance score is too low."""
    FILTERED_COST = 16
    """Left out: its estimated cost exceeds the ceiling."""
    FILTERED_LATENCY = 17
    """Left out: its expected time to first token exceeds the budget."""
    FILTERED_FORCED_MODEL = 18
    """Left out: the caller forced another model."""
    FILTERED_LOGPROBS = 19
    """Left out: it cannot give log-probabilities."""
    ASSESSED = 20
    """What the learned classifier says of the query: difficulty, domain, confidence."""
    UNSURE = 21
    """The learned classifier is not sure enough: the complexity class sets the floor."""
    COST_QUALITY = 22
    """The best of expected quality against cost, as the dial weighs them, among what was left."""
    FILTERED_TENANT = 23
    """Left out: the tenant may not use its model or its tier."""
    FILTERED_REGION = 24
    """Left out: its region is not among those that may answer."""
    FILTERED_BREAKER = 25
    """Left out: it fails too often now."""
    FILTERED_RATE_LIMIT = 26
    """Left out: a rate limit that it draws on has no room now."""
    FILTERED_BUDGET = 27
    """Left out: its estimated cost exceeds what a hard budget has left."""
    FILTERED_DEADLINE = 28
    """Left out: it is expected to take longer than the call's time."""
    RULE = 29
    """A rule of the configuration holds for the request."""
    EXPERIMENT = 30
    """The request takes part in an experiment."""
    STRATEGY = 31
    """What the strategy chose by, among what was left."""
    BUDGET_LOW = 32
    """A budget runs low, so the dial was turned down."""
    FILTERED_UNSUPPORTED = 33
    """Left out: it cannot do something that the request asks for, such as calling functions or `top_k`."""


class FinishReason(OpenEnum):
    """Why an answer ended."""

    UNSPECIFIED = 0
    """Not stated."""
    STOP = 1
    """The model was done, or a stop text came up."""
    LENGTH = 2
    """`max_tokens`, the context or the cost ceiling was reached."""
    CONTENT_FILTER = 3
    """The provider withheld the rest."""
    TOOL_CALLS = 4
    """The model called functions, and waits for their results."""


class AttemptOutcome(OpenEnum):
    """How a try at an answer ended."""

    UNSPECIFIED = 0
    """Not stated."""
    ANSWERED = 1
    """It answered."""
    FELL_BACK = 2
    """It failed before its first token, and it or the next of the chain was tried."""
    BROKE_OFF = 3
    """It failed after its first token, and the next of the chain went on where it broke off."""
    ESCALATED = 4
    """Its answer seemed weak, and was asked again one tier up."""
    OUTRUN = 5
    """Another that was asked at the same time was faster."""

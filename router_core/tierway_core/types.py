"""The values that the core speaks: complexity classes, reasons, what was found in a text."""

from dataclasses import dataclass
from enum import STRICT, IntEnum, IntFlag, StrEnum
from typing import NamedTuple

__all__ = ["Breaker", "Complexity", "Feature", "Features", "Reason", "ReasonCode", "Recovery", "UnroutableKind"]


class Complexity(IntEnum):
    """How demanding a query looks. The numbers are those of the contract's `Complexity`."""

    TRIVIAL = 1
    """Under 10 words, no code, no planning."""
    SIMPLE = 2
    """10 to 50 words, no code, no planning."""
    MODERATE = 3
    """51 to 200 words, or code without planning, or planning without code."""
    COMPLEX = 4
    """Over 200 words, or code with planning."""
    VISION = 5
    """Has an image, or speaks of one. Says nothing of difficulty: the floor comes from the class beneath."""


class ReasonCode(IntEnum):
    """What happened in a decision. Names and numbers are those of the contract's `ReasonCode`."""

    COMPLEXITY_FLOOR = 1
    TASK_TYPE_FLOOR = 2
    PIN_AGENT = 3
    PIN_GOVERNANCE = 4
    PIN_VISION = 5
    FORCED_MODEL = 6
    PREFER_VISION = 7
    FLOOR_DEGRADED = 8
    CHEAPEST = 9
    FILTERED_UNAVAILABLE = 10
    FILTERED_TIER = 11
    FILTERED_CONTEXT = 12
    FILTERED_VISION = 13
    FILTERED_RESPONSE_FORMAT = 14
    FILTERED_COMPLIANCE = 15
    FILTERED_COST = 16
    FILTERED_LATENCY = 17
    FILTERED_FORCED_MODEL = 18
    FILTERED_LOGPROBS = 19
    ASSESSED = 20
    UNSURE = 21
    COST_QUALITY = 22
    FILTERED_TENANT = 23
    FILTERED_REGION = 24
    FILTERED_BREAKER = 25
    FILTERED_RATE_LIMIT = 26
    FILTERED_BUDGET = 27
    FILTERED_DEADLINE = 28
    RULE = 29
    EXPERIMENT = 30
    STRATEGY = 31
    BUDGET_LOW = 32
    FILTERED_UNSUPPORTED = 33


class Reason(NamedTuple):
    """One step of the explanation of a decision."""

    code: ReasonCode
    """What happened."""
    subject: str
    """What it is about: a deployment, a model, an agent, a task type; empty when the code says it all."""
    detail: str
    """The same for a person, in one English sentence."""


class Feature(IntFlag, boundary=STRICT):
    """What a request can need of whoever answers it, and a deployment can lack."""

    TOOLS = 1
    """Functions to call, or their calls and results in the conversation."""
    TOOL_CHOICE = 2
    """To be told that it must call a function, or which one."""
    PARALLEL_TOOLS = 4
    """To be told whether several functions may be called in one turn."""
    IMAGE_DATA = 8
    """Images that come with the request."""
    IMAGE_URI = 16
    """Images by their address."""
    JSON_OBJECT = 32
    """An answer that is any JSON object."""
    JSON_SCHEMA = 64
    """An answer that satisfies a schema."""
    LOGPROBS = 128
    """Log-probabilities of the answer's tokens."""
    TOP_K = 256
    SEED = 512
    PENALTIES = 1024
    """Penalties for presence or frequency."""
    MANY_STOPS = 2048
    """More than four stop texts."""
    HIGH_TEMPERATURE = 4096
    """A temperature above 1."""
    SAMPLING = 8192
    """Any say in how tokens are sampled: a temperature, or top_p."""


class UnroutableKind(StrEnum):
    """Why nothing may answer."""

    PIN_UNSATISFIABLE = "PIN_UNSATISFIABLE"
    """A pin (agent, governance, image, forced model) leaves nothing."""
    NO_CANDIDATE = "NO_CANDIDATE"
    """The limits that the request or the policy states leave nothing."""
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    """The query does not fit the context of any model that is otherwise fit."""
    NO_DEPLOYMENT_AVAILABLE = "NO_DEPLOYMENT_AVAILABLE"
    """Something fits, but none of it is available now: none is up, or those that are have open breakers."""
    TENANT_RESTRICTED = "TENANT_RESTRICTED"
    """What the tenant may use (models, tiers, regions) leaves nothing."""
    RATE_LIMITED = "RATE_LIMITED"
    """Something fits and is up, but draws on limits that are used up for the moment."""
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    """Nothing that fits is estimated to cost as little as a hard budget has left."""
    DEADLINE_TOO_SHORT = "DEADLINE_TOO_SHORT"
    """Nothing that fits is predicted to have answered when the request's time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What one pass over a text finds. `tierway_core.text` states every counting rule."""

    words: int
    """Words; two code points of a script written without spaces count as one."""
    characters: int
    """Unicode code points."""
    input_tokens: int
    """Estimated tokens: four ASCII characters to one, every other code point one."""
    cjk_characters: int
    """Code points of Han, Hiragana and Katakana."""
    unspaced_characters: int
    """Code points of all scripts written without spaces, `cjk_characters` included."""
    code_score: int
    """Weighed evidence of program code; 4 or more makes `code`."""
    planning_terms: int
    """Occurrences of planning vocabulary."""
    math_terms: int
    """Occurrences of mathematical vocabulary."""
    vision_terms: int
    """Occurrences of words for images."""
    governance_terms: int
    """Occurrences of the configured governance vocabulary."""

    code: bool
    """Whether the text shows, or asks for, program code."""
    planning: bool
    """Whether the text asks for planning."""
    math: bool
    """Whether the text speaks of mathematics."""
    vision: bool
    """Whether the text speaks of images."""
    governance: bool
    """Whether the text speaks of governance."""


class Breaker(IntEnum):
    """What a deployment's circuit breaker lets through."""

    CLOSED = 1
    """Everything."""
    OPEN = 2
    """Nothing, for a time: too large a share of its requests failed."""
    HALF_OPEN = 3
    """A few probes, by whose outcome it closes or opens again."""


class Recovery(NamedTuple):
    """What dead workers left in a state, and was put right."""

    in_flight: int
    """Requests that they were counted for."""
    reserved_picousd: int
    """Reservations that went back to their budgets, in 10^-12 USD."""
    interrupted: int
    """Operations on budgets that they were in the midst of."""

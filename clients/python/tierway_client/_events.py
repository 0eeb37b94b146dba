"""The events of a streamed answer: `Started` once and first, `Delta` and `AttemptFailed` as they come, `Finished` once and last."""

from dataclasses import dataclass

from tierway_client._enums import FinishReason
from tierway_client._results import Attempt, Decision, Timings, TokenLogprob, Usage
from tierway_client._tools import ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The decision has been taken and the request admitted."""

    decision: Decision
    """What was decided, and why."""

    constitution_hash: str
    """The constitutional hash under which the server decides."""

    request_id: str
    """The request's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """More of the answer."""

    text: str
    """Text to append; may be empty while a character is incomplete."""

    token_count: int
    """How many tokens this delta carries."""

    logprobs: tuple[TokenLogprob, ...]
    """One entry a token, when `Sampling.top_logprobs` asked for them."""

    tool_calls: tuple[ToolCall, ...]
    """What the model called: whole calls, all in one delta at the end of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """A try ended without the answer, or without the rest of it, and the next one begins."""

    attempt: Attempt
    """What was tried, and how it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The answer is complete."""

    usage: Usage
    """Tokens read and generated."""

    cost_usd: float
    """What the answer cost, in USD."""

    timings: Timings
    """Where the time went."""

    finish_reason: FinishReason
    """Why the answer ended."""

    confidence: float | None
    """How sure the model seems of the answer, 0 to 1; None while nothing measures it."""

    attempts: tuple[Attempt, ...]
    """Every try, in order; the last one answered."""

    cached: bool
    """Whether the answer was kept from an earlier request, and cost nothing."""

    constitution_hash: str
    """The constitutional hash under which it was answered."""


Event = Started | Delta | AttemptFailed | Finished
"""Any event of a streamed answer."""

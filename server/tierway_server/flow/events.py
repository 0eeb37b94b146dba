"""The events of one answer, in order: `Started` once, then `Delta` and `Tried` as they come, `Finished` once.

`Stream` sends them as they are, `Execute` folds them into one reply.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tierway_core import Decision
from tierway_server.backends.base import Chunk, FinishReason, Usage


class Outcome(IntEnum):
    """How a try ended; numbers as in the contract."""

    ANSWERED = 1
    FELL_BACK = 2
    """Failed before its first token."""
    BROKE_OFF = 3
    """Failed after it; the next goes on where it ended."""
    ESCALATED = 4
    """Seemed weak, and is asked again one tier up."""
    OUTRUN = 5
    """Another that was asked at the same time was faster."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at an answer."""

    model: str
    deployment: str
    outcome: Outcome = Outcome.ANSWERED
    reason: str = ""
    """The ErrorInfo reason of its failure; empty where it did not fail."""
    text_characters: int = 0
    """Characters of the answer's text that had been passed on when it ended."""
    cost_picousd: int = 0
    """What it cost; estimated where the provider did not say."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds since the request arrived."""

    decision_s: float
    """How long deciding took, decoding included."""
    first_token_s: float
    """To the first token; of a stream, once it is on its way to the caller, to what that saw first."""
    total_s: float
    hold_s: float = 0.0
    """For how much of `first_token_s` there were tokens of a stream, and its caller saw nothing."""


@dataclass(frozen=True, slots=True)
class Started:
    """The decision has been taken and the request admitted."""

    decision: Decision


@dataclass(slots=True)  # one is made for each chunk: frozen, it would take twice as long
class Delta:
    """More of the answer."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Tried:
    """A try ended without the answer, or without the rest of it, and the next one begins."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete."""

    usage: Usage
    """The sum of all attempts'."""
    cost_picousd: int
    """Likewise."""
    timings: Timings
    finish_reason: FinishReason
    attempts: tuple[Attempt, ...]
    """In order; the last one answered."""
    confidence: float | None = None
    """How sure the model seems of the answer, 0 to 1; None while nothing measures it."""
    is_cached: bool = False
    """Whether it was generated for another request, and cost nothing here."""


Event = Started | Delta | Tried | Finished

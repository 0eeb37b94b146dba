"""The events of one answer, in order: `Started` once, then `Delta` and `FellBack` as they come, `Finished` once.

`Stream` sends them as they are, `Execute` folds them into one reply.
"""

from __future__ import annotations

from dataclasses import dataclass

from tierway_core import Decision
from tierway_server.backends.base import Chunk, FinishReason, Usage


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at an answer. An empty `reason` means that it answered."""

    model: str
    deployment: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds since the request arrived."""

    decision_s: float
    """How long deciding took, decoding included."""
    first_token_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Started:
    """The decision has been taken and the request admitted."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the answer."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class FellBack:
    """A try ended without an answer, and the next one begins."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete."""

    usage: Usage
    cost_picousd: int
    timings: Timings
    finish_reason: FinishReason
    attempts: tuple[Attempt, ...]


Event = Started | Delta | FellBack | Finished

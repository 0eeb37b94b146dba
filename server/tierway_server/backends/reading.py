"""What reads the events of a provider's stream, and what it raises."""

from __future__ import annotations

from typing import Protocol

from tierway_server.backends.base import Chunk, FinishReason

_MOST_TOKENS = 2**40


class MalformedError(Exception):
    """An event is none that the service's API has."""


class ReportedError(Exception):
    """The service reports a failure inside the stream. `report` is what it says, for classification only."""

    def __init__(self, report: object) -> None:
        super().__init__("reported inside the stream")
        self.report = report


def believed(tokens: int | None) -> int | None:
    """A number of tokens as a service tells it; None where it can be none: nobody is paid for it, or paid back."""
    return tokens if tokens is not None and 0 <= tokens <= _MOST_TOKENS else None


class Reading(Protocol):
    """One answer while it comes."""

    finish_reason: FinishReason | None
    """Why it ended, once that is known."""
    is_done: bool
    """Whether the service said that nothing more comes."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing came but what surrounds an answer."""

    def take(self, payload: bytes) -> None:
        """Take the next event.

        Raises:
            MalformedError: it is none.
            ReportedError: it reports a failure.

        """

    def chunk(self) -> Chunk | None:
        """What came since the last call, and is not the end; None when nothing did."""

    def last_chunk(self) -> Chunk:
        """The end of the answer, with what came since the last chunk."""

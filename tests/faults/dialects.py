"""The wires that the server speaks, and how each of those over HTTP says what all of them say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import anthropic_events as anthropic
from tests.faults import google_events as google
from tests.faults import openai_events as openai
from tests.faults.upstream import Reply, framed


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """An API over HTTP."""

    name: str
    """As the page calls it."""
    kind: str
    """As the configuration calls it."""
    path: str
    """Behind the address, in the configuration."""
    events: tuple[bytes, ...]
    """Of a good answer."""
    first: int
    """Which of them has the first token, counted from 0."""
    text: Callable[[str], bytes]
    """An event with a piece of the answer."""
    failed: bytes
    """The event that says that the service failed."""
    overloaded: bytes
    """The event that says that it has too much to do."""

    @property
    def begun(self) -> tuple[bytes, ...]:
        """The events up to the first token."""
        return self.events[: self.first + 1]

    @property
    def broken(self) -> bytes:
        """An event whose JSON ends too early."""
        return self.text(" it")[:-10] + b"\n\n"

    def byte_of(self, place: int) -> int:
        """A byte of the JSON of one of the events, without which it is none; counted from the beginning of the answer."""
        before = len(Reply().head) + sum(map(len, map(framed, self.events[:place])))
        event = framed(self.events[place])
        return before + event.index(b":", event.index(b"{"))


OPENAI = Dialect(
    name="OpenAI",
    kind="openai",
    path="/v1",
    events=tuple(openai.events()),
    first=1,
    text=openai.text,
    failed=openai.error_event("server_error"),
    overloaded=openai.error_event("overloaded_error"),
)
ANTHROPIC = Dialect(
    name="Anthropic",
    kind="anthropic",
    path="",
    events=tuple(anthropic.events()),
    first=3,
    text=anthropic.text,
    failed=anthropic.error_event("api_error"),
    overloaded=anthropic.error_event("overloaded_error"),
)
GOOGLE = Dialect(
    name="Google",
    kind="google",
    path="/v1beta",
    events=tuple(google.events()),
    first=0,
    text=google.text,
    failed=google.error_event(500, "INTERNAL"),
    overloaded=google.error_event(503, "UNAVAILABLE"),
)
HTTP = (OPENAI, ANTHROPIC, GOOGLE)
GRPC = "vLLM gRPC"
"""The wire that is not HTTP, as the page calls it."""
WIRES = (*(dialect.name for dialect in HTTP), GRPC)

"""The seam between the way of a request and whatever answers it.

A backend serves one deployment. It is told what to generate and yields chunks; how it does so, and how it keeps its engine alive, is its
own affair. Nothing here knows gRPC or vLLM.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol


class Role(IntEnum):
    """Who speaks; numbers as in the contract."""

    SYSTEM = 1
    USER = 2
    ASSISTANT = 3
    TOOL = 4


class FinishReason(IntEnum):
    """Why an answer ended; numbers as in the contract."""

    STOP = 1
    LENGTH = 2
    CONTENT_FILTER = 3
    TOOL_CALLS = 4


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the model looks at: either `data` with its `mime_type`, or the address `uri`, which the provider fetches."""

    data: bytes = b""
    mime_type: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function, as a model made it."""

    id: str
    """Names it in the conversation; unique in the answer."""
    name: str
    arguments: str
    """JSON text, character for character as the model wrote it; not necessarily valid."""


class Message(NamedTuple):
    """One turn of a conversation."""

    role: Role
    text: str
    """Its text parts, joined by line breaks."""
    parts: tuple[str | Image, ...] = ()
    """Texts and images in their order, where there are images; else empty."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What the assistant called in this turn."""
    tool_call_id: str = ""
    """The call whose result this is, of Role.TOOL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of an object; empty: no parameters."""


class ToolMode(IntEnum):
    """How free the model is to call functions; numbers as in the contract."""

    AUTO = 1
    NONE = 2
    REQUIRED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the model may call, and how free it is to."""

    tools: tuple[Tool, ...]
    mode: ToolMode = ToolMode.AUTO
    name: str = ""
    """The one that must be called; empty: `mode` holds."""
    parallel: bool | None = None
    """Whether several may be called in one turn; None: as the model does by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are sampled. None means: the backend's default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One answer to generate."""

    id: str
    """Unique among all generations of this process."""
    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int
    """The most tokens to generate; the backend lowers it to what its context leaves."""
    cost_ceiling: CostCeiling | None = None
    json_schema: Mapping[str, Any] | None = None
    """The JSON Schema that the answer must satisfy; an empty one asks for any JSON object. None: free text."""
    tools: Tools | None = None
    """What the model may call."""
    answered: str = ""
    """What another deployment had answered when it broke off. What is generated goes on after its last character and does not repeat it:
    as the beginning of the assistant's own turn where the engine can, else by `continuation.asked_to_continue`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCeiling:
    """A bound on what one generation may cost, so that the backend, which alone counts the prompt's tokens, can keep it."""

    max_picousd: int
    input_picousd: int
    """Price of one token of the prompt."""
    output_picousd: int
    """Price of one token of the answer."""

    def affordable_tokens(self, prompt_tokens: int) -> int | None:
        """How many tokens may be generated after this prompt; at most 0 when not even one. None: as many as one likes."""
        left_picousd = self.max_picousd - prompt_tokens * self.input_picousd
        return left_picousd // self.output_picousd if self.output_picousd else (None if left_picousd >= 0 else 0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer."""

    input_tokens: int
    cached_input_tokens: int
    """The part of `input_tokens` that came from a prefix cache."""
    output_tokens: int
    reasoning_tokens: int = 0
    """The part of `output_tokens` that was thought and not shown."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token, the natural logarithm of its probability, and the likeliest alternatives, likeliest first."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """More of an answer. The last one carries `finish_reason` and `usage`."""

    text: str
    token_count: int
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    """What the model called; in the last chunk only, each of them whole."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend can answer now, and if not, why (one line for the operator, without secrets)."""

    is_available: bool
    reason: str = ""


class Backend(Protocol):
    """What answers for one deployment. Lives on the server's event loop and is touched from there only."""

    @property
    def capacity(self) -> int:
        """How many generations it is given at once; further ones wait in front of it."""

    @property
    def idle_timeout_s(self) -> float | None:
        """Longest silence in an answer, and before it, in seconds, that it is given; then its generation is closed, and has failed. None:
        it sees to that itself.
        """

    @property
    def availability(self) -> Availability:
        """Whether it can answer now."""

    @property
    def will_return(self) -> bool:
        """Whether it becomes available by itself when it is not."""

    def watch(self, changed: Callable[[Availability], None]) -> None:
        """Call `changed` now and at every later change of availability."""

    def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer.

        Closing the generator, or cancelling the task that waits for it, stops the generation at once and frees its slot.

        Raises:
            NotReadyError: it cannot answer now.
            EngineLostError: it died before the first chunk.
            StreamBrokenError: it died later.
            ContextTooLongError: the prompt does not fit.
            NotOfferedError: it cannot do what `sampling` or `json_schema` asks for.
            ProviderError: a remote provider failed before the first chunk; see its kinds.
            ContentBlockedError: a provider refused the prompt for its content.

        """

    async def run(self) -> None:
        """Keep it alive until cancelled, then bring it down and leave no process behind."""

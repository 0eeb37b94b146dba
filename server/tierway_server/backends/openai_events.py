"""The events of a streamed chat completion, as they are on the wire. Structures hold only what is read; all else is passed over unseen."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tierway_server.backends.reading import MalformedError


class Function(msgspec.Struct):
    """What is called, or a part of that."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallDelta(msgspec.Struct):
    """A part of a call of a function, or the whole of it."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class TextPart(msgspec.Struct):
    """A part of what is added, where that is a list."""

    type: str = ""
    text: str = ""


class Delta(msgspec.Struct):
    """What is added to the answer."""

    content: str | list[TextPart] | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None


class Alternative(msgspec.Struct):
    """A token and its log-probability."""

    token: str
    logprob: float


class Token(Alternative):
    """A generated token, and what might have been there instead."""

    top_logprobs: list[Alternative] | None = None


class Logprobs(msgspec.Struct):
    """The tokens of a delta."""

    content: list[Token] | None = None


class Choice(msgspec.Struct):
    """More of one answer; we ask for one."""

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    """All of it at once, of services that do not stream, or not with tools; MiniMax's says it once more when its parts have come."""
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct):
    """Parts of the prompt's tokens."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """Parts of the answer's tokens."""

    reasoning_tokens: int | None = None


class UsageReport(msgspec.Struct):
    """What the service counted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None


class Groq(msgspec.Struct):
    """What Groq adds."""

    usage: UsageReport | None = None
    error: Any = None


class ChunkEvent(msgspec.Struct):
    """One event: more of the answer, its account, or the report of a failure."""

    choices: list[Choice] | None = None
    usage: UsageReport | None = None
    x_groq: Groq | None = None
    error: Any = None
    object: str | None = None
    message: Any = None


_decoder = msgspec.json.Decoder(ChunkEvent)


def decoded(payload: bytes) -> ChunkEvent:
    """Return the event that `payload` is.

    Raises:
        MalformedError: it is none.

    """
    try:
        return _decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # Half a character: JSON that only a tolerant reader takes.
    try:
        return msgspec.convert(json.loads(payload.decode(errors="surrogateescape")), ChunkEvent)
    except (ValueError, RecursionError, msgspec.ValidationError):
        raise MalformedError("no JSON") from None

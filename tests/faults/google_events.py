"""What Google's own Gemini API sends, as data: the events of a stream, an error. Every answer of it is asked for as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.faults.upstream import Reply, document

PIECES = ("Paris", " it", " is.")
INPUT_TOKENS = 11
CACHED_INPUT_TOKENS = 4
THOUGHT_TOKENS = 20


def event(body: dict[str, Any]) -> bytes:
    """One server-sent event; lines end as Google ends them."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\r\n\r\n"


def part(**fields: Any) -> dict[str, Any]:
    """The document of an event with one part of the answer."""
    return {"candidates": [{"content": {"parts": [fields], "role": "model"}, "index": 0}]}


def usage(output_tokens: int, thought_tokens: int = 0) -> dict[str, Any]:
    """What every event tells of the tokens so far. Thoughts are counted beside the answer's."""
    return {
        "promptTokenCount": INPUT_TOKENS,
        "cachedContentTokenCount": CACHED_INPUT_TOKENS,
        "candidatesTokenCount": output_tokens,
        "thoughtsTokenCount": thought_tokens,
    }


def end(reason: str = "STOP", output_tokens: int = len(PIECES), thought_tokens: int = THOUGHT_TOKENS) -> dict[str, Any]:
    """The document of the event with the reason of the end."""
    finished = {"candidates": [{"finishReason": reason, "index": 0}]}
    return {**finished, "usageMetadata": usage(output_tokens, thought_tokens)}


def blocked(reason: str = "PROHIBITED_CONTENT") -> dict[str, Any]:
    """The document of the only event where the prompt is refused for its content."""
    return {"promptFeedback": {"blockReason": reason}}


def text(piece: str) -> bytes:
    """An event with a piece of the answer's text, and no account."""
    return event(part(text=piece))


def events(pieces: Iterable[str] = PIECES, reason: str = "STOP") -> Iterator[bytes]:
    """The events of a good answer."""
    pieces = tuple(pieces)
    for count, piece in enumerate(pieces, 1):
        yield event({**part(text=piece), "usageMetadata": usage(count)})
    yield event(end(reason, len(pieces)))


def stream(pieces: Iterable[str] = PIECES, reason: str = "STOP") -> Reply:
    """A good answer."""
    return Reply(steps=tuple(events(pieces, reason)))


def error(status: int, name: str, *, message: str = "As told.", retry_delay: str | None = None) -> Reply:
    """An error document. `retry_delay` (`60s`) stands in its details: Google sends no Retry-After."""
    return document(_error(status, name, message, retry_delay), status)


def error_event(status: int = 500, name: str = "INTERNAL", message: str = "As told.") -> bytes:
    """An error in the midst of a stream that had begun well."""
    return event(_error(status, name, message))


def _error(status: int, name: str, message: str, retry_delay: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"code": status, "message": message, "status": name}
    if retry_delay is not None:
        told["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay}]
    return {"error": told}

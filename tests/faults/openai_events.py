"""What OpenAI's Chat Completions sends, as data: the events of a stream, a whole answer, an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.faults.upstream import Asked, Reply, document

MODEL = "scripted-1"
PIECES = ("Paris", " it", " is.")
INPUT_TOKENS = 11
CACHED_INPUT_TOKENS = 4
DONE = b"data: [DONE]\n\n"


def usage(output_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": output_tokens,
        "total_tokens": INPUT_TOKENS + output_tokens,
        "prompt_tokens_details": {"cached_tokens": CACHED_INPUT_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def event(body: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    """An event with one choice."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, **more}
    return event({**_chunk_head(), "choices": [choice]})


def text(piece: str) -> bytes:
    """An event with a piece of the answer's text."""
    return chunk({"content": piece})


def account(output_tokens: int) -> bytes:
    """The event with the usage, which comes last where the request asks for it."""
    return event({**_chunk_head(), "choices": [], "usage": usage(output_tokens)})


def events(pieces: Iterable[str] = PIECES, finish_reason: str = "stop") -> Iterator[bytes]:
    """The events of a good answer."""
    yield chunk({"role": "assistant", "content": ""})
    pieces = tuple(pieces)
    yield from map(text, pieces)
    yield chunk({}, finish_reason)
    yield account(len(pieces))
    yield DONE


def stream(pieces: Iterable[str] = PIECES, finish_reason: str = "stop") -> Reply:
    """A good answer, streamed."""
    return Reply(steps=tuple(events(pieces, finish_reason)))


def whole(pieces: Iterable[str] = PIECES, finish_reason: str = "stop") -> Reply:
    """A good answer, in one document."""
    pieces = tuple(pieces)
    message = {"role": "assistant", "content": "".join(pieces), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return document({**_head("chat.completion"), "choices": [choice], "usage": usage(len(pieces))})


def good(asked: Asked) -> Reply:
    """A good answer in the way that the request asks for."""
    return stream() if asked.is_streaming else whole()


def error(status: int, kind: str, code: str | None = None, *, message: str = "As told.", **headers: str) -> Reply:
    """An error document. Headers by their names, with `_` for `-`."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return document(body, status, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def error_event(kind: str = "server_error", message: str = "As told.") -> bytes:
    """An error in the midst of a stream that had begun well."""
    return event({"error": {"message": message, "type": kind, "param": None, "code": None}})


def _chunk_head() -> dict[str, Any]:
    return _head("chat.completion.chunk")


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_760_000_000, "model": MODEL, "system_fingerprint": "fp_1"}

"""What Anthropic's Messages sends, as data: the events of a stream, a whole answer, an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.faults.upstream import Asked, Reply, document

MODEL = "scripted-1"
PIECES = ("Paris", " it", " is.")
INPUT_TOKENS = 7
CACHED_INPUT_TOKENS = 4
"""Anthropic counts them beside `input_tokens`, not among them."""


def event(body: dict[str, Any]) -> bytes:
    """One server-sent event; its name is its document's type."""
    return f"event: {body['type']}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def message_start() -> bytes:
    return event({"type": "message_start", "message": _message([], None, 1)})


def block_start(block: dict[str, Any], index: int = 0) -> bytes:
    return event({"type": "content_block_start", "index": index, "content_block": block})


def delta(body: dict[str, Any], index: int = 0) -> bytes:
    return event({"type": "content_block_delta", "index": index, "delta": body})


def text(piece: str, index: int = 0) -> bytes:
    """An event with a piece of the answer's text."""
    return delta({"type": "text_delta", "text": piece}, index)


def block_stop(index: int = 0) -> bytes:
    return event({"type": "content_block_stop", "index": index})


def message_delta(output_tokens: int, stop_reason: str = "end_turn") -> bytes:
    """The event with the reason of the end, and the usage."""
    body = {"stop_reason": stop_reason, "stop_sequence": None}
    return event({"type": "message_delta", "delta": body, "usage": {"output_tokens": output_tokens}})


def message_stop() -> bytes:
    return event({"type": "message_stop"})


def ping() -> bytes:
    return event({"type": "ping"})


def events(pieces: Iterable[str] = PIECES, stop_reason: str = "end_turn") -> Iterator[bytes]:
    """The events of a good answer."""
    yield message_start()
    yield block_start({"type": "text", "text": ""})
    yield ping()
    pieces = tuple(pieces)
    yield from map(text, pieces)
    yield block_stop()
    yield message_delta(len(pieces), stop_reason)
    yield message_stop()


def stream(pieces: Iterable[str] = PIECES, stop_reason: str = "end_turn") -> Reply:
    """A good answer, streamed."""
    return Reply(steps=tuple(events(pieces, stop_reason)))


def whole(pieces: Iterable[str] = PIECES, stop_reason: str = "end_turn") -> Reply:
    """A good answer, in one document."""
    pieces = tuple(pieces)
    return document(_message([{"type": "text", "text": "".join(pieces)}], stop_reason, len(pieces)))


def good(asked: Asked) -> Reply:
    """A good answer in the way that the request asks for."""
    return stream() if asked.is_streaming else whole()


def error(status: int, kind: str, *, message: str = "As told.", **headers: str) -> Reply:
    """An error document. Headers by their names, with `_` for `-`."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return document(_error(kind, message), status, named)


def error_event(kind: str = "overloaded_error", message: str = "As told.") -> bytes:
    """An error in the midst of a stream that had begun well."""
    return event(_error(kind, message))


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def _message(content: list[dict[str, Any]], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": CACHED_INPUT_TOKENS,
            "output_tokens": output_tokens,
        },
    }

"""A provider for benchmarks: OpenAI's Chat Completions over HTTP/1.1, with as little between its socket and its answer as asyncio allows.

`python -m tierway_bench.mock_provider --tokens 32` listens on a free port of loopback and says so in a line of JSON. Its answer is a story
that the prompt alone determines, so that a reader can tell whether a character of it is missing or comes twice; asked to go on with the
beginning of one, it sends the rest. It fails as told: refusals before an answer, and streams that end in the midst of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, cast

import msgspec
import uvloop

MODEL = "mock"
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_WORDS = (
    "the ",
    "river ",
    "of ",
    "Zürich ",
    "is ",
    "naïve, ",
    "and ",
    "寺院 ",
    "saw ",
    "🜂🜄 ",
    "over\n",
    "12.5 ",
    "e\u0301t\u00e9 ",
    "x",
)
"""Of one to four bytes a character, with marks that combine with what stands before them."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How it fails: shares of the requests, 0 to 1."""

    errors: float = 0.0
    """Answered with 500."""
    cuts: float = 0.0
    """Streams that end at a random byte of the answer's events."""


class Turn(msgspec.Struct):
    """A message of the conversation."""

    role: str
    content: str


class Asked(msgspec.Struct):
    """What of a request matters here."""

    messages: list[Turn]
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer on the wire."""

    head: bytes
    body: bytes
    """All HTTP chunks, or the document."""
    text: str
    """What it says."""


def story(prompt: str, tokens: int) -> tuple[str, ...]:
    """The tokens of the answer to a prompt."""
    chance = random.Random(prompt)
    return (
        "Once ",
        *(chance.choice(_WORDS) + chance.choice(("", "", chance.choice(_WORDS))) for _ in range(tokens - 1)),
    )


@lru_cache(maxsize=1024)
def answer_to(prompt: str, begun: str, is_streaming: bool, tokens: int) -> Answer:
    """The answer, or the rest of one that was begun."""
    whole = story(prompt, tokens)
    rest = "".join(whole).removeprefix(begun)
    pieces, count = _tail(whole, len(rest)), len(whole)
    usage = {"prompt_tokens": 20, "completion_tokens": count, "total_tokens": 20 + count}
    about = {"id": "chatcmpl-1", "created": 1_760_000_000, "model": MODEL}
    if is_streaming:
        about["object"] = "chat.completion.chunk"
        deltas = [
            ({"role": "assistant", "content": ""}, None),
            *(({"content": piece}, None) for piece in pieces),
            ({}, "stop"),
        ]
        events: Iterator[dict[str, Any]] = (
            {**about, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
            for delta, reason in deltas
        )
        lines = [_event(event) for event in (*events, {**about, "choices": [], "usage": usage})]
        body = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in (*lines, b"data: [DONE]\n\n")) + b"0\r\n\r\n"
        head = _head(200, "text/event-stream", "transfer-encoding: chunked")
    else:
        message = {"role": "assistant", "content": rest, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        body = json.dumps({**about, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        head = _head(200, "application/json", f"content-length: {len(body)}")
    return Answer(head, body, rest)


class MockProvider(asyncio.Protocol):
    """One connection."""

    def __init__(self, tokens: int, faults: Faults, chance: random.Random, cut: Callable[[], None]) -> None:
        self._tokens = tokens
        self._faults = faults
        self._chance = chance
        self._cut = cut
        """Called at each cut."""
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(_HEAD_END)) >= 0:
            head = self._received[:end].lower()
            begin = head.find(_LENGTH)
            length = int(head[begin + len(_LENGTH) :].split(b"\r", 1)[0]) if begin >= 0 else 0
            whole = end + len(_HEAD_END) + length
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + len(_HEAD_END) : whole], self._received[whole:]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        if not body:  # somebody looks whether anybody is there
            self._transport.write(_head(200, "application/json", "content-length: 2") + b"{}")
            return
        luck = self._chance.random()
        if luck < self._faults.errors:
            self._transport.write(_FAILURE)
            return
        asked = msgspec.json.decode(body, type=Asked)
        prompt = next(turn.content for turn in asked.messages if turn.role == "user")
        begun = next((turn.content for turn in asked.messages if turn.role == "assistant"), "")
        answer = answer_to(prompt, begun, asked.stream, self._tokens)
        if luck < self._faults.errors + self._faults.cuts and asked.stream:
            # In the midst of an event, of a character, of a chunk's length: wherever. Never at the very end.
            self._transport.write(answer.head + answer.body[: self._chance.randrange(len(answer.body) - _ENDING)])
            self._transport.close()
            self._cut()
        else:
            self._transport.write(answer.head + answer.body)


@asynccontextmanager
async def mock_provider(
    tokens: int, faults: Faults = Faults(), *, seed: int = 0, cut: Callable[[], None] = lambda: None
) -> AsyncIterator[int]:
    """Serve in this process until the block ends; yields the port. `cut` is called at each cut."""
    make = partial(MockProvider, tokens, faults, random.Random(seed), cut)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _tail(pieces: tuple[str, ...], characters: int) -> list[str]:
    """The last so many characters, in the pieces in which they come."""
    tail: list[str] = []
    for piece in reversed(pieces):
        if characters <= 0:
            break
        tail.append(piece[-characters:])
        characters -= len(piece)
    return tail[::-1]


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _head(status: int, content_type: str, framing: str) -> bytes:
    return f"HTTP/1.1 {status} Mock\r\ncontent-type: {content_type}\r\n{framing}\r\n\r\n".encode()


_ERROR = b'{"error":{"message":"as told","type":"server_error","param":null,"code":null}}'
_FAILURE = _head(500, "application/json", f"content-length: {len(_ERROR)}") + _ERROR
_ENDING = len(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


async def _serve(tokens: int, faults: Faults, seed: int) -> None:
    async with mock_provider(tokens, faults, seed=seed) as port:
        print(json.dumps({"port": port}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="OpenAI's Chat Completions, from memory.")
    parser.add_argument("--tokens", type=int, default=32, help="length of an answer (default 32)")
    parser.add_argument("--errors", type=float, default=0.0, help="share of requests answered with 500")
    parser.add_argument("--cuts", type=float, default=0.0, help="share of streams that end in the midst")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    uvloop.run(_serve(given.tokens, Faults(given.errors, given.cuts), given.seed))


if __name__ == "__main__":
    main()

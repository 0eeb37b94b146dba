"""The faults of the matrix: what a provider does to a request, before its first token or after."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from socket import socket
from typing import Any

from tests.faults import openai_events as events
from tests.faults.certificates import self_signed
from tests.faults.proxy import Fault, Kind, fault_proxy
from tests.faults.upstream import Asked, Reply, Step, framed, upstream

BEFORE, AFTER = "before", "after"
FIRST = events.PIECES[0]
"""The token that arrives where the fault comes after the first one."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """A provider with a fault, as it serves."""

    base_url: str
    asked: Callable[[], int]
    """How often it was asked for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault of the matrix."""

    name: str
    when: str
    """Before its first token, or after."""
    serve: Callable[[asyncio.Event], AbstractAsyncContextManager[Faulty]]
    """Serves with it. The event is set when the caller has seen the first token, or cannot see it."""
    provider: dict[str, Any] = field(default_factory=dict)
    """What the provider's configuration says beside."""
    deadline_s: float = 30.0
    """The caller's."""

    @property
    def key(self) -> str:
        """Names it among all."""
        return f"{self.name}, {self.when}"


def _replied(reply: Callable[[asyncio.Event], Reply], tls: Callable[[], ssl.SSLContext] | None = None) -> Any:
    """Serves one reply to everybody."""

    @asynccontextmanager
    async def serve(seen: asyncio.Event) -> AsyncIterator[Faulty]:
        async with upstream(lambda _: reply(seen), tls=tls() if tls else None) as provider:
            yield Faulty(f"{provider.base_url}/v1", lambda: provider.count)

    return serve


def _harmed(kind: Kind, when: str, at_byte: Callable[[Reply], int]) -> Any:
    """Serves a good answer through the fault proxy; after the first token it acts once that has been seen."""

    @asynccontextmanager
    async def serve(seen: asyncio.Event) -> AsyncIterator[Faulty]:
        reply = events.stream()
        fault = Fault(kind=kind, at_byte=at_byte(reply), gate=seen if when == AFTER else None)
        async with upstream(reply) as provider, fault_proxy(provider.port) as proxy:
            proxy.default = lambda: fault
            yield Faulty(f"http://127.0.0.1:{proxy.port}/v1", lambda: proxy.accepted)

    return serve


@asynccontextmanager
async def _refused(seen: asyncio.Event) -> AsyncIterator[Faulty]:
    # Bound and not listening: nobody else can come to listen there meanwhile.
    with closing(socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield Faulty(f"http://127.0.0.1:{bound.getsockname()[1]}/v1", lambda: 0)


@asynccontextmanager
async def _nameless(seen: asyncio.Event) -> AsyncIterator[Faulty]:
    yield Faulty("http://provider.invalid/v1", lambda: 0)


def _status(status: int, kind: str, code: str | None = None, *, name: str = "", **headers: str) -> Row:
    answer = events.error(status, kind, code, **headers)
    return Row(name=name or str(status), when=BEFORE, serve=_replied(lambda _: answer))


def _first() -> Iterable[bytes]:
    """The events up to the first token."""
    return itertools.islice(events.events(), 2)


def _after(*steps: Step) -> Callable[[asyncio.Event], Reply]:
    """The first token, and when that has been seen, what the steps say."""
    return lambda seen: Reply(steps=(*_first(), seen, *steps))


def _bytes(count: int) -> Callable[[Reply], int]:
    """So many events whole, and the beginning of the next one."""
    return lambda reply: len(reply.head) + sum(map(len, map(framed, itertools.islice(events.events(), count)))) + 40


_GARBAGE = b'data: {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": " i\n\n'
_IMPATIENT = {"idle_timeout_s": 0.5}

ROWS: tuple[Row, ...] = (
    Row(name="connection refused", when=BEFORE, serve=_refused),
    Row(name="DNS fails", when=BEFORE, serve=_nameless),
    Row(name="TLS fails", when=BEFORE, serve=_replied(lambda _: events.stream(), self_signed)),
    _status(400, "invalid_request_error"),
    _status(401, "invalid_request_error", "invalid_api_key"),
    _status(403, "permission_error"),
    _status(404, "invalid_request_error", "model_not_found"),
    _status(408, "timeout"),
    _status(409, "conflict"),
    _status(413, "request_too_large"),
    _status(422, "invalid_request_error"),
    _status(429, "requests", "rate_limit_exceeded", name="429 with Retry-After", retry_after="1"),
    _status(429, "requests", "rate_limit_exceeded", name="429 without Retry-After"),
    _status(429, "insufficient_quota", "insufficient_quota", name="429, no quota left"),
    _status(500, "server_error"),
    _status(502, "server_error"),
    _status(503, "server_error"),
    _status(529, "overloaded_error"),
    Row(name="slow headers", when=BEFORE, serve=_harmed(Kind.STALL, BEFORE, lambda _: 20), provider=_IMPATIENT),
    Row(name="stall in mid-body", when=BEFORE, serve=_harmed(Kind.STALL, BEFORE, _bytes(1)), provider=_IMPATIENT),
    Row(name="stall in mid-body", when=AFTER, serve=_harmed(Kind.STALL, AFTER, _bytes(2)), provider=_IMPATIENT),
    Row(name="cut in mid-event", when=BEFORE, serve=_harmed(Kind.CUT, BEFORE, _bytes(1))),
    Row(name="cut in mid-event", when=AFTER, serve=_harmed(Kind.CUT, AFTER, _bytes(2))),
    Row(name="reset in mid-event", when=AFTER, serve=_harmed(Kind.RESET, AFTER, _bytes(2))),
    Row(name="garbled byte", when=BEFORE, serve=_harmed(Kind.GARBLE, BEFORE, _bytes(1))),
    Row(name="garbled byte", when=AFTER, serve=_harmed(Kind.GARBLE, AFTER, _bytes(2))),
    Row(name="malformed JSON", when=BEFORE, serve=_replied(lambda _: Reply(steps=(_GARBAGE,)))),
    Row(name="malformed JSON", when=AFTER, serve=_replied(_after(_GARBAGE))),
    Row(
        name="wrong content type",
        when=BEFORE,
        serve=_replied(lambda _: Reply(content_type="text/html", steps=(b"<html>Sign in, please.</html>",))),
    ),
    Row(name="empty stream", when=BEFORE, serve=_replied(lambda _: Reply())),
    Row(name="end without a reason", when=AFTER, serve=_replied(_after())),
    Row(name="error event inside a 200", when=BEFORE, serve=_replied(lambda _: Reply(steps=(events.error_event(),)))),
    Row(name="error event inside a 200", when=AFTER, serve=_replied(_after(events.error_event()))),
    Row(
        name="endless stream",
        when=BEFORE,
        serve=_replied(lambda _: Reply(steps=_dripping(b": still here\n\n"))),
        deadline_s=4.0,
    ),
    Row(
        name="endless stream",
        when=AFTER,
        serve=_replied(
            lambda seen: Reply(steps=itertools.chain(_first(), (seen,), itertools.repeat(events.text("!"))))
        ),
    ),
)


def _dripping(piece: bytes) -> Iterable[Step]:
    """The same for ever, with a breath between."""
    while True:
        yield piece
        yield 0.02


def good(asked: Asked) -> Reply:
    """The answer of the provider that is well: whole, or the rest of one that broke off."""
    begun = "".join(turn["content"] for turn in asked.document["messages"] if turn["role"] == "assistant")
    pieces = events.PIECES
    while begun and pieces and begun.startswith(pieces[0]):
        begun, pieces = begun.removeprefix(pieces[0]), pieces[1:]
    return events.stream(pieces)

"""A provider with a fault, over HTTP: what it does to a request, before its first token or after."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from socket import socket
from typing import Any

from tests.faults import openai_events as openai
from tests.faults.dialects import HTTP, Dialect
from tests.faults.proxy import Fault, Kind, fault_proxy
from tests.faults.upstream import Asked, Reply, Step, upstream

BEFORE, AFTER = "before", "after"
NO_NAME = "provider.invalid"


@dataclass(frozen=True, slots=True)
class Faulty:
    """A provider with a fault, as it serves."""

    base_url: str
    asked: Callable[[], int]
    """How often it was asked for an answer."""
    kind: str = "openai"
    """As the configuration calls it."""
    is_there: bool = True
    """Whether the server can find it before any request."""


Serve = Callable[[asyncio.Event], AbstractAsyncContextManager[Faulty]]
"""Serves with a fault. The event is set when the caller has seen the first token, or cannot see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault of the matrix."""

    name: str
    when: str
    """Before its first token, or after."""
    wires: Mapping[str, Serve]
    """The wires that can have it, and how it is there."""
    why: str = ""
    """Why they differ in what comes of it; empty where they do not."""
    provider: dict[str, Any] = field(default_factory=dict)
    """What the provider's configuration says beside."""
    deadline_s: float = 30.0
    """The caller's."""

    @property
    def key(self) -> str:
        """Names it among all."""
        return f"{self.name}, {self.when}"


def over_http(serve: Callable[[Dialect, asyncio.Event], AbstractAsyncContextManager[Faulty]]) -> dict[str, Serve]:
    """The same by every API over HTTP."""
    return {dialect.name: partial(serve, dialect) for dialect in HTTP}


def replied(
    reply: Callable[[Dialect, asyncio.Event], Reply], tls: Callable[[], ssl.SSLContext] | None = None
) -> dict[str, Serve]:
    """Serves one reply to everybody."""

    @asynccontextmanager
    async def serve(dialect: Dialect, seen: asyncio.Event) -> AsyncIterator[Faulty]:
        async with upstream(lambda _: reply(dialect, seen), tls=tls() if tls else None) as provider:
            yield Faulty(f"{provider.base_url}{dialect.path}", lambda: provider.count, dialect.kind)

    return over_http(serve)


def after(*steps: Callable[[Dialect], Step]) -> dict[str, Serve]:
    """The first token, and when that has been seen, what the steps say."""
    return replied(lambda dialect, seen: Reply(steps=(*dialect.begun, seen, *(step(dialect) for step in steps))))


def harmed(kind: Kind, when: str, at_byte: int | None = None) -> dict[str, Serve]:
    """Serves a good answer through the fault proxy. It acts in the midst of the event with the first token, or once that has been seen
    in the midst of the next one; or at a byte of the answer."""

    @asynccontextmanager
    async def serve(dialect: Dialect, seen: asyncio.Event) -> AsyncIterator[Faulty]:
        fault = Fault(
            kind=kind,
            at_byte=dialect.byte_of(dialect.first + (when == AFTER)) if at_byte is None else at_byte,
            gate=seen if when == AFTER else None,
        )
        async with upstream(Reply(steps=dialect.events)) as provider, fault_proxy(provider.port) as proxy:
            proxy.default = lambda: fault
            yield Faulty(f"http://127.0.0.1:{proxy.port}{dialect.path}", lambda: proxy.accepted, dialect.kind)

    return over_http(serve)


@contextmanager
def unheard() -> Iterator[int]:
    """A port that nobody listens on: bound, so that nobody else can come to listen there meanwhile."""
    with closing(socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@asynccontextmanager
async def refused(dialect: Dialect, seen: asyncio.Event) -> AsyncIterator[Faulty]:
    """Nobody listens there."""
    with unheard() as port:
        yield Faulty(f"http://127.0.0.1:{port}{dialect.path}", lambda: 0, dialect.kind)


@asynccontextmanager
async def nameless(dialect: Dialect, seen: asyncio.Event) -> AsyncIterator[Faulty]:
    """Nobody has that name."""
    yield Faulty(f"http://{NO_NAME}{dialect.path}", lambda: 0, dialect.kind)


def good(asked: Asked) -> Reply:
    """The answer of the provider that is well, in OpenAI's words: whole, or the rest of one that broke off."""
    begun = "".join(turn["content"] for turn in asked.document["messages"] if turn["role"] == "assistant")
    pieces = openai.PIECES
    while begun and pieces and begun.startswith(pieces[0]):
        begun, pieces = begun.removeprefix(pieces[0]), pieces[1:]
    return openai.stream(pieces)

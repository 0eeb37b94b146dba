"""A provider that answers byte for byte as a test tells it: HTTP/1.1 over asyncio, so that it can also answer what no HTTP library would.

`Upstream.answer` makes a `Reply` of each request. A reply's steps are sent as they are taken: bytes are sent (as one HTTP chunk each), a
number is a pause in seconds, an event is waited for, an `End` breaks the connection. What the providers' streams look like is in
`openai_events.py` and `anthropic_events.py`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.faults.listener import Listener, reset

_KEPT = 1_000
"""Requests that are remembered."""
_MAX_HEAD_BYTES = 1 << 16


class End(Enum):
    """How a reply breaks off."""

    CUT = auto()
    """FIN, without the end of the body."""
    RESET = auto()
    """RST."""
    HANG = auto()
    """Silence, until the client goes away."""


Step = bytes | float | asyncio.Event | End


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    """By names in lower case."""
    body: bytes

    @property
    def document(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def is_streaming(self) -> bool:
        """Whether it asks for events, in the way of OpenAI and of Anthropic."""
        return bool(self.body) and self.document.get("stream", False) is True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered to one request."""

    status: int = 200
    content_type: str = "text/event-stream; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    steps: Iterable[Step] = ()
    """The body. May be endless; made as it is taken."""
    before: Iterable[Step] = ()
    """What happens before the status line; bytes are sent as they are."""
    keeps_alive: bool = True
    """Whether the connection takes another request afterwards."""

    @property
    def head(self) -> bytes:
        """Status line and headers, with the empty line: the first bytes on the wire."""
        headers = (
            ("content-type", self.content_type),
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive" if self.keeps_alive else "close"),
            *self.headers,
        )
        lines = (f"HTTP/1.1 {self.status} As-Told", *(f"{name}: {value}" for name, value in headers), "", "")
        return "\r\n".join(lines).encode()


def framed(chunk: bytes) -> bytes:
    """One HTTP chunk, as it is on the wire. An empty one would end the body, and is none."""
    return b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunk else b""


def document(body: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A whole JSON document: an answer that is not streamed, or an error."""
    return Reply(status=status, content_type="application/json", headers=headers, steps=(json.dumps(body).encode(),))


@dataclass(slots=True)
class Upstream(Listener):
    """A provider that serves; `upstream` makes one."""

    answer: Callable[[Asked], Reply]
    """May be changed at any time."""
    asked: deque[Asked] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """The latest requests, in their order."""
    count: int = 0
    """Requests so far."""
    hung_up: int = 0
    """Replies that the client did not stay for."""
    connections: int = 0
    """Connections so far."""
    scheme: str = "http"

    @property
    def base_url(self) -> str:
        """What a provider's configuration names; OpenAI's has `/v1` behind it."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self.scheme = "http" if tls is None else "https"
        await self._listen(_MAX_HEAD_BYTES, tls)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while (asked := await _request(reader)) is not None:
            self.count += 1
            self.asked.append(asked)
            if not await self._replied(self.answer(asked), reader, writer):
                break
        writer.close()
        await writer.wait_closed()

    async def _replied(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send it. Returns whether the connection takes another request."""
        sending = asyncio.create_task(_send(reply, writer))
        # Nobody sends requests ahead: what comes while we answer is the end of the connection.
        leaving = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() or (sending.exception() is not None):
                self.hung_up += 1
                return False
            return sending.result() and reply.keeps_alive and not leaving.done()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send(reply: Reply, writer: asyncio.StreamWriter) -> bool:
    """Send a reply. Returns whether it came to its end."""
    if not await _take(reply.before, writer, lambda raw: raw):
        return False
    writer.write(reply.head)
    if not await _take(reply.steps, writer, framed):
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _take(steps: Iterable[Step], writer: asyncio.StreamWriter, wrap: Callable[[bytes], bytes]) -> bool:
    """Do what the steps say. Returns whether none of them broke off."""
    for step in steps:
        match step:
            case bytes():
                writer.write(wrap(step))
                await writer.drain()
                # `drain` returns at once while there is room: an endless reply would keep the loop.
                await asyncio.sleep(0)
            case asyncio.Event():
                await writer.drain()
                await step.wait()
            case End.HANG:
                await asyncio.Event().wait()
            case End.CUT:
                return False
            case End.RESET:
                reset(writer)
                return False
            case _:
                await asyncio.sleep(step)
    return True


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection; None when the client has ended it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    return Asked(method=method, path=path, headers=headers, body=body)


@asynccontextmanager
async def upstream(
    answer: Callable[[Asked], Reply] | Reply, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Upstream]:
    """A provider that serves until the block ends. A reply is given to every request, so its steps must be takeable again."""
    provider = Upstream((lambda _: answer) if isinstance(answer, Reply) else answer)
    await provider.start(tls)
    try:
        yield provider
    finally:
        await provider.aclose()

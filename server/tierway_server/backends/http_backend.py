"""A deployment at a service that answers over HTTP by a stream of events: what such services have in common.

Every answer is streamed from the service, also when the caller wants it whole: so its first token is known, a cut loses only the rest, and
who leaves stops it. What is asked, and how the events are read, is each API's own; failures are `failures.py`'s.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass

import httpx2
import msgspec

from tierway_server.backends import failures
from tierway_server.backends.base import Availability, Chunk, FinishReason, Generation
from tierway_server.backends.coalesced import coalesced
from tierway_server.backends.endpoint import Endpoint, Reply
from tierway_server.backends.http_pool import HttpPool
from tierway_server.backends.own_parameters import with_own
from tierway_server.backends.rate_limits import exhausted_s
from tierway_server.backends.reading import MalformedError, Reading, ReportedError
from tierway_server.backends.sse import EventReader, EventTooLongError, WholeDocument
from tierway_server.errors import TierwayError

_EVENTS = "text/event-stream"
_DOCUMENT = "application/json"
_EVENT_BYTES = 4 * 2**20
_DOCUMENT_BYTES = 16 * 2**20
_TOKEN_BYTES = 8_192
"""What a token may take on the wire: with twenty alternatives and their bytes it takes some 3,000."""
_REPORT_BYTES = 65_536
_REPORT_S = 2.0
_ACCOUNT_S = 2.0
"""How long an answer that has ended waits for its account."""
_LEAVE_S = 0.1
"""How long the end of a stream may take after its last event, so that the connection can be used again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModel:
    """What a deployment of a provider is."""

    provider: str
    """The provider's name in the configuration."""
    model: str
    """What the provider calls the model."""
    context_tokens: int
    """Most tokens of prompt and answer together."""
    capacity: int
    """Most answers at once."""
    lacks: frozenset[str]
    """What it cannot do, by the names of the configuration."""
    parameters: Mapping[str, object]
    """Added to each request."""
    coalesce_window_s: float
    """Longest wait for further tokens before a chunk is passed on, in seconds."""


class HttpBackend(ABC):
    """A `Backend` over a provider's pool of connections."""

    idle_timeout_s = None
    """The transports have it, between two bytes: a comment in the stream is a sign of life too."""
    will_return = False
    may_come_whole = False
    """Whether a service of this API may answer with one document although events were asked for, which `Reading` takes as the only one."""

    def __init__(self, model: RemoteModel, pool: HttpPool, held: Callable[[float], None] = lambda _: None) -> None:
        """Prepare a deployment; nothing is sent.

        Args:
            model: what it is.
            pool: the provider's connections.
            held: told for how many seconds a rate limit of the provider has nothing left.

        """
        self.capacity = model.capacity
        self._model = model
        self._pool = pool
        self._held = held
        self._is_prepared = False
        self._availability = Availability(True)
        self._watchers: list[Callable[[Availability], None]] = []

    @property
    def availability(self) -> Availability:
        """Whether it can answer, as far as is known without asking it for an answer."""
        return self._availability

    def watch(self, changed: Callable[[Availability], None]) -> None:
        """Call `changed` now and at every later change of availability."""
        self._watchers.append(changed)
        changed(self._availability)

    def become(self, availability: Availability) -> None:
        """Tell the watchers, if it is news."""
        if availability != self._availability:
            self._availability = availability
            for changed in self._watchers:
                changed(availability)

    def prepare(self) -> None:
        """Do what would hold the first answer up. Blocks; may be called in a thread, and again."""
        self._prepare()
        self._is_prepared = True

    def _prepare(self) -> None:  # noqa: B027
        """Do nothing, where nothing holds the first answer up."""

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""
        if not self._is_prepared:
            # Of several processes another has found the service there, and this one has not asked yet.
            await asyncio.to_thread(self.prepare)
        has_begun = False
        try:
            async with aclosing(coalesced(self._rest_of(generation), self._model.coalesce_window_s)) as chunks:
                async for chunk in chunks:
                    has_begun = True
                    yield chunk
        except TierwayError:
            if has_begun:
                raise failures.broken(self._model.provider) from None
            raise

    async def run(self) -> None:  # noqa: B027
        """Return: there is nothing to keep alive. The pool is the provider's, and `remote_models.py` keeps that."""

    @abstractmethod
    def _rest_of(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """The answer, or what follows on its beginning."""

    async def _unless_refused(self, chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
        """The chunks; a refusal before any of them is an error, where the API has no other sign of one."""
        is_empty = True
        async with aclosing(chunks):
            async for chunk in chunks:
                if is_empty and not chunk.text and chunk.finish_reason is FinishReason.CONTENT_FILTER:
                    raise failures.of_report(self._model.provider, {"type": "content_filter"})
                is_empty = False
                yield chunk

    async def _streamed(
        self, endpoint: Endpoint, body: Mapping[str, object], answer: Reading, max_tokens: int
    ) -> AsyncGenerator[Chunk, None]:
        """What is answered to `body`, as `answer` reads it."""
        reply = await self._asked(endpoint, msgspec.json.encode(with_own(body, self._model.parameters)))
        try:
            async with aclosing(self._chunks(reply, answer, max_tokens)) as chunks:
                async for chunk in chunks:
                    yield chunk
            yield answer.last_chunk()
            # The last event has come, the end of the stream not always.
            with suppress(TimeoutError, httpx2.HTTPError):
                async with asyncio.timeout(_LEAVE_S):
                    while await reply.read():
                        pass
        finally:
            await reply.aclose()

    async def _asked(self, endpoint: Endpoint, body: bytes) -> Reply:
        """The provider's answer, of which a stream of events is to come."""
        provider = self._model.provider
        try:
            reply = await self._pool.transport.post(endpoint, body)
        except httpx2.HTTPError as failure:
            raise failures.of_exception(provider, failure) from None
        status, headers = reply.status, reply.headers
        if (empty_s := exhausted_s(headers)) is not None:
            self._held(empty_s)
        if status == httpx2.codes.OK and (_comes(reply, _EVENTS) or (self.may_come_whole and _comes(reply, _DOCUMENT))):
            return reply
        try:
            report = await _beginning(reply)
        finally:
            await reply.aclose()
        if status == httpx2.codes.OK:
            if (error := failures.reported(report)) is not None:
                raise failures.of_report(provider, error)
            raise failures.no_answer(provider, status, "content_type")
        raise failures.of_response(provider, status, headers, report)

    async def _chunks(self, reply: Reply, answer: Reading, max_tokens: int) -> AsyncGenerator[Chunk, None]:
        """All of an answer but its last chunk; returns when it has ended well."""
        raised: Exception | None = None
        try:
            async with aclosing(_read(reply, answer, max_tokens)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (httpx2.HTTPError, ReportedError, MalformedError, EventTooLongError) as failure:
            raised = failure
        if answer.finish_reason is not None:
            return  # an answer that has ended is whole, whatever comes behind its end
        if raised is None and answer.is_done and not answer.is_empty:
            answer.finish_reason = FinishReason.STOP  # some services end without a reason
            return
        rest = answer.chunk()
        if rest is not None:
            yield rest
        raise self._classified(raised, answer)

    def _classified(self, raised: Exception | None, answer: Reading) -> TierwayError:
        match raised:
            case httpx2.HTTPError():
                return failures.of_exception(self._model.provider, raised)
            case ReportedError():
                return failures.of_report(self._model.provider, raised.report)
            case None:
                what = "empty" if answer.is_empty else "cut"
            case _:
                what = type(raised).__name__
        return failures.no_answer(self._model.provider, httpx2.codes.OK, what)


async def _read(reply: Reply, answer: Reading, max_tokens: int) -> AsyncGenerator[Chunk, None]:
    """Let `answer` take the events of a reply, until it is done or they end; yields what it comes to meanwhile."""
    is_whole = _comes(reply, _DOCUMENT)
    events: EventReader | WholeDocument = WholeDocument(_DOCUMENT_BYTES) if is_whole else EventReader(_EVENT_BYTES)
    bytes_left = max_tokens * _TOKEN_BYTES + _EVENT_BYTES
    account_until_s: float | None = None
    while not answer.is_done:
        if account_until_s is None and answer.finish_reason is not None:
            account_until_s = asyncio.get_running_loop().time() + _ACCOUNT_S
        piece = await _next(reply, account_until_s)
        for payload in events.feed(piece) if piece else events.end():
            answer.take(payload)
            if answer.is_done:
                return
        if not piece:
            return
        bytes_left -= len(piece)
        if bytes_left < 0:
            raise MalformedError("endless")
        chunk = answer.chunk()
        if chunk is not None:
            yield chunk


def _comes(reply: Reply, content_type: str) -> bool:
    """Whether a reply says that it is of this type; one that says nothing is taken for events."""
    return reply.headers.get("content-type", _EVENTS).lower().startswith(content_type)


async def _next(reply: Reply, account_until_s: float | None) -> bytes:
    """The next bytes; none at the end. Behind the answer's end only its account is waited for, and no longer than until then."""
    if account_until_s is None:
        return await reply.read()
    try:
        async with asyncio.timeout_at(account_until_s):
            return await reply.read()
    except TimeoutError:
        return b""


async def _beginning(reply: Reply) -> bytes:
    """The beginning of a body that says what went wrong, as much of it as comes soon."""
    report = b""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(_REPORT_S):
            while len(report) < _REPORT_BYTES and (piece := await reply.read()):
                report += piece
    return report[:_REPORT_BYTES]

"""The cache of answers: requests that opted in are given the answer to the same request, kept or under way.

The uppermost layer of the flow, with the seam of all. What makes requests the same is `kept.py`'s, who shares what is under way
`flights.py`'s; here it is decided who may take part. A request with a cost ceiling takes a kept answer, but neither leaves nor shares
one: it may be cut where another's would go on.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace

import msgspec

from tierway_server.backends.base import Chunk, FinishReason, Usage
from tierway_server.config import CacheConfig
from tierway_server.errors import UnavailableError
from tierway_server.flow.escalation import Answering
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Outcome, Started, Timings, Tried
from tierway_server.flow.flights import Flight, Reader
from tierway_server.flow.job import Job
from tierway_server.flow.kept import Kept, Store, cache_key, decode_kept, encode_kept
from tierway_server.telemetry.metrics import Metrics

_NOTHING = Usage(0, 0, 0)


class Cached:
    """Gets answers, kept ones where that is wanted. Lives on the event loop."""

    def __init__(
        self,
        below: Answering,
        store: Store,
        config: CacheConfig,
        metrics: Metrics,
        *,
        identity: bytes,
        rule_ages_s: Mapping[str, float],
        min_confidence: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        """Begin with what `store` has.

        Args:
            below: gets the answers that are not kept.
            store: where answers are kept.
            config: who takes part, for how long.
            metrics: counts what became of requests that take part.
            identity: what stands for all of the configuration that answers depend on.
            rule_ages_s: by the name of a rule, how old an answer may be that its requests are given.
            min_confidence: answers that seem less sure are not kept; nor is a weak one shared for longer than it takes.
            clock: the server's.
            unix_s: the time of day, which replicas share.

        """
        self._below = below
        self._store = store
        self._config = config
        self._metrics = metrics
        self._identity = identity
        self._rule_ages_s = rule_ages_s
        self._min_confidence = min_confidence
        self._clock = clock
        self._unix_s = unix_s
        self._flights: dict[bytes, Flight] = {}

    async def answer(self, job: Job) -> AsyncGenerator[Event, None]:
        """The events of the answer.

        Raises:
            TierwayError: as the layer below.

        """
        age_s = self._age_s(job)
        events = self._taking_part(job, age_s) if age_s > 0 else self._below.answer(job)
        async with aclosing(events):
            async for event in events:
                yield event

    def _age_s(self, job: Job) -> float:
        """How old an answer may be, in seconds; 0: it must be a new one."""
        age_s = job.max_cache_age_s
        if age_s is None:
            age_s = self._rule_ages_s.get(job.decision.rule, self._config.default_age_s)
        return min(age_s, self._config.max_age_s)

    async def _taking_part(self, job: Job, age_s: float) -> AsyncGenerator[Event, None]:
        key = cache_key(job, self._identity)
        shares = job.max_cost_picousd is None
        has_started = has_begun = False
        told: list[Attempt] = []
        earlier: tuple[Attempt, ...] | None = None  # what was told of flights that failed; None: this is the first
        while True:
            kept = await self._kept(key, age_s)
            flight = self._flights.get(key)  # after the wait, in which one may have begun
            if kept is not None:
                outcome, events = "hit", self._told(job, kept)
            elif shares and flight is not None and _may_join(job, flight):
                outcome, events = "shared", self._read(flight, job)
            else:
                flight = self._flown(key, job) if shares else None
                outcome, events = "miss", self._below.answer(job) if flight is None else self._read(flight, job)
            if earlier is None:
                self._metrics.cache_looked_up(outcome)
            try:
                async with aclosing(events):
                    async for event in events:
                        if isinstance(event, Started) and has_started:
                            continue
                        has_started = True
                        has_begun = has_begun or isinstance(event, Delta)
                        if isinstance(event, Tried):
                            told.append(replace(event.attempt, cost_picousd=0))
                        elif earlier and isinstance(event, Finished):
                            event = replace(event, attempts=(*earlier, *event.attempts))  # noqa: PLW2901
                        yield event
                return
            except UnavailableError:
                # Its time was that of another. Who has more of it, and has been shown nothing, asks again: together with all who do.
                if flight is None or has_begun or job.give_up_s <= flight.job.give_up_s:
                    raise
            earlier = tuple(told)

    async def _kept(self, key: bytes, age_s: float) -> Kept | None:
        entry = await self._store.get(key)
        if entry is None:
            return None
        try:
            kept = decode_kept(entry)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # of another version
        return kept if self._unix_s() - kept.made_s <= age_s else None

    async def _told(self, job: Job, kept: Kept) -> AsyncGenerator[Event, None]:
        """The events of an answer that is there already."""
        yield Started(job.decision)
        first_token_s = self._clock()
        yield Delta(
            Chunk(
                kept.text,
                kept.tokens,
                kept.logprobs,
                finish_reason=kept.finish_reason,
                usage=_NOTHING,
                tool_calls=kept.tool_calls,
            )
        )
        timings = self._timings(job, first_token_s)
        answered = (Attempt(kept.model, kept.deployment, text_characters=len(kept.text)),)
        yield Finished(_NOTHING, 0, timings, kept.finish_reason, answered, kept.confidence, is_cached=True)

    def _flown(self, key: bytes, job: Job) -> Flight:
        async def keep(chunks: list[Chunk], finished: Finished) -> None:
            if self._is_worth_keeping(finished):
                entry = encode_kept(Kept.of(chunks, finished, self._unix_s()))
                if len(entry) <= self._config.max_entry_bytes:
                    await self._store.put(key, entry, self._config.max_age_s)

        def forget(ended: Flight) -> None:
            if self._flights.get(key) is ended:
                del self._flights[key]

        flight = Flight(job, self._below.answer(job), self._config.max_entry_bytes, keep, forget)
        self._flights[key] = flight
        return flight

    def _is_worth_keeping(self, finished: Finished) -> bool:
        return (
            finished.finish_reason is not FinishReason.CONTENT_FILTER
            and all(attempt.outcome is not Outcome.BROKE_OFF for attempt in finished.attempts)
            and (finished.confidence is None or finished.confidence >= self._min_confidence)
        )

    async def _read(self, flight: Flight, job: Job) -> AsyncGenerator[Event, None]:
        """The events of a flight, as this request's own; only one of its readers is told what it cost."""
        reader = Reader(job)
        first_token_s = 0.0
        async with aclosing(flight.read(reader)) as events:
            async for event in events:
                match event:
                    case Started():
                        yield Started(job.decision)
                    case Finished():
                        timings = event.timings if job is flight.job else self._timings(job, first_token_s)
                        if flight.payer is reader:
                            yield replace(event, timings=timings)
                            continue
                        yield replace(
                            event,
                            usage=_NOTHING,
                            cost_picousd=0,
                            timings=timings,
                            attempts=tuple(replace(attempt, cost_picousd=0) for attempt in event.attempts),
                            is_cached=True,
                        )
                    case _:
                        if isinstance(event, Delta) and not first_token_s:
                            first_token_s = self._clock()
                        yield event

    def _timings(self, job: Job, first_token_s: float) -> Timings:
        now_s = self._clock()
        first_token_s = first_token_s or now_s
        return Timings(job.decided_s - job.arrived_s, first_token_s - job.arrived_s, now_s - job.arrived_s)


def _may_join(job: Job, flight: Flight) -> bool:
    """Whether an answer under way comes as soon for this request as its own would: it is as urgent, and as eager to be read."""
    other = flight.job
    return not flight.is_long and other.priority <= job.priority and (other.streams or not job.streams)

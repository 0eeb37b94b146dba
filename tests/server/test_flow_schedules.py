"""The whole flow under random schedules: whoever fails, stalls, comes and leaves at whatever moment, nothing is lost, doubled or left.

Several callers at once, with the cache, escalation, hedging, retries, takeover, queues, breakers and budgets all at work, over engines that
all say the same text and fail as chance says. Time is the event loop's own and passes as soon as nobody has anything to do.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest

from tests.server.fleet import five_tiers
from tests.server.granting import HOUR_S
from tests.server.layered import SURE, UNSURE, Layered
from tests.server.skipping import run
from tests.server.walking import ScriptedBackend
from tierway_core import Breaker
from tierway_server.backends.base import Chunk, FinishReason, Generation, Sampling, TokenLogprob, Usage
from tierway_server.errors import (
    ContentBlockedError,
    EngineLostError,
    ProviderFailedError,
    ProviderOverloadedError,
    StreamBrokenError,
    TierwayError,
)
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Outcome, Started, Tried
from tierway_server.flow.job import Job
from tierway_server.flow.kept import Store
from tierway_server.flow.priority import Priority

TEXT = "It is Paris, né 日本 😀, the EN of it; EN."
"""What everybody says; a part of it may be the beginning of a stop text."""
STOPS = ("END",)
PATIENT_S, HASTY_S = 3_600.0, 5.0


class Capricious:
    """An engine that says the text, and at every step may take its time, fail or break off. Goes on where another broke off."""

    def __init__(self, chance: random.Random, trouble: float) -> None:
        self._chance = chance
        self._trouble = trouble
        self.running = 0
        self.tokens = 0
        """Tokens that it has said to anybody."""

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        assert TEXT.startswith(generation.answered)
        self.running += 1
        try:
            async for chunk in self._said(generation):
                yield chunk
        finally:
            try:
                if self._chance.random() < 0.3:
                    await asyncio.sleep(self._chance.choice([0.0, 0.001]))  # a connection that is closed
            finally:
                self.running -= 1

    async def _said(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        chance = self._chance
        logprob = chance.choice([SURE, UNSURE])
        rest, said = TEXT[len(generation.answered) :], 0
        await self._hesitate()
        if chance.random() < self._trouble:
            raise chance.choice(
                [
                    EngineLostError("gone"),
                    ProviderFailedError("down"),
                    ProviderOverloadedError("busy", retry_after_s=chance.choice([None, 0.5, 20.0])),
                    ContentBlockedError("no"),
                ]
            )
        while rest and said < generation.max_tokens:
            size = chance.randint(1, 5)
            piece, rest = rest[:size], rest[size:]
            said += 1
            self.tokens += 1
            given = generation.sampling.top_logprobs is not None
            yield Chunk(piece, 1, (TokenLogprob(piece, logprob, ()),) if given else ())
            await self._hesitate()
            if chance.random() < self._trouble / 4:
                raise StreamBrokenError("cut")
        if chance.random() < self._trouble / 4:
            return  # without its account
        reason = FinishReason.LENGTH if rest else FinishReason.STOP
        yield Chunk("", 0, (), reason, Usage(11, 4, said))

    async def _hesitate(self) -> None:
        chance = self._chance
        for _ in range(chance.choice([0, 0, 1, 2, 5])):
            await asyncio.sleep(0)
        if chance.random() < 0.15:
            await asyncio.sleep(chance.choice([0.001, 0.01, 0.01, 0.1, 1.0, 1.0, 10_000.0]))


class Remote:
    """A store that is not in this process."""

    def __init__(self, kept: Store, chance: random.Random) -> None:
        self._kept = kept
        self._chance = chance

    async def get(self, key: bytes) -> bytes | None:
        await self._wait()
        return await self._kept.get(key)

    async def put(self, key: bytes, entry: bytes, keep_s: float) -> None:
        await self._wait()
        await self._kept.put(key, entry, keep_s)

    async def close(self) -> None:
        """Nothing to close."""

    async def _wait(self) -> None:
        if self._chance.random() < 0.3:
            await asyncio.sleep(self._chance.choice([0.0, 0.002, 0.05]))


@dataclass
class Caller:
    """One caller and what it has been given."""

    job: Job
    leaves: bool
    """Whether it leaves by itself when it likes."""
    given: list[Event] = field(default_factory=list)
    failure: BaseException | None = None

    async def read(self, fleet: Layered, chance: random.Random) -> None:
        for _ in range(chance.choice([0, 0, 1, 3, 8, 30])):
            await asyncio.sleep(0)
        try:
            with fleet.drain.answering():
                async with asyncio.timeout(self.job.give_up_s - self.job.arrived_s):
                    await self._listen(fleet, chance)
        except (TierwayError, TimeoutError) as failure:
            self.failure = failure

    async def _listen(self, fleet: Layered, chance: random.Random) -> None:
        async with aclosing(fleet.answer(self.job)) as events:
            async for event in events:
                self.given.append(event)
                if isinstance(event, Finished):
                    return
                if chance.random() < 0.2:
                    await asyncio.sleep(chance.choice([0.0, 0.01, 3.0]))
                if self.leaves and chance.random() < 0.1:
                    return

    @property
    def finished(self) -> Finished | None:
        return self.given[-1] if self.given and isinstance(self.given[-1], Finished) else None

    def check(self) -> None:
        """What it was given is in order."""
        text, told = "", list[Attempt]()
        for place, event in enumerate(self.given):
            assert isinstance(event, Started) is (place == 0)
            assert not isinstance(event, Finished) or event is self.given[-1]
            if isinstance(event, Delta):
                text += event.chunk.text
            elif isinstance(event, Tried):
                told.append(event.attempt)
                assert event.attempt.text_characters == len(text)
        assert TEXT.startswith(text)
        if (end := self.finished) is None:
            return
        assert (*told, end.attempts[-1]) == end.attempts or end.is_cached
        assert end.attempts[-1].outcome is Outcome.ANSWERED
        assert end.attempts[-1].text_characters == len(text)
        assert text == TEXT or end.finish_reason is FinishReason.LENGTH
        assert end.cost_picousd == sum(attempt.cost_picousd for attempt in end.attempts)
        assert (end.cost_picousd == 0) is end.is_cached


def fleet(chance: random.Random) -> Layered:
    """All layers over engines with few places."""
    document = five_tiers() | {
        "hedging": {"enabled": True, "max_share": 1.0},
        "retries": {"max_retries": 1, "max_share": 1.0},
        "breaker": {"min_requests": 4, "open_s": 1.0},
        "budgets": {"all": {"limit_usd": 1, "period_s": HOUR_S}},
        "tenants": {"one": {"budget": "all"}, "two": {"budget": "all"}},
        "queue": {"size": 3, "max_wait_s": {"interactive": 1, "normal": 5, "batch": 60}},
    }
    for engine in document["engines"].values():
        engine["queue_size"] = 4
    with mock.patch.object(ScriptedBackend, "capacity", chance.choice([1, 2, 1_000])):
        layered = Layered(
            document,
            escalation={"look_ahead_tokens": 4, "prior": 0.85},
            cache={"max_entry_bytes": chance.choice([400, 262_144])},
        )
    layered.layers._store = Remote(layered.memory, chance)  # type: ignore[attr-defined]
    trouble = chance.choice([0.0, 0.2, 0.6])
    for name, scripted in layered.engines.items():
        scripted.generate = Capricious(chance, trouble if name != "expert" else 0.0).generate  # type: ignore[method-assign]
    for index in range(len(layered.table.deployments)):
        for _ in range(20):
            layered.hedges._times[index].observe(0.005)
    return layered


def question(chance: random.Random) -> dict[str, Any]:
    """What makes requests the same, or not."""
    asked: dict[str, Any] = {"tenant": chance.choice(["one", "two"])}
    if chance.random() < 0.5:
        asked["min_tier"] = 2
    return {
        "asked": asked,
        "escalates": chance.choice([None, False]),
        "sampling": Sampling(stop=chance.choice([(), STOPS]), top_logprobs=chance.choice([None, None, 0])),
        "max_tokens": chance.choice([128, 128, 6]),
        "allow_takeover": chance.random() < 0.8,
    }


def job(fleet: Layered, chance: random.Random, questions: list[dict[str, Any]]) -> Job:
    """One of these questions, asked in some way."""
    return fleet.job(
        **chance.choice(questions),
        deadline_s=chance.choice([PATIENT_S, PATIENT_S, HASTY_S]),
        streams=chance.random() < 0.7,
        hedges=chance.choice([None, None, False]),
        priority=chance.choice(list(Priority)),
        max_cost_picousd=chance.choice([None, None, None, 10**12]),
        max_cache_age_s=chance.choice([None, None, 0.0]),
    )


async def _cancelled(task: asyncio.Task[None], chance: random.Random) -> None:
    """Cancel a caller at any moment, maybe more than once."""
    await asyncio.sleep(chance.choice([0.0, 0.0, 0.002, 0.005, 0.5, 30.0]))
    for _ in range(chance.choice([1, 1, 2])):
        for _ in range(chance.randint(0, 30)):
            await asyncio.sleep(0)
        task.cancel()


async def played(seed: int) -> None:
    chance = random.Random(seed)
    layered = fleet(chance)
    before = asyncio.all_tasks()
    questions = [question(chance) for _ in range(chance.randint(1, 3))]
    callers = [
        Caller(job(layered, chance, questions), leaves=chance.random() < 0.2) for _ in range(chance.randint(1, 12))
    ]
    tasks = [asyncio.create_task(caller.read(layered, chance)) for caller in callers]
    leaving = [asyncio.create_task(_cancelled(task, chance)) for task in tasks if chance.random() < 0.3]
    if chance.random() < 0.2:
        for _ in range(chance.randint(0, 40)):
            await asyncio.sleep(0)
        await layered.drain.drain(chance.choice([0.0, 0.01, 2.0, 10_000.0]))
    await asyncio.wait([*tasks, *leaving])
    for task in tasks:
        assert task.cancelled() or task.exception() is None, task.exception()
    await asyncio.sleep(1)  # who is cancelled while it cleans up does not wait for it
    assert asyncio.all_tasks() == before
    assert not layered.layers._flights  # type: ignore[attr-defined]
    assert not any(layered.admission._queues.of(each.index).queue for each in layered.table.deployments)
    assert layered.is_idle
    for engine in layered.engines.values():
        assert engine.generate.__self__.running == 0  # type: ignore[attr-defined]
    for caller in callers:
        caller.check()
    ends = [caller.finished for caller in callers]
    spent_picousd = layered.state.spent_picousd(0, 0)
    known_picousd = sum(end.cost_picousd for end in ends if end is not None)
    assert known_picousd <= spent_picousd
    if all(end is not None for end in ends):
        assert known_picousd == spent_picousd
    for index in range(len(layered.table.deployments)):
        now_ns = 10**18
        assert layered.state.breaker(index, now_ns) is not Breaker.HALF_OPEN or layered.state.breaker_allows(
            index, now_ns
        )


@pytest.mark.parametrize("seed", range(150))
def test_nothing_is_lost_doubled_or_left(seed: int) -> None:
    run(played(seed))

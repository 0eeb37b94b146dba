"""Answers under way that are shared: who joins, who pays, who is told what, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from unittest import mock

import grpc
import pytest

from tests.server.asking import stream
from tests.server.fleet import five_tiers, only
from tests.server.layered import Layered, begun, layered, outcomes, reading
from tests.server.running import serving, until
from tests.server.walking import ScriptedBackend, finished, text_of
from tierway_server.errors import ContentBlockedError, EngineLostError, StreamBrokenError
from tierway_server.flow.events import Delta, Event, Started
from tierway_server.flow.priority import Priority


async def test_requests_under_way_share_one_generation_and_one_pays() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].script("Par", gate, "is", ".")
    readers = [await reading(fleet, fleet.job(streams=True)) for _ in range(3)]
    gate.set()
    answers = [await each for each in readers]
    assert [text_of(each) for each in answers] == ["Paris."] * 3
    assert begun(fleet) == 1
    ends = [finished(each) for each in answers]
    assert [end.is_cached for end in ends] == [False, True, True]
    assert [end.cost_picousd > 0 for end in ends] == [True, False, False]
    assert [sum(attempt.cost_picousd for attempt in end.attempts) > 0 for end in ends] == [True, False, False]
    assert [end.usage.output_tokens for end in ends] == [3, 0, 0]
    assert outcomes(fleet) == {"hit": 0, "shared": 2, "miss": 1}
    assert fleet.is_idle


async def test_who_joins_late_gets_all_that_came_and_then_what_comes() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].script("a", "b", gate, "c")
    first = await reading(fleet, fleet.job(streams=True))
    await until(lambda: fleet.engines["nano"].produced == 2)
    async with aclosing(fleet.answer(fleet.job(streams=True))) as events:
        came = [await anext(events) for _ in range(3)]
        assert [event.chunk.text for event in came if isinstance(event, Delta)] == ["a", "b"]
        gate.set()
        rest = [event async for event in events]
    assert text_of(rest) == "c"
    assert text_of(await first) == "abc"


async def test_the_first_who_asked_may_leave_and_the_others_are_answered() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].script("Par", gate, "is", ".")
    first, second, third = [await reading(fleet, fleet.job(streams=True)) for _ in range(3)]
    first.cancel()
    await asyncio.wait([first])
    assert fleet.engines["nano"].running
    gate.set()
    assert text_of(await second) == text_of(await third) == "Paris."
    assert finished(await second).cost_picousd > 0
    assert finished(await third).cost_picousd == 0


async def test_who_pays_for_what_another_began_is_told_times_of_its_own() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].script("Par", gate, "is", ".")
    long_ago = fleet.job(streams=True)
    first = await reading(fleet, replace(long_ago, arrived_s=long_ago.arrived_s - 1_000))
    second = await reading(fleet, fleet.job(streams=True))
    first.cancel()
    await asyncio.wait([first])
    gate.set()
    end = finished(await second)
    assert end.cost_picousd > 0
    assert 0 < end.timings.first_token_s <= end.timings.total_s < 1_000


async def test_the_generation_ends_at_once_when_the_last_one_has_left() -> None:
    fleet, never = layered(), asyncio.Event()
    fleet.engines["nano"].script("Par", never)
    readers = [await reading(fleet, fleet.job(streams=True)) for _ in range(2)]
    for reader in readers:
        assert fleet.engines["nano"].running
        reader.cancel()
        await asyncio.wait([reader])
    assert fleet.is_idle
    assert not finished(await fleet.events(fleet.job())).is_cached


@pytest.mark.parametrize("seed", range(40))
async def test_whoever_comes_and_goes_those_who_stay_read_every_character_once(seed: int) -> None:
    chance = random.Random(seed)
    fleet, letters = layered(), "abcdefghijkl"
    gates = [asyncio.Event() for _ in letters]
    fleet.engines["nano"].script(*(step for pair in zip(gates, letters, strict=True) for step in pair))
    staying = [await reading(fleet, fleet.job(streams=True))]
    leaving: list[asyncio.Task[list[Event]]] = []
    for place, gate in enumerate(gates):
        if chance.random() < 0.5:
            (staying if chance.random() < 0.5 else leaving).append(await reading(fleet, fleet.job(streams=True)))
        if leaving and chance.random() < 0.5:
            leaving.pop(chance.randrange(len(leaving))).cancel()
        gate.set()
        await until(lambda place=place: fleet.engines["nano"].produced > place)  # type: ignore[misc]
    answers = [await each for each in (*staying, *leaving)]
    assert [text_of(each) for each in answers] == [letters] * len(answers)
    assert sum(finished(each).cost_picousd > 0 for each in answers) == 1
    assert begun(fleet) == 1
    assert fleet.is_idle


@pytest.mark.parametrize("steps", range(1, 12))
async def test_who_comes_at_any_moment_of_the_end_joins_nothing_that_ends(steps: int) -> None:
    fleet = layered()
    fleet.engines["nano"].script("Ly", asyncio.Event())
    last = await reading(fleet, fleet.job())
    await until(lambda: fleet.engines["nano"].produced == 1)
    last.cancel()
    for _ in range(steps):
        await asyncio.sleep(0)
    assert text_of(await fleet.events(fleet.job())) == "Paris it is."
    assert last.cancelled()
    assert fleet.is_idle


async def test_a_failure_is_everybodys() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].script("Par", gate, StreamBrokenError("cut"))
    readers = [await reading(fleet, fleet.job(streams=True, allow_takeover=False, deadline_s=30)) for _ in range(2)]
    await until(lambda: fleet.engines["nano"].produced == 1)
    gate.set()
    for reader in readers:
        with pytest.raises(StreamBrokenError):
            await reader
    assert fleet.is_idle


async def test_who_has_more_time_than_the_first_asks_for_itself_when_nothing_came() -> None:
    fleet, gate = layered(), asyncio.Event()
    for name in ("nano", "fast", "balanced"):
        fleet.engines[name].script(gate, EngineLostError("gone"))
    hasty = await reading(fleet, fleet.job(deadline_s=30.0))
    patient = await reading(fleet, fleet.job(deadline_s=60.0))
    gate.set()
    with pytest.raises(EngineLostError):
        await hasty
    answer = await patient
    assert text_of(answer) == "Paris it is."
    assert sum(isinstance(event, Started) for event in answer) == 1
    assert finished(answer).cost_picousd > 0


async def test_those_who_ask_again_do_so_together() -> None:
    fleet, gate = layered(), asyncio.Event()
    for name in ("nano", "fast", "balanced"):
        fleet.engines[name].script(gate, EngineLostError("gone"))
    readers = [await reading(fleet, fleet.job(deadline_s=30.0 + place)) for place in range(9)]
    gate.set()
    with pytest.raises(EngineLostError):
        await readers.pop(0)
    ends = [finished(await each) for each in readers]
    assert begun(fleet) == 3 + 1
    assert sum(end.cost_picousd > 0 for end in ends) == 1
    assert fleet.is_idle


async def test_what_more_time_does_not_help_against_is_everybodys() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].script(gate, ContentBlockedError("no"))
    readers = [await reading(fleet, fleet.job(deadline_s=30.0 + place)) for place in range(3)]
    gate.set()
    for reader in readers:
        with pytest.raises(ContentBlockedError):
            await reader
    assert begun(fleet) == 1


async def test_what_goes_on_when_the_time_of_the_first_is_over_is_not_held_to_that() -> None:
    fleet, gates = layered(breaker={"min_requests": 1}), [asyncio.Event() for _ in range(2)]
    fleet.engines["nano"].script("Par", gates[0], StreamBrokenError("cut"))
    fleet.engines["fast"].script(gates[1], "is.")
    first = await reading(fleet, fleet.job(streams=True, deadline_s=0.0))
    patient = await reading(fleet, fleet.job(streams=True))
    await until(lambda: fleet.engines["nano"].produced == 1)
    first.cancel()
    gates[0].set()
    await until(lambda: bool(fleet.engines["fast"].running))
    for _ in range(20):  # it would be given up in this time
        await asyncio.sleep(0)
    gates[1].set()
    assert text_of(await patient) == "Paris."
    assert fleet.state.error_share(1) == 0


async def test_what_goes_on_when_the_time_of_the_first_is_over_waits_for_a_place() -> None:
    document = only(five_tiers(), "nano", "fast")
    document["engines"]["fast"]["queue_size"] = 8
    with mock.patch.object(ScriptedBackend, "capacity", 1):
        fleet = Layered(document, cache={})
    gates = [asyncio.Event() for _ in range(2)]
    fleet.engines["fast"].script(gates[1], "busy")
    busy = await reading(fleet, fleet.job(asked={"min_tier": 2}, max_cache_age_s=0.001))
    await until(lambda: bool(fleet.engines["fast"].running))
    fleet.engines["nano"].script("Par", gates[0], StreamBrokenError("cut"))
    fleet.engines["fast"].script("is.")
    first = await reading(fleet, fleet.job(streams=True, deadline_s=0.0))
    patient = await reading(fleet, fleet.job(streams=True))
    await until(lambda: fleet.engines["nano"].produced == 1)
    first.cancel()
    gates[0].set()
    await until(lambda: not fleet.engines["nano"].running)
    for _ in range(20):
        await asyncio.sleep(0)
    gates[1].set()
    assert text_of(await busy) == "busy"
    assert text_of(await patient) == "Paris."


async def test_who_is_told_what_it_cost_is_told_how_long_it_took_for_itself() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].script("Par", gate, "is.")
    job = fleet.job(streams=True)
    first = await reading(fleet, replace(job, id="first", arrived_s=job.arrived_s - 1_000.0))
    second = await reading(fleet, job)
    await until(lambda: fleet.engines["nano"].produced == 1)
    first.cancel()
    await asyncio.wait([first])
    gate.set()
    end = finished(await second)
    assert end.cost_picousd > 0
    assert 0 < end.timings.first_token_s <= end.timings.total_s < 1_000.0


@pytest.mark.parametrize(
    ("first", "second", "is_shared"),
    [
        ({"priority": Priority.BATCH}, {"priority": Priority.INTERACTIVE}, False),
        ({"priority": Priority.INTERACTIVE}, {"priority": Priority.BATCH}, True),
        ({"streams": False}, {"streams": True}, False),
        ({"streams": True}, {"streams": False}, True),
        ({}, {"max_cost_picousd": 10**12}, False),
        ({}, {"max_cache_age_s": 0.0}, False),
    ],
)
async def test_nobody_joins_what_would_come_later_than_its_own_answer_or_be_cut_elsewhere(
    first: dict[str, Any], second: dict[str, Any], is_shared: bool
) -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["nano"].repeat(["a", gate, "b"])
    fleet.engines["nano"].repeat(["a", gate, "b"])
    one = await reading(fleet, fleet.job(**first))
    other = asyncio.create_task(fleet.events(fleet.job(**second)))
    await until(lambda: begun(fleet) == (1 if is_shared else 2) and fleet.engines["nano"].produced >= begun(fleet))
    gate.set()
    assert text_of(await one) == text_of(await other) == "ab"
    assert outcomes(fleet)["shared"] == (1 if is_shared else 0)
    assert fleet.is_idle


async def test_a_long_answer_is_not_buffered_without_bound_and_waits_for_its_slowest_reader() -> None:
    fleet, gate = layered(max_entry_bytes=1_000), asyncio.Event()
    fleet.engines["nano"].script(gate, *("x" * 100 for _ in range(200)))
    one, other = [fleet.answer(fleet.job(streams=True)) for _ in range(2)]
    async with aclosing(one) as slow, aclosing(other) as fast:
        assert isinstance(await anext(slow), Started)
        assert isinstance(await anext(fast), Started)
        gate.set()
        ahead: list[Event] = []
        hurry = asyncio.create_task(_hurry(fast, ahead))
        await until(lambda: len(ahead) >= 6)
        for _ in range(100):
            await asyncio.sleep(0)
        assert fleet.engines["nano"].produced < 10
        assert not hurry.done()
        # Nobody joins any more, for the beginning is gone soon.
        await fleet.events(fleet.job())
        assert begun(fleet) == 2
        rest = [event async for event in slow]
        await hurry
        assert text_of(rest) == text_of(ahead) == "x" * 20_000
    assert fleet.is_idle


async def test_the_only_reader_of_a_long_answer_may_leave_while_its_end_waits_for_room() -> None:
    fleet, gate = layered(max_entry_bytes=1_000), asyncio.Event()
    fleet.engines["nano"].script(gate, *("x" * 100 for _ in range(10)))
    events = fleet.answer(fleet.job(streams=True))
    assert isinstance(await anext(events), Started)
    gate.set()
    await until(lambda: fleet.engines["nano"].produced > 5)
    while fleet.engines["nano"].running:
        await anext(events)
        for _ in range(20):  # the flight has done all that it can before the next event is read
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await events.aclose()
    assert fleet.is_idle


async def _hurry(events: AsyncGenerator[Event, None], into: list[Event]) -> None:
    async for event in events:
        into.append(event)  # noqa: PERF401  # one by one: it is looked at meanwhile


async def test_over_the_wire_a_drain_ends_a_shared_answer_and_leaves_nothing() -> None:
    document = only(five_tiers(), "nano", "fast") | {"cache": {"enabled": True, "default_age_s": 60.0}}
    async with serving(document) as server:
        server.engine().script("Par", asyncio.Event())
        calls = [server.router.Stream(stream()) for _ in range(2)]
        for call in calls:
            await call.read()
        assert len(server.generations_running) == 1
        server.stops.drain.set()
        server.stops.at_once.set()
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await _read_out(call)
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        await server.run
        assert not server.generations_running
        assert server.in_flight == 0


async def _read_out(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass

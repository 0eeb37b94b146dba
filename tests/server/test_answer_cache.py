"""Answers that are kept, and answers under way that are shared: by whom, for how long, and what of it is never done."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from unittest import mock

import grpc
import pytest

from tests.server.asking import execute, stream
from tests.server.fleet import five_tiers, only
from tests.server.layered import UNSURE, Layered, token, tokens
from tests.server.running import serving, until
from tests.server.walking import ScriptedBackend, finished, text_of
from tierway_server.backends.base import Chunk, FinishReason, Message, Role, Sampling, Tool, ToolCall, Tools, Usage
from tierway_server.errors import ContentBlockedError, EngineLostError, StreamBrokenError
from tierway_server.flow.events import Delta, Event, Outcome, Started
from tierway_server.flow.job import Job
from tierway_server.flow.kept import Memory, cache_key
from tierway_server.flow.priority import Priority
from tierway_server.telemetry.metrics import Metrics


def layered(breaker: dict[str, Any] | None = None, **cache: Any) -> Layered:
    document = only(five_tiers(), "nano", "fast", "balanced")
    return Layered(document | ({"breaker": breaker} if breaker else {}), cache=cache)


def outcomes(fleet: Layered) -> dict[str, float]:
    return {each: fleet.counted("tierway_cache_lookups_total", outcome=each) for each in ("hit", "shared", "miss")}


def begun(fleet: Layered) -> int:
    """Generations that any engine has begun."""
    return sum(len(engine.started) for engine in fleet.engines.values())


async def reading(fleet: Layered, job: Job) -> asyncio.Task[list[Event]]:
    """One who reads, once it has asked."""
    task = asyncio.create_task(fleet.events(job))
    before = sum(outcomes(fleet).values())
    await until(lambda: sum(outcomes(fleet).values()) > before)
    return task


async def test_the_same_request_again_gets_the_same_answer_for_nothing() -> None:
    fleet = layered()
    fleet.engines["nano"].script("Par", "is", ".")
    first, second = [await fleet.events(fleet.job()) for _ in range(2)]
    assert text_of(first) == text_of(second) == "Paris."
    assert begun(fleet) == 1
    end = finished(second)
    assert (end.is_cached, end.cost_picousd, end.usage) == (True, 0, Usage(0, 0, 0))
    assert [(each.model, each.outcome, each.cost_picousd) for each in end.attempts] == [("nano", Outcome.ANSWERED, 0)]
    assert end.finish_reason is finished(first).finish_reason
    assert end.attempts[-1].text_characters == finished(first).attempts[-1].text_characters == len("Paris.")
    assert isinstance(second[0], Started)
    assert not finished(first).is_cached
    assert outcomes(fleet) == {"hit": 1, "shared": 0, "miss": 1}


async def test_log_probabilities_tool_calls_and_confidence_are_kept() -> None:
    fleet = Layered(only(five_tiers(), "fast", "balanced"), escalation={}, cache={})
    call = ToolCall("c", "f", "{}")
    tools = Tools(tools=(Tool(name="f", description="", parameters={"b": 1, "a": 2}),))
    last = token("a", last=2)
    fleet.engines["fast"].script(token("b"), replace(last, finish_reason=FinishReason.TOOL_CALLS, tool_calls=(call,)))
    asked = {"sampling": Sampling(top_logprobs=0), "tools": tools}
    first, second = [await fleet.events(fleet.job(**asked)) for _ in range(2)]
    [kept] = [event.chunk for event in second if isinstance(event, Delta)]
    assert kept.text == "ba"
    assert kept.tool_calls == (call,)
    assert [each.token for each in kept.logprobs] == ["b", "a"]
    assert finished(second).is_cached
    assert finished(second).confidence == finished(first).confidence
    assert finished(second).finish_reason is FinishReason.TOOL_CALLS


CHANGES: dict[str, dict[str, Any]] = {
    "prompt": {"messages": (Message(Role.USER, "Hello then"),)},
    "earlier turn": {"messages": (Message(Role.SYSTEM, "Be brief"), Message(Role.USER, "Hello there"))},
    "temperature": {"sampling": Sampling(temperature=0.5)},
    "seed": {"sampling": Sampling(seed=7)},
    "stop": {"sampling": Sampling(stop=("x",))},
    "log-probabilities": {"sampling": Sampling(top_logprobs=0)},
    "max_tokens": {"max_tokens": 64},
    "schema": {"json_schema": {"type": "object"}},
    "tools": {"tools": Tools(tools=(Tool(name="f", description="", parameters={}),))},
    "escalation": {"escalates": False},
    "takeover": {"allow_takeover": False},
    "tenant": {"asked": {"tenant": "other"}},
    "tier": {"asked": {"max_tier": 2}},
    "region": {"asked": {"regions": frozenset()}, "is_alike": True},
    "compliance": {"asked": {"min_compliance": 0.5}},
    "agent": {"asked": {"agent": "writer"}},
    "model": {"asked": {"force_model": "fast"}},
    "deadline": {"deadline_s": 30.0, "is_alike": True},
    "latency budget": {"asked": {"latency_budget_s": 50.0}, "is_alike": True},
    "experiment's key": {"asked": {"sticky_key": "me"}, "is_alike": True},
    "priority": {"priority": Priority.BATCH, "is_alike": True},
    "age": {"max_cache_age_s": 5.0, "is_alike": True},
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_an_answer_may_depend_on_makes_requests_differ_and_nothing_else_does(name: str) -> None:
    fleet, change = layered(), dict(CHANGES[name])
    is_alike = change.pop("is_alike", False)
    same = cache_key(fleet.job(), b"configuration")
    assert cache_key(fleet.job(), b"configuration") == same
    assert (cache_key(fleet.job(**change), b"configuration") == same) is is_alike


def test_another_configuration_and_another_order_of_keys() -> None:
    fleet = layered()
    assert cache_key(fleet.job(), b"one") != cache_key(fleet.job(), b"other")
    one, other = ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})
    assert cache_key(fleet.job(json_schema=one), b"") == cache_key(fleet.job(json_schema=other), b"")


def test_numbers_of_any_size_in_a_schema() -> None:
    fleet = layered()
    schemas: list[dict[str, Any]] = [{"maximum": number} for number in (2**64, 2**64 + 1, -(2**200), 1e300)]
    assert len({cache_key(fleet.job(json_schema=schema), b"") for schema in schemas}) == len(schemas)


@pytest.mark.parametrize(
    ("default_age_s", "stated_s", "is_kept"),
    [(0.0, None, False), (0.0, 5.0, True), (60.0, None, True), (60.0, 0.0, False)],
)
async def test_who_takes_part_is_for_the_request_to_say_else_for_the_configuration(
    default_age_s: float, stated_s: float | None, is_kept: bool
) -> None:
    fleet = layered(default_age_s=default_age_s)
    events = [await fleet.events(fleet.job(max_cache_age_s=stated_s)) for _ in range(2)]
    assert finished(events[1]).is_cached is is_kept
    assert begun(fleet) == (1 if is_kept else 2)
    assert sum(outcomes(fleet).values()) == (2 if is_kept else 0)


async def test_a_rule_says_how_old_the_answers_of_its_requests_may_be() -> None:
    document = only(five_tiers(), "nano", "fast")
    document["routing"]["rules"] = [{"name": "faq", "agents": ["faq"]}]
    fleet = Layered(document, cache={"default_age_s": 0.0}, rule_ages_s={"faq": 10.0})
    for agent, is_kept in (("faq", True), ("other", False)):
        events = [await fleet.events(fleet.job(asked={"agent": agent})) for _ in range(2)]
        assert finished(events[1]).is_cached is is_kept


async def test_an_answer_that_is_older_than_the_request_allows_is_made_anew() -> None:
    fleet = layered(max_age_s=100.0)
    await fleet.events(fleet.job())
    fleet.unix_s += 10
    assert finished(await fleet.events(fleet.job(max_cache_age_s=20.0))).is_cached
    assert not finished(await fleet.events(fleet.job(max_cache_age_s=5.0))).is_cached
    fleet.unix_s += 101
    assert not finished(await fleet.events(fleet.job(max_cache_age_s=1_000.0))).is_cached


BLOCKED = Chunk("no", 1, finish_reason=FinishReason.CONTENT_FILTER, usage=Usage(1, 0, 1))


@pytest.mark.parametrize(
    ("steps", "job"),
    [
        ([BLOCKED], {}),
        (["Pa", StreamBrokenError("cut")], {}),
        (["x" * 2_000], {}),
        (["Paris"], {"max_cost_picousd": 10**12}),
    ],
    ids=["blocked", "taken over", "too long", "with a cost ceiling"],
)
async def test_what_is_never_kept(steps: list[Any], job: dict[str, Any]) -> None:
    fleet = layered(max_entry_bytes=1_000)
    fleet.engines["nano"].script(*steps)
    await fleet.events(fleet.job(**job))
    fleet.unix_s += 1
    assert not finished(await fleet.events(fleet.job(**job))).is_cached


async def test_an_error_is_never_kept() -> None:
    fleet = layered()
    fleet.engines["nano"].script("Pa", StreamBrokenError("cut"))
    with pytest.raises(StreamBrokenError):
        await fleet.events(fleet.job(allow_takeover=False))
    assert not finished(await fleet.events(fleet.job(allow_takeover=False))).is_cached


async def test_a_weak_answer_is_never_kept() -> None:
    fleet = Layered(only(five_tiers(), "fast", "balanced"), escalation={"max_share": 0.0}, cache={})
    fleet.engines["fast"].script(*tokens("Ly", "on", logprob=UNSURE))
    assert (finished(await fleet.events(fleet.job())).confidence or 1) < 0.7
    assert not finished(await fleet.events(fleet.job())).is_cached


async def test_a_request_with_a_cost_ceiling_takes_what_is_kept() -> None:
    fleet = layered()
    await fleet.events(fleet.job())
    assert finished(await fleet.events(fleet.job(max_cost_picousd=1))).is_cached


@pytest.mark.parametrize("entry", [b"", b"\x93\x01", b"\xc1 no msgpack", b"\x99\x01\xa1\xff"])
async def test_what_cannot_be_read_is_not_kept(entry: bytes) -> None:
    fleet = layered()
    job = fleet.job()
    await fleet.memory.put(cache_key(job, b"configuration"), entry, 60.0)
    assert not finished(await fleet.events(job)).is_cached


async def test_memory_is_bounded_and_what_was_not_used_for_longest_makes_room() -> None:
    metrics = Metrics()
    memory = Memory(1_000, metrics)
    for name in (b"a", b"b", b"c"):
        await memory.put(name, bytes(100), 60.0)
    assert await memory.get(b"a")
    await memory.put(b"d", bytes(100), 60.0)
    assert [bool(await memory.get(name)) for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    await memory.put(b"d", bytes(50), 60.0)
    assert memory.bytes == 3 * 201 + 250
    for number in range(100):
        await memory.put(b"%d" % number, bytes(number * 5), 60.0)
        assert memory.bytes <= 1_000
    before = memory.bytes
    await memory.put(b"huge", bytes(2_000), 60.0)
    assert memory.bytes == before > 0  # it would fit into no room that others could make


async def test_what_is_too_old_is_forgotten_when_it_is_asked_for() -> None:
    now_s = 0.0
    memory = Memory(1_000, Metrics(), clock=lambda: now_s)
    await memory.put(b"a", b"x", 10.0)
    now_s = 10.0
    assert await memory.get(b"a") is None
    assert memory.bytes == 0


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


async def test_a_repeating_load_is_answered_from_the_cache_above_85_percent() -> None:
    fleet = layered()
    # A few questions are asked often and many seldom, as people do: the n-th most frequent one 1/n as often as the first.
    load = [question for question in range(100) for _ in range(1 + 500 // (question + 1))]
    answers = Counter[bool]()
    for question in load:
        events = await fleet.events(fleet.job(f"Question {question}"))
        answers[finished(events).is_cached] += 1
    assert answers[True] / len(load) > 0.85
    assert begun(fleet) == answers[False] == 100


async def test_over_the_wire_the_second_reply_is_kept_and_says_so_and_metrics_count_it() -> None:
    document = only(five_tiers(), "nano", "fast") | {"cache": {"enabled": True}}
    async with serving(document) as server:
        asked = {"max_cache_age": {"seconds": 60}}
        first = await server.router.Execute(execute(**asked))
        second = await server.router.Execute(execute(**asked))
        *_, last = await server.stream(stream(**asked))
        unasked = await server.router.Execute(execute())
        assert (first.cached, second.cached, last.finished.cached, unasked.cached) == (False, True, True, False)
        assert first.text == second.text
        assert (second.cost_usd, second.usage.output_tokens) == (0, 0)
        assert len(server.engine("nano").started) == 2
        text = (await server.http.get("/metrics")).text
        assert 'tierway_cache_lookups_total{outcome="hit"} 2.0' in text
        assert "tierway_cache_bytes " in text


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

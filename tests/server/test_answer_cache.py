"""Answers that are kept: by whom, for how long, and what of it is never done."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.server.asking import execute, stream
from tests.server.fleet import five_tiers, only
from tests.server.layered import UNSURE, Layered, begun, layered, outcomes, token, tokens
from tests.server.running import serving
from tests.server.walking import finished, text_of
from tierway_server.backends.base import Chunk, FinishReason, Message, Role, Sampling, Tool, ToolCall, Tools, Usage
from tierway_server.errors import StreamBrokenError
from tierway_server.flow.events import Delta, Outcome, Started
from tierway_server.flow.kept import Memory, cache_key
from tierway_server.flow.priority import Priority
from tierway_server.telemetry.metrics import Metrics


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

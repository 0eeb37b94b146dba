"""A weak answer is asked again one tier up: once, in time, within what it may cost, and never where the request forbids it."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from tests.server.asking import COMPLEX, MODERATE, execute, stream
from tests.server.fleet import Document, five_tiers, only
from tests.server.layered import SURE, UNSURE, Layered, token, tokens
from tests.server.running import serving, until
from tests.server.walking import finished, text_of, tried
from tierway.v1 import types_pb2 as pb
from tierway_core import Request
from tierway_server.backends.base import Chunk, FinishReason, Sampling, TokenLogprob, Tool, ToolCall, Tools, Usage
from tierway_server.errors import EngineLostError, StreamBrokenError
from tierway_server.flow.escalation import REQUEST_FIELDS
from tierway_server.flow.events import Delta, Outcome, Started

LOOK_AHEAD = {"look_ahead_tokens": 4}
FAST = {"min_tier": 2}
"""Asks for tier 2, where log-probabilities come: the nano model of the tests has none."""
WEAK = tokens("It", " may", " be", " Lyon", ",", " or", " not", ".", logprob=UNSURE)
GOOD = tokens("It", " is", " Paris", ".")


def fleet(*names: str, **changes: Any) -> Document:
    document = only(five_tiers(), *(names or ("nano", "fast", "balanced")))
    return document | changes


def layered(*names: str, **escalation: Any) -> Layered:
    return Layered(fleet(*names), LOOK_AHEAD | escalation)


def outcomes(events: list[Any]) -> list[tuple[str, Outcome]]:
    return [(attempt.model, attempt.outcome) for attempt in finished(events).attempts]


@pytest.mark.parametrize("streams", [True, False])
async def test_a_weak_answer_is_replaced_by_that_of_the_next_tier(streams: bool) -> None:
    fleet = layered()
    fleet.engines["fast"].script(*WEAK)
    fleet.engines["balanced"].script(*GOOD)
    events = await fleet.events(fleet.job(asked=FAST, streams=streams))
    assert text_of(events) == "It is Paris."
    assert outcomes(events) == [("fast", Outcome.ESCALATED), ("balanced", Outcome.ANSWERED)]
    assert [attempt.outcome for attempt in tried(events)] == [Outcome.ESCALATED]
    assert isinstance(events[0], Started)
    assert sum(isinstance(event, Started) for event in events) == 1
    assert (finished(events).confidence or 0) > 0.9
    assert fleet.is_idle


@pytest.mark.parametrize("streams", [True, False])
async def test_a_good_answer_is_shown_whole_and_with_its_confidence(streams: bool) -> None:
    fleet = layered()
    fleet.engines["fast"].script(*tokens(*"abcdefgh"))
    events = await fleet.events(fleet.job(asked=FAST, streams=streams))
    assert text_of(events) == "abcdefgh"
    assert outcomes(events) == [("fast", Outcome.ANSWERED)]
    assert (finished(events).confidence or 0) > 0.9
    assert not fleet.engines["balanced"].started


async def test_a_stream_is_held_back_until_as_many_tokens_came_as_are_judged_and_flows_then() -> None:
    fleet, gate, end = layered(), asyncio.Event(), asyncio.Event()
    fleet.engines["fast"].script(token("a"), token("b"), token("c"), gate, token("d"), end, token("e", last=5))
    async with aclosing(fleet.answer(fleet.job(asked=FAST, streams=True))) as events:
        assert isinstance(await anext(events), Started)
        held = asyncio.ensure_future(anext(events))
        await until(lambda: fleet.engines["fast"].produced == 3)
        assert not held.done()
        gate.set()
        shown = [await held, *[await anext(events) for _ in range(3)]]
        assert [event.chunk.text for event in shown if isinstance(event, Delta)] == ["a", "b", "c", "d"]
        end.set()


async def test_a_weak_stream_is_stopped_before_the_second_begins_and_its_slot_is_free() -> None:
    fleet, never = layered(), asyncio.Event()
    fleet.engines["fast"].script(*[token("x", UNSURE)] * 4, never)
    gate = asyncio.Event()
    fleet.engines["balanced"].script(gate, *GOOD)
    async with aclosing(fleet.answer(fleet.job(asked=FAST, streams=True))) as events:
        assert isinstance(await anext(events), Started)
        await anext(events)  # the attempt
        following = asyncio.ensure_future(anext(events))
        await until(lambda: bool(fleet.engines["balanced"].started))
        assert not fleet.engines["fast"].running
        assert sum(fleet.state.in_flight(each.index) for each in fleet.table.deployments) == 1
        gate.set()
        assert await following == Delta(Chunk("It", 1))


@pytest.mark.parametrize("look_ahead", [1, 3, 5, 9])
@pytest.mark.parametrize("together", [1, 2, 5])
@pytest.mark.parametrize("logprob", [SURE, UNSURE])
async def test_each_character_of_one_answer_is_shown_once_however_tokens_are_put_into_chunks(
    look_ahead: int, together: int, logprob: float
) -> None:
    letters = "abcdefgh"
    fleet = layered(look_ahead_tokens=look_ahead)
    last = token("", logprob, last=len(letters))
    chunks = [
        Chunk(text, len(text), tuple(TokenLogprob(each, logprob, ()) for each in text))
        for text in (letters[at : at + together] for at in range(0, len(letters), together))
    ]
    fleet.engines["fast"].script(*chunks, replace(last, token_count=0, logprobs=()))
    fleet.engines["balanced"].script(*GOOD)
    events = await fleet.events(fleet.job(asked=FAST, streams=True))
    assert text_of(events) == (letters if logprob == SURE else "It is Paris.")
    assert fleet.is_idle


async def test_both_are_paid_for_and_the_account_says_so() -> None:
    fleet = layered()
    fleet.engines["fast"].script(*WEAK)
    fleet.engines["balanced"].script(*GOOD)
    end = finished(await fleet.events(fleet.job(asked=FAST)))
    weak, good = end.attempts
    assert (end.usage.input_tokens, end.usage.output_tokens) == (22, len(WEAK) + len(GOOD))
    assert weak.cost_picousd == 11 * 200_000 + len(WEAK) * 300_000
    assert good.cost_picousd == 11 * 800_000 + len(GOOD) * 1_200_000
    assert end.cost_picousd == weak.cost_picousd + good.cost_picousd


async def test_what_a_stopped_stream_cost_is_estimated_and_paid_from_the_budget() -> None:
    document = fleet(budgets={"all": {"limit_usd": 1.0, "period_s": 60}}, tenants={"t": {"budget": "all"}})
    layers = Layered(document, LOOK_AHEAD)
    layers.engines["fast"].script(*WEAK)
    layers.engines["balanced"].script(*GOOD)
    job = layers.job(asked=FAST | {"tenant": "t"}, streams=True)
    end = finished(await layers.events(job))
    stopped = end.attempts[0]
    assert stopped.cost_picousd == job.decision.input_tokens * 200_000 + 4 * 300_000
    assert layers.state.spent_picousd(0, 0) == end.cost_picousd
    assert layers.is_idle


@pytest.mark.parametrize("streams", [True, False])
async def test_what_a_second_answer_cost_of_which_nothing_was_shown_is_in_the_account_of_the_first(
    streams: bool,
) -> None:
    document = fleet(budgets={"all": {"limit_usd": 1.0, "period_s": 60}}, tenants={"t": {"budget": "all"}})
    layers = Layered(document, LOOK_AHEAD)
    layers.engines["fast"].script(*WEAK)
    # "EN" may be the beginning of the stop string: it was paid for, and held back.
    layers.engines["balanced"].script(token("EN"), StreamBrokenError("gone"))
    layers.engines["fast"].script(*GOOD)
    job = layers.job(asked=FAST | {"tenant": "t"}, sampling=Sampling(stop=("END",)), streams=streams)
    end = finished(await layers.events(job))
    weak, failed, shown = end.attempts
    assert [each.outcome for each in end.attempts] == [Outcome.ESCALATED, Outcome.FELL_BACK, Outcome.ANSWERED]
    assert failed.cost_picousd == job.decision.input_tokens * 800_000 + 1_200_000
    assert weak.cost_picousd + failed.cost_picousd + shown.cost_picousd == end.cost_picousd
    assert layers.state.spent_picousd(0, 0) == end.cost_picousd
    assert layers.is_idle


async def test_the_second_answer_is_not_judged_again_and_shown_as_it_comes() -> None:
    fleet = layered("nano", "fast", "balanced", "premium")
    fleet.engines["fast"].script(*WEAK)
    fleet.engines["balanced"].script(*WEAK)
    events = await fleet.events(fleet.job(asked=FAST, streams=True))
    assert outcomes(events) == [("fast", Outcome.ESCALATED), ("balanced", Outcome.ANSWERED)]
    assert (finished(events).confidence or 1) < 0.7
    assert not fleet.engines["premium"].started


async def test_words_give_a_stream_away_where_no_log_probabilities_come() -> None:
    fleet = layered()
    fleet.engines["nano"].script("I ", "don't ", "know", ", ", "sorry", ".")
    fleet.engines["fast"].script(*GOOD)
    events = await fleet.events(fleet.job(streams=True))
    assert text_of(events) == "It is Paris."
    assert outcomes(events) == [("nano", Outcome.ESCALATED), ("fast", Outcome.ANSWERED)]


async def test_a_very_short_answer_to_a_complex_query_is_weak_where_no_log_probabilities_come() -> None:
    document = fleet("nano", "fast")
    document["routing"]["floors"] = {"trivial": 1, "simple": 1, "moderate": 1, "complex": 1}
    layers = Layered(document, LOOK_AHEAD)
    for prompt, answered_by in ((COMPLEX, "fast"), (MODERATE, "nano")):
        layers.engines["nano"].script("Use ", "a queue.")
        events = await layers.events(layers.job(prompt))
        assert outcomes(events)[-1] == (answered_by, Outcome.ANSWERED)


async def test_log_probabilities_are_asked_of_who_can_give_them_and_shown_to_who_asked() -> None:
    fleet = layered()
    fleet.engines["fast"].script(*GOOD)
    unasked = await fleet.events(fleet.job(asked=FAST))
    assert fleet.engines["fast"].started[-1].sampling.top_logprobs == 0
    assert not any(event.chunk.logprobs for event in unasked if isinstance(event, Delta))

    fleet.engines["fast"].script(*GOOD)
    asked = await fleet.events(fleet.job(asked=FAST, sampling=Sampling(top_logprobs=2)))
    assert fleet.engines["fast"].started[-1].sampling.top_logprobs == 2
    assert all(event.chunk.logprobs for event in asked if isinstance(event, Delta))

    await fleet.events(fleet.job())
    assert fleet.engines["nano"].started[-1].sampling.top_logprobs is None


@pytest.mark.parametrize(
    ("asked", "job"),
    [
        (FAST | {"force_model": "fast"}, {}),
        (FAST, {"escalates": False}),
        (FAST, {"tools": Tools(tools=(Tool(name="f", description="", parameters={}),))}),
        (FAST | {"max_tier": 2}, {}),
        ({"min_tier": 3}, {}),
    ],
    ids=["forced", "forbidden", "tools", "highest tier allowed", "highest tier there is"],
)
async def test_never_for_what_is_forced_forbidden_with_tools_or_at_the_top(
    asked: dict[str, Any], job: dict[str, Any]
) -> None:
    fleet = layered()
    engine = fleet.engines["balanced" if asked == {"min_tier": 3} else "fast"]
    engine.script(*WEAK)
    events = await fleet.events(fleet.job(asked=asked, streams=True, **job))
    assert len(text_of(events)) > 10
    assert [outcome for _, outcome in outcomes(events)] == [Outcome.ANSWERED]
    assert engine.started[-1].sampling.top_logprobs is None


async def test_never_for_a_pinned_agent() -> None:
    fleet = layered("nano", "fast", "balanced", "premium", "expert")
    fleet.engines["premium"].script(*WEAK)
    events = await fleet.events(fleet.job(asked={"agent": "legal_agent"}))
    assert outcomes(events) == [("premium", Outcome.ANSWERED)]


async def test_an_answer_that_calls_a_tool_is_not_judged() -> None:
    fleet = layered()
    call = ToolCall("c", "f", "{}")
    last = WEAK[-1]
    fleet.engines["fast"].script(Chunk("", 1, last.logprobs, last.finish_reason, last.usage, (call,)))
    events = await fleet.events(fleet.job(asked=FAST))
    assert outcomes(events) == [("fast", Outcome.ANSWERED)]


@pytest.mark.parametrize("streams", [True, False])
async def test_a_weak_answer_is_shown_where_what_is_left_of_the_cost_ceiling_allows_no_other(streams: bool) -> None:
    fleet = layered()
    fleet.engines["fast"].script(*WEAK)
    ceiling = 60_000_000
    job = fleet.job(asked=FAST | {"max_cost_picousd": ceiling}, max_cost_picousd=ceiling, streams=streams)
    events = await fleet.events(job)
    assert text_of(events) == "It may be Lyon, or not."
    assert outcomes(events) == [("fast", Outcome.ANSWERED)]
    assert (finished(events).confidence or 1) < 0.7
    assert fleet.counted("tierway_escalations_forgone_total", reason="nobody") == 1


async def test_a_weak_answer_is_shown_where_the_budget_has_too_little_left() -> None:
    document = fleet(
        budgets={"all": {"limit_usd": 0.00007, "period_s": 60, "hard": True}}, tenants={"t": {"budget": "all"}}
    )
    layers = Layered(document, LOOK_AHEAD)
    layers.engines["fast"].script(*WEAK)
    events = await layers.events(layers.job(asked=FAST | {"tenant": "t"}))
    assert outcomes(events) == [("fast", Outcome.ANSWERED)]
    assert layers.counted("tierway_escalations_forgone_total", reason="nobody") == 1
    assert layers.counted("tierway_budget_refusals_total") == 0


async def test_a_weak_answer_is_shown_where_as_many_were_asked_again_as_may_be() -> None:
    fleet = layered(max_share=0.5)
    for _ in range(4):
        fleet.engines["fast"].script(*WEAK)
    events = [await fleet.events(fleet.job(asked=FAST)) for _ in range(4)]
    assert [len(finished(each).attempts) for each in events] == [1, 2, 1, 2]
    assert fleet.counted("tierway_escalations_total", tier="2", sign="logprobs") == 2
    assert fleet.counted("tierway_escalations_forgone_total", tier="2", reason="share") == 2
    assert fleet.counted("tierway_answers_judged_total", tier="2", verdict="weak") == 4


async def test_an_escalation_leaves_a_line_in_the_log_without_a_word_of_either_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet = layered()
    fleet.engines["fast"].script(*WEAK)
    with caplog.at_level("INFO"):
        await fleet.events(fleet.job(asked=FAST))
    [line] = [record for record in caplog.records if record.message == "escalated"]
    assert (line.deployment, line.by, line.sign) == ("fast@fast", "balanced@balanced", "logprobs")
    assert 0 < line.confidence < 0.7
    assert not any("Lyon" in str(record.__dict__) for record in caplog.records)


@pytest.mark.parametrize("streams", [True, False])
async def test_the_first_answer_is_shown_after_all_where_the_second_fails(streams: bool) -> None:
    fleet = layered()
    fleet.engines["fast"].script(*WEAK)
    fleet.engines["fast"].script(*WEAK)
    fleet.engines["balanced"].script(EngineLostError("gone"))
    events = await fleet.events(fleet.job(asked=FAST, streams=streams))
    assert text_of(events) == "It may be Lyon, or not."
    assert outcomes(events) == [
        ("fast", Outcome.ESCALATED),
        ("balanced", Outcome.FELL_BACK),
        ("fast", Outcome.ANSWERED),
    ]
    assert len(fleet.engines["fast"].started) == (2 if streams else 1)
    end = finished(events)
    assert end.cost_picousd == sum(attempt.cost_picousd for attempt in end.attempts)
    assert fleet.is_idle


async def test_the_first_answer_never_follows_on_text_of_the_second() -> None:
    fleet = layered()
    for _ in range(2):
        fleet.engines["fast"].script(*WEAK)
    # The end may be the beginning of a stop text, and waits; the rest is shown, its tokens are counted with the end.
    fleet.engines["balanced"].script(Chunk("the E", 1), StreamBrokenError("cut"))
    with pytest.raises(StreamBrokenError):
        await fleet.events(fleet.job(asked=FAST, streams=True, sampling=Sampling(stop=("END",))))
    assert fleet.is_idle


async def test_the_first_answer_that_is_asked_for_anew_may_cost_what_is_left() -> None:
    fleet = layered()
    for _ in range(2):
        fleet.engines["fast"].script(*WEAK)
    fleet.engines["balanced"].script(EngineLostError("gone"))
    ceiling_picousd = 10**12
    end = finished(await fleet.events(fleet.job(asked=FAST, streams=True, max_cost_picousd=ceiling_picousd)))
    ceilings = [generation.cost_ceiling for generation in fleet.engines["fast"].started]
    assert [ceiling and ceiling.max_picousd for ceiling in ceilings] == [
        ceiling_picousd,
        ceiling_picousd - end.attempts[0].cost_picousd,
    ]


async def test_the_first_answer_that_is_shown_after_all_took_as_long_as_all_of_it() -> None:
    fleet, gate = layered(), asyncio.Event()
    fleet.engines["fast"].script(*WEAK)
    fleet.engines["balanced"].script(gate, EngineLostError("gone"))
    job = fleet.job(asked=FAST)
    answer = asyncio.create_task(fleet.events(job))
    await until(lambda: bool(fleet.engines["balanced"].running))
    asked_again_s = time.perf_counter()
    gate.set()
    assert job.arrived_s + finished(await answer).timings.total_s >= asked_again_s


@pytest.mark.parametrize("streams", [True, False])
async def test_what_a_filter_ended_is_not_asked_of_another(streams: bool) -> None:
    fleet = layered()
    fleet.engines["fast"].script(Chunk("", 1), Chunk("", 0, (), FinishReason.CONTENT_FILTER, Usage(11, 0, 1)))
    events = await fleet.events(fleet.job(asked=FAST, streams=streams))
    assert outcomes(events) == [("fast", Outcome.ANSWERED)]
    assert finished(events).finish_reason is FinishReason.CONTENT_FILTER
    assert finished(events).confidence is None


async def test_what_breaks_off_after_the_second_began_is_told_as_ever() -> None:
    fleet = layered()
    fleet.engines["fast"].script(*WEAK)
    fleet.engines["balanced"].script(token("It"), StreamBrokenError("cut"))
    with pytest.raises(StreamBrokenError):
        await fleet.events(fleet.job(asked=FAST, allow_takeover=False))
    assert fleet.is_idle


async def test_an_answer_that_was_hard_to_get_is_not_asked_again() -> None:
    fleet = layered("nano", "fast", "balanced", "premium")
    fleet.engines["fast"].script(EngineLostError("gone"))
    fleet.engines["balanced"].script(*WEAK)
    events = await fleet.events(fleet.job(asked=FAST, streams=True))
    assert outcomes(events) == [("fast", Outcome.FELL_BACK), ("balanced", Outcome.ANSWERED)]


async def test_who_leaves_while_it_is_held_back_or_asked_again_leaves_nothing_behind() -> None:
    for first, second in (([token("a", SURE), asyncio.Event()], []), (WEAK, [asyncio.Event()])):
        fleet = layered()
        fleet.engines["fast"].script(*first)
        fleet.engines["balanced"].script(*second)
        waiting = asyncio.ensure_future(fleet.events(fleet.job(asked=FAST, streams=True)))
        last = fleet.engines["balanced" if second else "fast"]
        await until(lambda last=last: bool(last.running))  # type: ignore[misc]
        waiting.cancel()
        await asyncio.wait([waiting])
        assert fleet.is_idle


def test_the_second_decision_reads_all_that_a_request_states() -> None:
    stated = {name: getattr(Request("Hello"), name) for name in REQUEST_FIELDS}
    assert stated.pop("text") == "Hello"
    again = Request("Hello", **stated)
    assert {name: getattr(again, name) for name in stated} == stated


async def test_over_the_wire_both_replies_tell_of_the_escalation() -> None:
    document = fleet(escalation={"enabled": True, "max_share": 1.0, **LOOK_AHEAD})
    async with serving(document) as server:
        for _ in range(2):
            server.engine("fast").script(*WEAK)
            server.engine("balanced").script(*GOOD)
        reply = await server.router.Execute(execute(min_tier=2))
        *events, last = await server.stream(stream(min_tier=2))
        assert reply.text == "".join(event.delta.text for event in events) == "It is Paris."
        for end in (reply, last.finished):
            assert [attempt.outcome for attempt in end.attempts] == [
                pb.ATTEMPT_OUTCOME_ESCALATED,
                pb.ATTEMPT_OUTCOME_ANSWERED,
            ]
            assert end.confidence > 0.9
        assert reply.decision.model == "fast"
        server.engine("fast").script(*WEAK)
        forbidden = await server.router.Execute(execute(min_tier=2, allow_escalation=False))
        assert forbidden.text == "It may be Lyon, or not."


async def test_by_default_nothing_is_judged() -> None:
    async with serving(fleet()) as server:
        server.engine("fast").script(*WEAK)
        reply = await server.router.Execute(execute(min_tier=2))
        assert not reply.HasField("confidence")
        assert server.engine("fast").started[-1].sampling.top_logprobs is None

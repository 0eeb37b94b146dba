import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2

from tests.server.asking import IMAGE, execute, stream, text_of, turn, user
from tests.server.conftest import Serve
from tests.server.fleet import CAPACITY, five_tiers, only
from tests.server.granting import granting
from tests.server.refusal import refused
from tests.server.running import RunningServer, until
from tests.server.scripted_engine import CACHED_INPUT_TOKENS, INPUT_TOKENS
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_server.backends.base import (
    Chunk,
    FinishReason,
    Image,
    Message,
    Role,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolMode,
    Tools,
    Usage,
)
from tierway_server.errors import (
    ContextTooLongError,
    EngineLostError,
    InvalidRequestError,
    NotReadyError,
    StreamBrokenError,
)
from tierway_server.flow.priority import Priority
from tierway_server.rpc.router_service import RouterService

ANSWERED = pb.ATTEMPT_OUTCOME_ANSWERED
FELL_BACK = pb.ATTEMPT_OUTCOME_FELL_BACK


def attempts_of(attempts: object) -> list[tuple[str, int, str]]:
    return [(attempt.model, attempt.outcome, attempt.reason) for attempt in attempts]  # type: ignore[attr-defined]


async def test_the_reply_is_the_whole_answer_with_its_account(server: RunningServer) -> None:
    reply = await server.router.Execute(execute("What is the capital of France?"))
    assert reply.text == "Paris it is."
    assert reply.decision.model == "nano"
    assert (reply.usage.input_tokens, reply.usage.cached_input_tokens, reply.usage.output_tokens) == (
        INPUT_TOKENS,
        CACHED_INPUT_TOKENS,
        3,
    )
    assert reply.finish_reason == pb.FINISH_REASON_STOP
    assert attempts_of(reply.attempts) == [("nano", ANSWERED, "")]
    assert reply.attempts[0].deployment == "nano@nano"
    assert server.engine().started[0].id == reply.decision.decision_id
    await server.until_idle()


async def test_the_cost_is_exact_to_the_pico_dollar_with_cached_input_at_its_own_price(server: RunningServer) -> None:
    reply = await server.router.Execute(execute())
    fresh_tokens = INPUT_TOKENS - CACHED_INPUT_TOKENS
    assert round(reply.cost_usd * 1e12) == fresh_tokens * 50_000 + CACHED_INPUT_TOKENS * 10_000 + 3 * 100_000


async def test_the_price_is_that_of_the_model_that_answered(server: RunningServer) -> None:
    server.engine("nano").script(EngineLostError("gone"))
    reply = await server.router.Execute(execute())
    assert round(reply.cost_usd * 1e12) == INPUT_TOKENS * 200_000 + 3 * 300_000


async def test_timings_follow_each_other(server: RunningServer) -> None:
    reply = await server.router.Execute(execute())
    timings = reply.timings
    durations = [
        time.ToNanoseconds() for time in (timings.decision_time, timings.time_to_first_token, timings.total_time)
    ]
    assert 0 < durations[0] <= durations[1] <= durations[2]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [(FinishReason.LENGTH, pb.FINISH_REASON_LENGTH), (FinishReason.CONTENT_FILTER, pb.FINISH_REASON_CONTENT_FILTER)],
)
async def test_the_finish_reason_is_the_engines(server: RunningServer, reason: FinishReason, expected: int) -> None:
    server.engine().script(Chunk("x", 1, finish_reason=reason, usage=Usage(1, 0, 1)))
    assert (await server.router.Execute(execute())).finish_reason == expected


async def test_logprobs_come_token_by_token(server: RunningServer) -> None:
    first = TokenLogprob("Yes", -0.25, (("Yes", -0.25), ("No", -1.5)))
    second = TokenLogprob("!", 0.0, ())
    server.engine("fast").script(Chunk("Yes", 1, (first,)), Chunk("!", 1, (second,), FinishReason.STOP, Usage(1, 0, 2)))
    reply = await server.router.Execute(execute(sampling=pb.Sampling(top_logprobs=2)))
    assert [(entry.token, entry.logprob) for entry in reply.logprobs] == [("Yes", -0.25), ("!", 0.0)]
    assert [(top.token, top.logprob) for top in reply.logprobs[0].top] == [("Yes", -0.25), ("No", -1.5)]


async def test_the_engine_is_told_the_whole_conversation(server: RunningServer) -> None:
    query = pb.Query(
        messages=[turn(pb.ROLE_SYSTEM, "Be brief"), user("Hi"), turn(pb.ROLE_ASSISTANT, "Ho"), user("One", "two")]
    )
    await server.router.Execute(rpc.ExecuteRequest(query=query))
    told = [(message.role, message.text) for message in server.engine().started[0].messages]
    assert told == [(Role.SYSTEM, "Be brief"), (Role.USER, "Hi"), (Role.ASSISTANT, "Ho"), (Role.USER, "One\ntwo")]


async def test_an_image_is_never_left_out_in_silence(server: RunningServer) -> None:
    """Either the engine sees it, or the caller hears that nobody will look at it."""
    by_address = pb.Part(image=pb.Image(uri="https://a.example/b.png"))
    query = pb.Query(messages=[user("What is", IMAGE, "and", by_address)])
    await server.router.Execute(rpc.ExecuteRequest(query=query))
    [told] = server.engine("premium").started[0].messages
    data = Image(data=IMAGE.image.data, mime_type="image/png")
    assert told.parts == ("What is", data, "and", Image(uri="https://a.example/b.png"))
    assert told.text == "What is\nand"


async def test_the_engine_is_told_of_tools_and_what_has_come_of_them(server: RunningServer) -> None:
    parameters = struct_pb2.Struct()
    parameters.update({"type": "object", "properties": {"at": {"type": "string", "maxLength": 80}}})
    query = pb.Query(
        messages=[
            user("How warm is it?"),
            pb.Message(
                role=pb.ROLE_ASSISTANT, tool_calls=[pb.ToolCall(id="c-1", name="weather", arguments='{"at": "Köln"}')]
            ),
            pb.Message(role=pb.ROLE_TOOL, tool_call_id="c-1", parts=[pb.Part(text="7")]),
        ],
        tools=[pb.Tool(name="weather", description="The weather", parameters=parameters)],
        tool_choice=pb.ToolChoice(mode=pb.TOOL_MODE_REQUIRED, parallel=False),
    )
    await server.router.Execute(rpc.ExecuteRequest(query=query))
    [told] = server.engine().started
    assert told.messages[1:] == (
        Message(Role.ASSISTANT, "", tool_calls=(ToolCall("c-1", "weather", '{"at": "Köln"}'),)),
        Message(Role.TOOL, "7", tool_call_id="c-1"),
    )
    schema = {"type": "object", "properties": {"at": {"type": "string", "maxLength": 80}}}
    weather = Tool(name="weather", description="The weather", parameters=schema)
    assert told.tools == Tools(tools=(weather,), mode=ToolMode.REQUIRED, parallel=False)


async def test_calls_of_the_model_come_whole(server: RunningServer) -> None:
    calls = (ToolCall("c-1", "weather", '{"at": "Köln"}'), ToolCall("c-2", "time", "{}"))
    usage = Usage(11, 4, 9, reasoning_tokens=3)
    for _ in range(2):
        server.engine().script(
            "Let me see.", Chunk("", 8, finish_reason=FinishReason.TOOL_CALLS, usage=usage, tool_calls=calls)
        )
    reply = await server.router.Execute(execute())
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        ("c-1", "weather", '{"at": "Köln"}'),
        ("c-2", "time", "{}"),
    ]
    assert (reply.text, reply.finish_reason) == ("Let me see.", pb.FINISH_REASON_TOOL_CALLS)
    assert reply.usage.reasoning_tokens == 3
    events = await server.stream(stream())
    assert [list(event.delta.tool_calls) for event in events if event.delta.tool_calls] == [list(reply.tool_calls)]
    assert text_of(events) == "Let me see."


@pytest.mark.parametrize(
    ("metadata", "preferred", "priority"),
    [
        ((), {}, Priority.NORMAL),
        ((("tierway-priority", "batch"),), {}, Priority.BATCH),
        ((("tierway-priority", "batch"),), {"priority": pb.PRIORITY_INTERACTIVE}, Priority.INTERACTIVE),
    ],
)
async def test_a_request_s_own_priority_stands_above_that_of_the_metadata(
    server: RunningServer,
    monkeypatch: pytest.MonkeyPatch,
    metadata: tuple[tuple[str, str], ...],
    preferred: dict[str, pb.Priority],
    priority: Priority,
) -> None:
    seen = []
    make = RouterService._job

    def record(self: RouterService, *args: Any) -> Any:
        seen.append(make(self, *args))
        return seen[-1]

    monkeypatch.setattr(RouterService, "_job", record)
    await server.router.Execute(execute(**preferred), metadata=metadata)
    assert [job.priority for job in seen] == [priority]


class TestFallback:
    @pytest.mark.parametrize(
        "failure", [EngineLostError("gone"), NotReadyError("starting"), ContextTooLongError("too long")]
    )
    async def test_follows_the_chain_when_a_try_fails_before_its_first_token(
        self, server: RunningServer, failure: Exception
    ) -> None:
        server.engine("nano").script(failure)
        server.engine("fast").script(failure)
        reply = await server.router.Execute(execute())
        assert reply.text == "Paris it is."
        assert reply.decision.model == "nano"
        reason = failure.reason  # type: ignore[attr-defined]
        assert attempts_of(reply.attempts) == [
            ("nano", FELL_BACK, reason),
            ("fast", FELL_BACK, reason),
            ("balanced", ANSWERED, ""),
        ]
        generations = [server.engine(name).started[0].id for name in ("nano", "fast", "balanced")]
        assert len(set(generations)) == 3
        await server.until_idle()

    async def test_ends_with_the_last_refusal_when_the_chain_does(self, server: RunningServer) -> None:
        for name in ("nano", "fast"):
            server.engine(name).script(EngineLostError("gone", retry_after_s=1.0))
        refusal = await refused(server.router.Execute(execute(max_tier=2)))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "ENGINE_LOST")
        assert refusal.retry_delay_s == 1.0
        await server.until_idle()

    async def test_after_the_first_token_goes_on_where_the_text_broke_off(self, server: RunningServer) -> None:
        server.engine("nano").script("Par", StreamBrokenError("gone"))
        server.engine("fast").script("is", " it is.")
        reply = await server.router.Execute(execute())
        assert reply.text == "Paris it is."
        assert [(attempt.model, attempt.outcome, attempt.text_characters) for attempt in reply.attempts] == [
            ("nano", pb.ATTEMPT_OUTCOME_BROKE_OFF, 3),
            ("fast", pb.ATTEMPT_OUTCOME_ANSWERED, 12),
        ]
        await server.until_idle()

    async def test_never_follows_the_first_token_if_the_caller_says_so(self, server: RunningServer) -> None:
        server.engine("nano").script("Par", StreamBrokenError("gone"))
        refusal = await refused(server.router.Execute(execute(allow_takeover=False)))
        assert (refusal.code.name, refusal.reason) == ("INTERNAL", "ENGINE_LOST")
        assert not server.engine("fast").started
        await server.until_idle()

    async def test_never_follows_the_first_token_whatever_the_failure_claims(self, server: RunningServer) -> None:
        server.engine("nano").script("Par", NotReadyError("starting"))
        await refused(server.router.Execute(execute()))
        assert not server.engine("fast").started

    async def test_can_be_refused_by_the_caller(self, server: RunningServer) -> None:
        server.engine("nano").script(EngineLostError("gone"))
        refusal = await refused(server.router.Execute(execute(allow_fallback=False)))
        assert refusal.reason == "ENGINE_LOST"
        assert not server.engine("fast").started

    async def test_does_not_follow_a_fault_of_the_client(self, server: RunningServer) -> None:
        server.engine("nano").script(InvalidRequestError("cannot do that", field="sampling"))
        refusal = await refused(server.router.Execute(execute()))
        assert (refusal.code.name, refusal.violated_fields) == ("INVALID_ARGUMENT", ["sampling"])
        assert not server.engine("fast").started

    async def test_does_not_follow_a_fault_of_ours(self, server: RunningServer) -> None:
        server.engine("nano").script(ValueError("hunter2"))
        refusal = await refused(server.router.Execute(execute()))
        assert (refusal.code.name, refusal.reason) == ("INTERNAL", "INTERNAL")
        assert "hunter2" not in str(refusal)
        assert not server.engine("fast").started
        await server.until_idle()

    async def test_follows_an_engine_that_dies_while_the_request_waits_for_it(self, server: RunningServer) -> None:
        server.engine("nano").script(asyncio.Event(), "never")
        call = server.router.Execute(execute())
        await until(lambda: bool(server.engine("nano").started))
        nano = server.engine("nano")
        nano.death.set()
        reply = await call
        assert attempts_of(reply.attempts) == [("nano", FELL_BACK, "ENGINE_LOST"), ("fast", ANSWERED, "")]
        assert nano.shutdowns == 1


async def test_an_engine_that_ends_without_its_account_has_broken_off(server: RunningServer) -> None:
    server.engine().script(Chunk("half", 1))
    refusal = await refused(server.router.Execute(execute(allow_fallback=False)))
    assert (refusal.code.name, refusal.reason) == ("INTERNAL", "ENGINE_LOST")
    await server.until_idle()


async def test_an_engine_that_ends_without_a_word_gave_no_answer(serve: Serve) -> None:
    server = await serve(granting(only(five_tiers(), "nano"), retries={"max_retries": 0}))
    server.engine().repeat(())
    refusal = await refused(server.router.Execute(execute()))
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "PROVIDER_FAILED")
    await server.until_idle()


class TestQueue:
    async def fill(self, server: RunningServer, gate: asyncio.Event) -> list[Any]:
        for _ in range(CAPACITY):
            server.engine().script(gate, "done")
        calls = [server.router.Execute(execute(allow_fallback=False)) for _ in range(CAPACITY)]
        await until(lambda: len(server.engine().started) == CAPACITY)
        return calls

    async def test_one_more_than_fits_is_refused_with_when_to_come_back(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        calls = await self.fill(server, gate)
        refusal = await refused(server.router.Execute(execute(allow_fallback=False)))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "QUEUE_FULL")
        assert refusal.retry_delay_s
        assert refusal.trailers["grpc-retry-pushback-ms"] == str(round(refusal.retry_delay_s * 1000))
        assert len(server.engine().started) == CAPACITY
        gate.set()
        assert [reply.text for reply in await asyncio.gather(*calls)] == ["done"] * CAPACITY
        await server.until_idle()

    async def test_one_more_than_fits_falls_back_when_it_may(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        calls = await self.fill(server, gate)
        reply = await server.router.Execute(execute())
        assert attempts_of(reply.attempts) == [("nano", FELL_BACK, "QUEUE_FULL"), ("fast", ANSWERED, "")]
        gate.set()
        await asyncio.gather(*calls)

    async def test_a_caller_that_leaves_makes_room(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        calls = await self.fill(server, gate)
        calls[0].cancel()
        await until(lambda: server.in_flight == CAPACITY - 1)
        server.engine().script("room")
        assert (await server.router.Execute(execute(allow_fallback=False))).text == "room"
        gate.set()

    async def test_two_deployments_on_one_engine_share_its_room(self, serve: Serve) -> None:
        document = only(five_tiers(), "nano")
        document["models"][0]["deployments"] = [{"name": "one", "engine": "nano"}, {"name": "two", "engine": "nano"}]
        server = await serve(document)
        for _ in range(CAPACITY):
            server.engine().script(asyncio.Event(), "never")
        calls = [server.router.Execute(execute(allow_fallback=False)) for _ in range(CAPACITY)]
        await until(lambda: len(server.engine().started) == CAPACITY)
        refusal = await refused(server.router.Execute(execute(allow_fallback=False)))
        assert refusal.reason == "QUEUE_FULL"
        for call in calls:
            call.cancel()


class TestLeaving:
    """However a caller goes, its generation is closed and its slot is free."""

    @pytest.mark.parametrize("steps", [(), ("Par",)], ids=["before the first token", "in the middle"])
    async def test_by_cancelling(self, server: RunningServer, steps: tuple[str, ...]) -> None:
        server.engine().script(*steps, asyncio.Event(), "never")
        call = server.router.Execute(execute())
        await until(lambda: server.engine().produced == len(steps) and bool(server.engine().started))
        call.cancel()
        await server.until_idle()
        assert server.engine().closed == [server.engine().started[0].id]

    @pytest.mark.parametrize("steps", [(), ("Par",)], ids=["before the first token", "in the middle"])
    async def test_by_deadline(self, server: RunningServer, steps: tuple[str, ...]) -> None:
        server.engine().script(*steps, asyncio.Event(), "never")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.router.Execute(execute(allow_fallback=False), timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await server.until_idle()

    async def test_by_the_servers_default_deadline(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(default_deadline_s=0.1), "nano"))
        server.engine().script("Par", asyncio.Event(), "never")
        refusal = await refused(server.router.Execute(execute()))
        assert (refusal.code.name, refusal.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
        await server.until_idle()

    async def test_by_the_servers_longest_deadline(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(default_deadline_s=0.1, max_deadline_s=0.1), "nano"))
        server.engine().script(asyncio.Event(), "never")
        refusal = await refused(server.router.Execute(execute(), timeout=600))
        assert refusal.reason == "DEADLINE_EXCEEDED"
        await server.until_idle()

    async def test_by_closing_the_connection(self, server: RunningServer) -> None:
        server.engine().script(asyncio.Event(), "never")
        call = server.router.Execute(execute())
        await until(lambda: bool(server.engine().started))
        await server.channel.close()
        await server.until_idle()
        assert call.done()


async def test_execute_is_the_stream_folded(server: RunningServer) -> None:
    for _ in range(2):
        server.engine("nano").script(EngineLostError("gone"))
        server.engine("fast").script("Par", Chunk("", 1), "is", ".")
    reply = await server.router.Execute(execute())
    events = await server.stream(stream())
    finished = events[-1].finished
    assert text_of(events) == reply.text
    assert (finished.usage, finished.cost_usd, finished.finish_reason) == (
        reply.usage,
        reply.cost_usd,
        reply.finish_reason,
    )
    assert list(finished.attempts) == list(reply.attempts)
    decisions = [reply.decision, events[0].started.decision]
    for decision in decisions:
        decision.ClearField("decision_id")
    assert decisions[0] == decisions[1]

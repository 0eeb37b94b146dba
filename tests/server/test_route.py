import asyncio
import re
from typing import Any

import pytest
from google.rpc import error_details_pb2

from tests.server.asking import COMPLEX, IMAGE, MODERATE, SIMPLE, TRIVIAL, execute, explain, route, stream, turn, user
from tests.server.fleet import HASH, five_tiers, only, text_only
from tests.server.refusal import refused
from tests.server.running import RunningServer, serving
from tests.server.scripted_engine import ScriptedLauncher
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_server.backends.image_tokens import UNKNOWN

pytestmark = pytest.mark.asyncio(loop_scope="module")

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def codes(decision: pb.Decision) -> list[str]:
    return [pb.ReasonCode.Name(reason.code).removeprefix("REASON_CODE_") for reason in decision.reasons]


async def decide(server: RunningServer, request: rpc.RouteRequest) -> pb.Decision:
    reply: rpc.RouteResponse = await server.router.Route(request)
    return reply.decision


@pytest.mark.parametrize(
    ("prompt", "complexity", "model"),
    [
        (TRIVIAL, pb.COMPLEXITY_TRIVIAL, "nano"),
        (SIMPLE, pb.COMPLEXITY_SIMPLE, "fast"),
        (MODERATE, pb.COMPLEXITY_MODERATE, "balanced"),
        (COMPLEX, pb.COMPLEXITY_COMPLEX, "premium"),
    ],
)
async def test_the_class_of_the_query_sets_the_tier(
    shared_server: RunningServer, prompt: str, complexity: pb.Complexity, model: str
) -> None:
    decision = await decide(shared_server, route(prompt))
    assert (decision.complexity, decision.model) == (complexity, model)
    assert decision.tier == ["nano", "fast", "balanced", "premium"].index(model) + 1
    assert (decision.deployment, decision.provider) == (f"{model}@{model}", "vllm")
    assert codes(decision)[0] == "COMPLEXITY_FLOOR"
    assert codes(decision)[-1] == "CHEAPEST"
    assert UUID7.fullmatch(decision.decision_id)
    assert not decision.HasField("confidence")


@pytest.mark.parametrize(
    ("prompt", "preferences", "model", "reason"),
    [
        (TRIVIAL, {"agent": "security_agent"}, "premium", "PIN_AGENT"),
        ("What does the constitution say?", {}, "expert", "PIN_GOVERNANCE"),
        ("What is in this picture?", {}, "premium", "PREFER_VISION"),
        (COMPLEX, {"force_model": "nano"}, "nano", "FORCED_MODEL"),
        (TRIVIAL, {"task_type": "contracts"}, "balanced", "TASK_TYPE_FLOOR"),
        (TRIVIAL, {"min_tier": 4}, "premium", "FILTERED_TIER"),
        (COMPLEX, {"max_tier": 2}, "fast", "FLOOR_DEGRADED"),
        (COMPLEX, {"max_cost_usd": 0.0001}, "nano", "FILTERED_COST"),
        (TRIVIAL, {"min_compliance": 0.9}, "premium", "FILTERED_COMPLIANCE"),
    ],
)
async def test_pins_and_limits_set_the_model_and_say_so(
    shared_server: RunningServer, prompt: str, preferences: dict[str, Any], model: str, reason: str
) -> None:
    decision = await decide(shared_server, route(prompt, **preferences))
    assert decision.model == model
    assert reason in codes(decision)


async def test_an_image_is_for_models_that_see(shared_server: RunningServer) -> None:
    request = rpc.RouteRequest(query=pb.Query(messages=[user("What is this?", IMAGE)]))
    decision = await decide(shared_server, request)
    assert decision.model == "premium"
    assert decision.complexity == pb.COMPLEXITY_VISION
    assert {"PIN_VISION", "FILTERED_VISION"} <= set(codes(decision))


async def test_images_count_as_input(shared_server: RunningServer) -> None:
    async def cost_usd(*parts: str | pb.Part) -> float:
        query = pb.Query(messages=[user("What is in this picture?", *parts)])
        return (await decide(shared_server, rpc.RouteRequest(query=query))).estimated_cost_usd

    of_text, of_one, of_two = await cost_usd(), await cost_usd(IMAGE), await cost_usd(IMAGE, IMAGE)
    price_usd = 2.0e-6
    assert of_one - of_text == pytest.approx(UNKNOWN * price_usd)
    assert of_two - of_text == pytest.approx(2 * UNKNOWN * price_usd)


async def test_images_that_do_not_fit_a_context_leave_its_models_out(shared_server: RunningServer) -> None:
    fitting = rpc.RouteRequest(query=pb.Query(messages=[user("Compare these.", *[IMAGE] * 5)]))
    assert (await decide(shared_server, fitting)).model == "premium"
    fitting.query.messages[0].parts.append(IMAGE)
    refusal = await refused(shared_server.router.Route(fitting))
    assert refusal.reason == "CONTEXT_TOO_LONG"


async def test_a_latency_budget_leaves_out_what_is_slower(shared_server: RunningServer) -> None:
    request = route(COMPLEX)
    request.preferences.latency_budget.FromMilliseconds(250)
    decision = await decide(shared_server, request)
    assert decision.model == "balanced"
    assert "FILTERED_LATENCY" in codes(decision)


async def test_a_forced_model_beats_a_pin_but_not_a_limit_of_the_same_request(shared_server: RunningServer) -> None:
    decision = await decide(shared_server, route("Our constitution", agent="security_agent", force_model="nano"))
    assert decision.model == "nano"
    refusal = await refused(shared_server.router.Route(route(force_model="nano", min_tier=2)))
    assert refusal.reason == "PIN_UNSATISFIABLE"


async def test_only_the_last_turn_of_the_user_is_judged_and_the_rest_counts_as_input(
    shared_server: RunningServer,
) -> None:
    history = [turn(pb.ROLE_SYSTEM, COMPLEX), user(COMPLEX), turn(pb.ROLE_ASSISTANT, "word " * 300), user(TRIVIAL)]
    alone = await decide(shared_server, route(TRIVIAL))
    decision = await decide(shared_server, rpc.RouteRequest(query=pb.Query(messages=history)))
    assert decision.complexity == alone.complexity == pb.COMPLEXITY_TRIVIAL
    assert decision.estimated_cost_usd > alone.estimated_cost_usd


async def test_on_the_way_to_an_answer_the_question_is_judged_and_what_tools_said_counts_as_input(
    shared_server: RunningServer,
) -> None:
    called = pb.Message(role=pb.ROLE_ASSISTANT, tool_calls=[pb.ToolCall(id="c", name="f", arguments="{}")])

    def result(text: str) -> pb.Message:
        return pb.Message(role=pb.ROLE_TOOL, tool_call_id="c", parts=[pb.Part(text=text)])

    async def decided(*messages: pb.Message) -> pb.Decision:
        return await decide(shared_server, rpc.RouteRequest(query=pb.Query(messages=messages)))

    hard = await decided(user(COMPLEX), called, result(TRIVIAL))
    assert hard.complexity == (await decide(shared_server, route(COMPLEX))).complexity == pb.COMPLEXITY_COMPLEX
    easy = await decided(user(TRIVIAL), called, result(COMPLEX * 20))
    assert easy.complexity == pb.COMPLEXITY_TRIVIAL
    assert easy.estimated_cost_usd > (await decided(user(TRIVIAL), called, result("7"))).estimated_cost_usd


async def test_the_chain_follows_the_configuration_and_is_empty_when_fallback_is_refused(
    shared_server: RunningServer,
) -> None:
    decision = await decide(shared_server, route())
    assert list(decision.fallback_chain) == ["fast", "balanced", "premium", "expert"]
    assert list((await decide(shared_server, route(max_tier=3))).fallback_chain) == ["fast", "balanced"]
    assert list((await decide(shared_server, route(allow_fallback=False))).fallback_chain) == []


async def test_the_estimate_is_tokens_times_price(shared_server: RunningServer) -> None:
    # 11 ASCII characters are 3 tokens; nano reads at 0.05 and writes at 0.1 USD a million.
    decision = await decide(shared_server, route(TRIVIAL, sampling=pb.Sampling(max_tokens=10)))
    assert round(decision.estimated_cost_usd * 1e12) == 3 * 50_000 + 10 * 100_000
    assert decision.compliance_score == 0.82


async def test_an_unavailable_deployment_is_left_out() -> None:
    document = only(five_tiers(), "nano", "fast")
    document["engines"]["nano"]["model"] = "/nowhere"
    async with serving(document, ready=False) as server:
        while not server.process.engines.all[0].availability.is_available:
            await server.router.ListModels(rpc.ListModelsRequest())
        decision = await decide(server, route())
        assert decision.model == "fast"
        assert "FILTERED_UNAVAILABLE" in codes(decision)


async def test_while_what_fits_is_starting_the_refusal_says_so_and_when_to_come_back() -> None:
    launcher = ScriptedLauncher()
    launcher.gate = asyncio.Event()  # never set
    async with serving(only(five_tiers(), "nano"), launcher, ready=False) as server:
        refusal = await refused(server.router.Route(route()))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "NO_DEPLOYMENT_AVAILABLE")
        assert "starting" in refusal.message
        assert refusal.retry_delay_s
        assert refusal.trailers["grpc-retry-pushback-ms"] == str(round(refusal.retry_delay_s * 1000))


async def test_where_nothing_can_come_up_by_itself_nobody_is_told_to_come_back() -> None:
    document = only(five_tiers(), "nano")
    document["engines"]["nano"]["model"] = "/nowhere"
    async with serving(document, ready=False) as server:
        refusal = await refused(server.router.Route(route()))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "NO_DEPLOYMENT_AVAILABLE")
        assert refusal.retry_delay_s is None
        # gRPC's own retries take a negative push-back for "not again".
        assert refusal.trailers["grpc-retry-pushback-ms"] == "-1"


@pytest.mark.parametrize(
    ("preferences", "prompt"), [({"agent": "legal_agent"}, TRIVIAL), ({}, "Who wrote the constitution?")]
)
async def test_a_pin_that_nothing_satisfies_is_refused(preferences: dict[str, Any], prompt: str) -> None:
    async with serving(text_only()) as server:
        refusal = await refused(server.router.Route(route(prompt, **preferences)))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "PIN_UNSATISFIABLE")


class TestHash:
    async def test_is_on_every_reply_and_in_the_trailers(self, shared_server: RunningServer) -> None:
        router = shared_server.router
        calls = [
            router.Route(route()),
            router.Explain(explain()),
            router.RouteBatch(rpc.RouteBatchRequest(requests=[route()])),
            router.Execute(execute()),
            router.ListModels(rpc.ListModelsRequest()),
            router.GetStats(rpc.GetStatsRequest()),
        ]
        for call in calls:
            assert (await call).constitution_hash == HASH
            assert dict(await call.trailing_metadata())["tierway-constitution-hash"] == HASH

    async def test_is_in_the_first_and_the_last_event_and_the_trailers_of_a_stream(
        self, shared_server: RunningServer
    ) -> None:
        call = shared_server.router.Stream(stream())
        events = [event async for event in call]
        assert events[0].started.constitution_hash == events[-1].finished.constitution_hash == HASH
        assert dict(await call.trailing_metadata())["tierway-constitution-hash"] == HASH

    async def test_is_in_the_trailers_of_a_refusal(self, shared_server: RunningServer) -> None:
        refusal = await refused(shared_server.router.Route(rpc.RouteRequest()))
        assert refusal.trailers["tierway-constitution-hash"] == HASH

    async def test_is_decided_under_when_the_expected_one_is_the_same(self, shared_server: RunningServer) -> None:
        assert (await decide(shared_server, route(expected_constitution_hash=HASH))).model

    async def test_is_the_configured_one(self) -> None:
        async with serving(only(five_tiers(), "nano") | {"constitution": {"hash": "0123456789abcdef"}}) as server:
            assert (await server.router.Route(route())).constitution_hash == "0123456789abcdef"


class TestRequestId:
    async def test_of_the_request_comes_back(self, shared_server: RunningServer) -> None:
        reply = await shared_server.router.Route(route(request_id="mine-1"), metadata=(("x-request-id", "other"),))
        assert reply.request_id == "mine-1"

    async def test_of_the_metadata_is_the_next_choice(self, shared_server: RunningServer) -> None:
        reply = await shared_server.router.Route(route(), metadata=(("x-request-id", "from.metadata:1"),))
        assert reply.request_id == "from.metadata:1"

    async def test_is_made_when_none_is_stated(self, shared_server: RunningServer) -> None:
        first, second = [(await shared_server.router.Route(route())).request_id for _ in range(2)]
        assert UUID7.fullmatch(first)
        assert UUID7.fullmatch(second)
        assert first != second

    async def test_of_a_decision_is_in_the_trailing_metadata(self, shared_server: RunningServer) -> None:
        call = shared_server.router.Route(route(request_id="mine-2"))
        assert dict(await call.trailing_metadata()).get("x-request-id") == "mine-2"

    @pytest.mark.parametrize("method", ["Execute", "Stream"])
    async def test_of_an_answer_is_in_the_trailing_metadata(self, shared_server: RunningServer, method: str) -> None:
        request = {"Execute": execute, "Stream": stream}[method](request_id="mine-2")
        call = getattr(shared_server.router, method)(request)
        if method == "Stream":
            assert [event async for event in call]
        assert dict(await call.trailing_metadata()).get("x-request-id") == "mine-2"
        await shared_server.until_idle()

    async def test_is_in_the_details_of_a_refusal(self, shared_server: RunningServer) -> None:
        refusal = await refused(shared_server.router.Route(route("", request_id="mine-3")))
        info = refusal.detail(error_details_pb2.RequestInfo)
        assert info is not None
        assert info.request_id == "mine-3"


class TestBatch:
    async def test_good_and_bad_stand_side_by_side_in_order(self, shared_server: RunningServer) -> None:
        requests = [route(), route(""), route(force_model="none"), route(COMPLEX)]
        for request, request_id in zip(requests, "abcd", strict=True):
            request.request_id = request_id
        reply = await shared_server.router.RouteBatch(rpc.RouteBatchRequest(requests=requests))
        assert [result.request_id for result in reply.results] == ["a", "b", "c", "d"]
        assert [result.WhichOneof("result") for result in reply.results] == ["decision", "error", "error", "decision"]
        assert [reply.results[index].decision.model for index in (0, 3)] == ["nano", "premium"]
        empty, unknown = reply.results[1].error, reply.results[2].error
        assert (empty.code, empty.reason, empty.field) == (3, "INVALID_FIELD", "query")
        assert (unknown.code, unknown.reason, unknown.field) == (5, "MODEL_NOT_FOUND", "preferences.force_model")
        assert empty.message
        assert unknown.message

    async def test_reasons_and_chain_come_on_request_only(self, shared_server: RunningServer) -> None:
        for include in (False, True):
            reply = await shared_server.router.RouteBatch(
                rpc.RouteBatchRequest(requests=[route()], include_reasons=include)
            )
            decision = reply.results[0].decision
            assert bool(decision.reasons) is bool(decision.fallback_chain) is include

    async def test_a_bad_request_id_fails_alone(self, shared_server: RunningServer) -> None:
        requests = [route(request_id="has space"), route(request_id="fine")]
        reply = await shared_server.router.RouteBatch(rpc.RouteBatchRequest(requests=requests))
        assert [result.WhichOneof("result") for result in reply.results] == ["error", "decision"]
        assert reply.results[0].error.field == "request_id"

    async def test_each_request_without_an_id_gets_one_of_its_own(self, shared_server: RunningServer) -> None:
        reply = await shared_server.router.RouteBatch(rpc.RouteBatchRequest(requests=[route(), route()]))
        ids = {result.request_id for result in reply.results}
        assert len(ids) == 2
        assert all(map(UUID7.fullmatch, ids))
        assert ids == {result.decision.decision_id for result in reply.results}

    @pytest.mark.parametrize("count", [0, 1_001])
    async def test_none_and_too_many_are_refused(self, shared_server: RunningServer, count: int) -> None:
        refusal = await refused(shared_server.router.RouteBatch(rpc.RouteBatchRequest(requests=[route()] * count)))
        assert (refusal.code.name, refusal.violated_fields) == ("INVALID_ARGUMENT", ["requests"])

    async def test_others_have_their_turn_while_a_large_one_is_decided(
        self, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        turn, decided_in = 0, []
        decide = shared_server.process._decider.decide

        def noting(*asked: Any) -> Any:
            decided_in.append(turn)
            return decide(*asked)

        async def take_turns() -> None:
            nonlocal turn
            while True:
                turn += 1
                await asyncio.sleep(0)

        monkeypatch.setattr(shared_server.process._decider, "decide", noting)
        others = asyncio.create_task(take_turns())
        await shared_server.router.RouteBatch(rpc.RouteBatchRequest(requests=[route()] * 1_000))
        others.cancel()
        assert len(decided_in) == 1_000
        assert max(map(decided_in.count, set(decided_in))) <= 64

    async def test_a_thousand_are_decided(self, shared_server: RunningServer) -> None:
        reply = await shared_server.router.RouteBatch(rpc.RouteBatchRequest(requests=[route()] * 1_000))
        assert len({result.decision.decision_id for result in reply.results}) == 1_000

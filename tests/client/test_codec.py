import dataclasses
from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.client.scripted_router import ANSWER, EXPLANATION, FINISHED, STARTED, delta
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_client import (
    AttemptFailed,
    AttemptOutcome,
    Complexity,
    Delta,
    FeatureKind,
    Finished,
    FinishReason,
    Image,
    InvalidArgumentError,
    JsonObject,
    JsonSchema,
    Label,
    Message,
    Preferences,
    Priority,
    Query,
    ReasonCode,
    Role,
    Sampling,
    Started,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    _decode,
    _decode_fleet,
    _encode,
)


def encode(query: Query) -> rpc.ExecuteRequest:
    return _encode.encode_request(rpc.ExecuteRequest, query)


# -- what cannot be sent


@pytest.mark.parametrize("fields", [{}, {"messages": [Message.user("a")], "prompt": "b"}], ids=["neither", "both"])
def test_query_takes_exactly_one_of_prompt_and_messages(fields) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        Query(**fields)
    assert raised.value.field == "query"


@pytest.mark.parametrize("fields", [{}, {"data": b"x", "uri": "https://x"}], ids=["neither", "both"])
def test_image_takes_exactly_one_source(fields) -> None:
    with pytest.raises(InvalidArgumentError, match="exactly one of data and uri"):
        Image(**fields)


def test_stop_as_one_text_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        Sampling(stop="END")
    assert raised.value.field == "sampling.stop"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (Query("\ud800"), "query"),
        (Query(5), "query"),
        (Query(messages=["hello"]), "query"),
        (Query("a", response_format="json"), "query"),
        (Query("a", response_format=JsonSchema({"x": object()})), "query"),
        (Query("a", preferences=Preferences(min_tier=2**40)), "preferences"),
        (Query("a", preferences=Preferences(latency_budget_s=float("inf"))), "preferences"),
        (Query("a", preferences=Preferences(latency_budget_s=float("nan"))), "preferences"),
        (Query("a", sampling=Sampling(temperature="hot")), "sampling"),
        (Query("a", sampling=Sampling(seed=2**70)), "sampling"),
        (Query("a", request_id=7), "request_id"),
    ],
    ids=[
        "lone surrogate",
        "prompt is no text",
        "message is no Message",
        "format is no format",
        "schema is no JSON",
        "tier beyond int32",
        "endless budget",
        "budget is no number",
        "temperature is no number",
        "seed beyond int64",
        "request id is no text",
    ],
)
def test_value_that_does_not_fit_the_contract_names_its_part(query: Query, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        encode(query)
    assert raised.value.field == field


# -- what is sent


def test_nothing_stated_is_nothing_sent() -> None:
    assert encode(Query("hi")) == rpc.ExecuteRequest(query=pb.Query(prompt="hi"))


def test_zero_differs_from_absent() -> None:
    sampling = encode(Query("hi", sampling=Sampling(temperature=0.0, seed=0))).sampling
    assert sampling.HasField("temperature")
    assert sampling.HasField("seed")
    assert not sampling.HasField("top_p")


def test_empty_prompt_is_the_servers_to_judge() -> None:
    assert encode(Query("")).query.prompt == ""


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (
            Preferences(
                agent="a",
                task_type="t",
                force_model="m",
                min_tier=1,
                max_tier=5,
                max_cost_usd=0.5,
                latency_budget_s=0.25,
                min_compliance=0.9,
                cost_quality=0.5,
                allow_fallback=False,
                allow_escalation=False,
                expected_constitution_hash="h",
                strategy="weighted",
                regions=["eu", "us"],
                sticky_key="u",
                allow_takeover=False,
                allow_hedging=True,
                max_cache_age_s=0.0,
                priority=Priority.BATCH,
            ),
            pb.Preferences(
                agent="a",
                task_type="t",
                force_model="m",
                min_tier=1,
                max_tier=5,
                max_cost_usd=0.5,
                latency_budget=Duration(nanos=250_000_000),
                min_compliance=0.9,
                cost_quality=0.5,
                allow_fallback=False,
                allow_escalation=False,
                expected_constitution_hash="h",
                strategy="weighted",
                regions=["eu", "us"],
                sticky_key="u",
                allow_takeover=False,
                allow_hedging=True,
                max_cache_age=Duration(),
                priority=pb.PRIORITY_BATCH,
            ),
        ),
        (
            Sampling(
                temperature=0.1,
                top_p=0.2,
                top_k=3,
                max_tokens=4,
                stop=["a", "b"],
                seed=5,
                presence_penalty=0.6,
                frequency_penalty=0.7,
                top_logprobs=8,
            ),
            pb.Sampling(
                temperature=0.1,
                top_p=0.2,
                top_k=3,
                max_tokens=4,
                stop=["a", "b"],
                seed=5,
                presence_penalty=0.6,
                frequency_penalty=0.7,
                top_logprobs=8,
            ),
        ),
    ],
    ids=["preferences", "sampling"],
)
def test_every_field_of_the_contract_can_be_stated(value, wire) -> None:
    name = type(value).__name__.lower()
    assert getattr(encode(Query("hi", **{name: value})), name) == wire
    assert len(wire.ListFields()) == len(wire.DESCRIPTOR.fields) == len(dataclasses.fields(value))


def test_messages_carry_text_and_images_in_order() -> None:
    messages = [
        Message.system("be brief"),
        Message.user("look", Image(data=b"png", mime_type="image/png"), Image(uri="https://x/y.png")),
        Message(Role.ASSISTANT, [Text("fine")]),
    ]
    assert encode(Query(messages=messages)).query == pb.Query(
        messages=[
            pb.Message(role=pb.ROLE_SYSTEM, parts=[pb.Part(text="be brief")]),
            pb.Message(
                role=pb.ROLE_USER,
                parts=[
                    pb.Part(text="look"),
                    pb.Part(image=pb.Image(data=b"png", mime_type="image/png")),
                    pb.Part(image=pb.Image(uri="https://x/y.png")),
                ],
            ),
            pb.Message(role=pb.ROLE_ASSISTANT, parts=[pb.Part(text="fine")]),
        ]
    )


def test_messages_carry_calls_and_their_results() -> None:
    call = ToolCall(id="c-1", name="weather", arguments='{"at": "Köln"}')
    messages = [Message.user("How warm is it?"), Message.assistant(tool_calls=[call]), Message.tool("c-1", "7")]
    assert encode(Query(messages=messages)).query == pb.Query(
        messages=[
            pb.Message(role=pb.ROLE_USER, parts=[pb.Part(text="How warm is it?")]),
            pb.Message(
                role=pb.ROLE_ASSISTANT, tool_calls=[pb.ToolCall(id="c-1", name="weather", arguments='{"at": "Köln"}')]
            ),
            pb.Message(role=pb.ROLE_TOOL, parts=[pb.Part(text="7")], tool_call_id="c-1"),
        ]
    )


def test_tools_and_the_choice_among_them() -> None:
    tools = [Tool(name="f", description="d", parameters={"type": "object", "required": ["a"]}), Tool(name="g")]
    query = encode(Query("hi", tools=tools, tool_choice=ToolChoice(name="g", parallel=False))).query
    assert [(tool.name, tool.description, dict(tool.parameters)) for tool in query.tools] == [
        ("f", "d", {"type": "object", "required": ["a"]}),
        ("g", "", {}),
    ]
    assert query.tool_choice == pb.ToolChoice(name="g", parallel=False)
    required = encode(Query("hi", tools=tools, tool_choice=ToolChoice(mode=ToolMode.REQUIRED))).query.tool_choice
    assert required == pb.ToolChoice(mode=pb.TOOL_MODE_REQUIRED)
    assert not required.HasField("parallel")


@pytest.mark.parametrize("fields", [{}, {"mode": ToolMode.AUTO, "name": "f"}], ids=["neither", "both"])
def test_a_tool_choice_takes_exactly_one_way(fields) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        ToolChoice(**fields)
    assert raised.value.field == "query.tool_choice"


def test_message_of_one_text_is_one_part() -> None:
    assert Message(Role.USER, "hello") == Message.user("hello")


def test_response_formats() -> None:
    assert encode(Query("hi", response_format=JsonObject())).query.response_format.HasField("json_object")
    schema = encode(
        Query("hi", response_format=JsonSchema({"type": "object", "required": ["a"]}))
    ).query.response_format.json_schema
    assert dict(schema) == {"type": "object", "required": ["a"]}


def test_batch_takes_prompts_and_queries() -> None:
    request = _encode.encode_batch(["a", Query("b", request_id="r")], include_reasons=True)
    assert [(each.query.prompt, each.request_id) for each in request.requests] == [("a", ""), ("b", "r")]
    assert request.include_reasons


# -- what comes back


def test_answer_is_whole() -> None:
    answer = _decode.decode_answer(ANSWER)
    assert (answer.text, answer.finish_reason, answer.cost_usd) == (ANSWER.text, FinishReason.STOP, 0.0000009)
    assert (answer.usage.input_tokens, answer.usage.cached_input_tokens, answer.usage.output_tokens) == (10, 4, 8)
    assert (answer.timings.decision_s, answer.timings.time_to_first_token_s, answer.timings.total_s) == (
        5e-6,
        0.045,
        0.245,
    )
    assert answer.timings.hold_s == 0
    assert (answer.decision.model, answer.decision.complexity) == ("smollm2-135m", Complexity.TRIVIAL)
    assert answer.decision.reasons[0].code is ReasonCode.CHEAPEST
    assert answer.decision.constitution_hash == answer.constitution_hash == "cdd01ef066bc6cf2"
    assert answer.attempts[-1].model == answer.decision.model


def test_an_answer_tells_what_was_called_and_what_it_took() -> None:
    tried = pb.Attempt(outcome=pb.ATTEMPT_OUTCOME_BROKE_OFF, reason="ENGINE_LOST", text_characters=17, cost_usd=0.5)
    reply = rpc.ExecuteResponse(
        tool_calls=[pb.ToolCall(id="c", name="f", arguments="{")],
        finish_reason=pb.FINISH_REASON_TOOL_CALLS,
        confidence=0.0,
        cached=True,
        attempts=[tried],
        usage=pb.Usage(output_tokens=9, reasoning_tokens=4),
    )
    answer = _decode.decode_answer(reply)
    assert answer.tool_calls == (ToolCall(id="c", name="f", arguments="{"),)
    assert answer.finish_reason is FinishReason.TOOL_CALLS
    assert (answer.confidence, answer.cached, answer.usage.reasoning_tokens) == (0.0, True, 4)
    [attempt] = answer.attempts
    assert (attempt.outcome, attempt.text_characters, attempt.cost_usd) == (AttemptOutcome.BROKE_OFF, 17, 0.5)
    plain = _decode.decode_answer(rpc.ExecuteResponse())
    assert (plain.tool_calls, plain.confidence, plain.cached) == ((), None, False)


def test_a_stream_tells_calls_in_a_delta_and_the_rest_at_its_end() -> None:
    called = rpc.StreamResponse(delta=rpc.StreamDelta(tool_calls=[pb.ToolCall(id="c", name="f", arguments="{}")]))
    delta_event = _decode.decode_event(called)
    assert isinstance(delta_event, Delta)
    assert delta_event.tool_calls == (ToolCall(id="c", name="f", arguments="{}"),)
    finished = _decode.decode_event(rpc.StreamResponse(finished=rpc.StreamFinished(cached=True, confidence=0.25)))
    assert isinstance(finished, Finished)
    assert (finished.cached, finished.confidence) == (True, 0.25)


def test_absent_confidence_and_first_token_are_none_and_zero_is_zero() -> None:
    assert _decode.decode_route(rpc.RouteResponse()).confidence is None
    assert _decode.decode_route(rpc.RouteResponse(decision=pb.Decision(confidence=0.0))).confidence == 0.0
    assert _decode.decode_answer(rpc.ExecuteResponse()).timings.time_to_first_token_s is None


def test_a_decision_without_a_classifier_has_none_of_what_it_says_and_zero_is_zero() -> None:
    absent = _decode.decode_route(rpc.RouteResponse())
    assert (absent.expected_quality, absent.difficulty, absent.cost_quality) == (None, None, None)
    assert (absent.domain, absent.label) == ("", Label.UNSPECIFIED)
    zero = pb.Decision(expected_quality=0.0, difficulty=0.0, cost_quality=0.0, domain="law", label=pb.LABEL_COMPLEX)
    decision = _decode.decode_route(rpc.RouteResponse(decision=zero))
    assert (decision.expected_quality, decision.difficulty, decision.cost_quality) == (0.0, 0.0, 0.0)
    assert (decision.domain, decision.label) == ("law", Label.COMPLEX)


def test_an_explanation_is_whole() -> None:
    explanation = _decode.decode_explain(EXPLANATION)
    assert (explanation.decision.model, explanation.decision.request_id) == ("smollm2-135m", "r-1")
    assessment = explanation.assessment
    assert assessment is not None
    assert (assessment.difficulty, assessment.sigma, assessment.tier, assessment.domain) == (-1.25, 0.75, 2, "history")
    assert assessment.band_pass == (0.5, 0.625, 0.75, 0.875, 0.9375)
    assert assessment.label_probabilities == {
        Label.SIMPLE: 0.75,
        Label.MEDIUM: 0.125,
        Label.COMPLEX: 0.0625,
        Label.REASONING: 0.0625,
    }
    assert assessment.gain is None
    first, last = explanation.candidates
    assert (first.rank, first.expected_quality, first.utility, first.left_out) == (1, 0.5, 0.46875, None)
    assert (last.rank, last.expected_quality, last.utility) == (0, None, None)
    assert last.left_out is not None
    assert last.left_out.code is ReasonCode.FILTERED_UNAVAILABLE
    assert [(each.kind, each.name, each.weight) for each in explanation.features] == [
        (FeatureKind.WORD, "capital", -0.5),
        (FeatureKind.COUNTER, "questions", 0.25),
    ]


def test_an_explanation_without_a_classifier_has_no_assessment() -> None:
    assert _decode.decode_explain(rpc.ExplainResponse()).assessment is None


def test_more_features_than_the_contract_can_count_are_named() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        _encode.encode_explain(Query("hi"), max_features=2**31)
    assert raised.value.field == "max_features"


def test_reason_code_of_a_newer_server_survives() -> None:
    decision = _decode.decode_route(rpc.RouteResponse(decision=pb.Decision(reasons=[pb.Reason(code=99, detail="new")])))
    assert (decision.reasons[0].code, decision.reasons[0].detail) == (99, "new")


def test_events_by_kind() -> None:
    failed = rpc.StreamResponse(
        attempt=pb.Attempt(model="m", outcome=pb.ATTEMPT_OUTCOME_FELL_BACK, reason="ENGINE_LOST")
    )
    kinds = [type(_decode.decode_event(event)) for event in (STARTED, delta("x"), failed, FINISHED)]
    assert kinds == [Started, Delta, AttemptFailed, Finished]


def test_event_of_an_unknown_kind_is_none() -> None:
    # Field 15, length-delimited: a kind that a newer contract may add.
    assert _decode.decode_event(rpc.StreamResponse.FromString(b"\x7a\x02hi")) is None


def test_logprobs_keep_their_alternatives() -> None:
    logprob = pb.TokenLogprob(token="a", logprob=-0.1, top=[pb.TopLogprob(token="b", logprob=-2.0)])
    (decoded,) = _decode.decode_answer(rpc.ExecuteResponse(logprobs=[logprob])).logprobs
    assert (decoded.token, decoded.logprob, decoded.top[0].token, decoded.top[0].logprob) == ("a", -0.1, "b", -2.0)


def test_model_is_available_when_any_deployment_is() -> None:
    def model(*available: bool) -> rpc.Model:
        return rpc.Model(name="m", deployments=[rpc.Deployment(available=each) for each in available])

    assert _decode_fleet.decode_model(model(False, True)).available
    assert not _decode_fleet.decode_model(model(False)).available
    assert not _decode_fleet.decode_model(model()).available
    assert _decode_fleet.decode_model(model(True)).deployments[0].expected_latency_s is None


def test_a_deployment_tells_its_region() -> None:
    model = rpc.Model(name="m", deployments=[rpc.Deployment(region="eu"), rpc.Deployment()])
    assert [each.region for each in _decode_fleet.decode_model(model).deployments] == ["eu", ""]


def test_stats_are_keyed_and_timed_in_utc() -> None:
    start = Timestamp(seconds=1_700_000_000)
    stats = _decode_fleet.decode_stats(
        rpc.GetStatsResponse(
            start_time=start,
            models=[rpc.ModelStats(model="m", decisions=2, answers=1, failures=1, cost_usd=0.5)],
            tiers=[rpc.TierStats(tier=1, decisions=2)],
            errors=[rpc.ErrorStats(reason="QUEUE_FULL", count=3)],
            classifier=rpc.ClassifierStats(weights="w", calibration="c", calibration_load_time=start),
            deployments=[
                rpc.DeploymentStats(lanes=[rpc.LaneStats(priority=pb.PRIORITY_BATCH, waiting=3, shed=5)]),
            ],
            answers=rpc.AnswerStats(judged=9, escalation_share=0.5, weak_alarm=True),
        )
    )
    [deployment] = stats.deployments
    assert (deployment.waiting, deployment.shed) == ({Priority.BATCH: 3}, {Priority.BATCH: 5})
    assert (stats.answers.judged, stats.answers.escalation_share, stats.answers.weak_alarm) == (9, 0.5, True)
    assert (stats.answers.takeovers, stats.answers.cache_hits) == (0, 0)
    assert stats.classifier is not None
    assert (stats.classifier.weights, stats.classifier.calibration) == ("w", "c")
    assert stats.classifier.calibration_load_time == stats.start_time
    assert _decode_fleet.decode_stats(rpc.GetStatsResponse()).classifier is None
    assert stats.start_time == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (stats.decisions_by_tier, stats.errors_by_reason) == ({1: 2}, {"QUEUE_FULL": 3})
    assert (stats.models[0].decisions, stats.models[0].failures, stats.models[0].cost_usd) == (2, 1, 0.5)


def test_batch_puts_each_error_in_its_place() -> None:
    response = rpc.RouteBatchResponse(
        results=[
            rpc.RouteResult(decision=pb.Decision(model="m"), request_id="1"),
            rpc.RouteResult(error=rpc.RouteError(code=3, reason="INVALID_FIELD", message="empty"), request_id="2"),
        ],
        constitution_hash="h",
    )
    first, second = _decode.decode_batch(response)
    assert (first.model, first.request_id, first.constitution_hash) == ("m", "1", "h")
    assert isinstance(second, InvalidArgumentError)
    assert second.request_id == "2"

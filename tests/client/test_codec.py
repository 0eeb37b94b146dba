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
    Query,
    ReasonCode,
    Role,
    Sampling,
    Started,
    Text,
)
from tierway_client import _codec as codec


def encode(query: Query) -> rpc.ExecuteRequest:
    return codec.encode_request(rpc.ExecuteRequest, query)


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


def test_message_of_one_text_is_one_part() -> None:
    assert Message(Role.USER, "hello") == Message.user("hello")


def test_response_formats() -> None:
    assert encode(Query("hi", response_format=JsonObject())).query.response_format.HasField("json_object")
    schema = encode(
        Query("hi", response_format=JsonSchema({"type": "object", "required": ["a"]}))
    ).query.response_format.json_schema
    assert dict(schema) == {"type": "object", "required": ["a"]}


def test_batch_takes_prompts_and_queries() -> None:
    request = codec.encode_batch(["a", Query("b", request_id="r")], include_reasons=True)
    assert [(each.query.prompt, each.request_id) for each in request.requests] == [("a", ""), ("b", "r")]
    assert request.include_reasons


# -- what comes back


def test_answer_is_whole() -> None:
    answer = codec.decode_answer(ANSWER)
    assert (answer.text, answer.finish_reason, answer.cost_usd) == (ANSWER.text, FinishReason.STOP, 0.0000009)
    assert (answer.usage.input_tokens, answer.usage.cached_input_tokens, answer.usage.output_tokens) == (10, 4, 8)
    assert (answer.timings.decision_s, answer.timings.time_to_first_token_s, answer.timings.total_s) == (
        5e-6,
        0.045,
        0.245,
    )
    assert (answer.decision.model, answer.decision.complexity) == ("smollm2-135m", Complexity.TRIVIAL)
    assert answer.decision.reasons[0].code is ReasonCode.CHEAPEST
    assert answer.decision.constitution_hash == answer.constitution_hash == "cdd01ef066bc6cf2"
    assert answer.attempts[-1].model == answer.decision.model


def test_absent_confidence_and_first_token_are_none_and_zero_is_zero() -> None:
    assert codec.decode_route(rpc.RouteResponse()).confidence is None
    assert codec.decode_route(rpc.RouteResponse(decision=pb.Decision(confidence=0.0))).confidence == 0.0
    assert codec.decode_answer(rpc.ExecuteResponse()).timings.time_to_first_token_s is None


def test_a_decision_without_a_classifier_has_none_of_what_it_says_and_zero_is_zero() -> None:
    absent = codec.decode_route(rpc.RouteResponse())
    assert (absent.expected_quality, absent.difficulty, absent.cost_quality) == (None, None, None)
    assert (absent.domain, absent.label) == ("", Label.UNSPECIFIED)
    zero = pb.Decision(expected_quality=0.0, difficulty=0.0, cost_quality=0.0, domain="law", label=pb.LABEL_COMPLEX)
    decision = codec.decode_route(rpc.RouteResponse(decision=zero))
    assert (decision.expected_quality, decision.difficulty, decision.cost_quality) == (0.0, 0.0, 0.0)
    assert (decision.domain, decision.label) == ("law", Label.COMPLEX)


def test_an_explanation_is_whole() -> None:
    explanation = codec.decode_explain(EXPLANATION)
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
    assert codec.decode_explain(rpc.ExplainResponse()).assessment is None


def test_more_features_than_the_contract_can_count_are_named() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        codec.encode_explain(Query("hi"), max_features=2**31)
    assert raised.value.field == "max_features"


def test_reason_code_of_a_newer_server_survives() -> None:
    decision = codec.decode_route(rpc.RouteResponse(decision=pb.Decision(reasons=[pb.Reason(code=99, detail="new")])))
    assert (decision.reasons[0].code, decision.reasons[0].detail) == (99, "new")


def test_events_by_kind() -> None:
    failed = rpc.StreamResponse(
        attempt=pb.Attempt(model="m", outcome=pb.ATTEMPT_OUTCOME_FELL_BACK, reason="ENGINE_LOST")
    )
    kinds = [type(codec.decode_event(event)) for event in (STARTED, delta("x"), failed, FINISHED)]
    assert kinds == [Started, Delta, AttemptFailed, Finished]


def test_event_of_an_unknown_kind_is_none() -> None:
    # Field 15, length-delimited: a kind that a newer contract may add.
    assert codec.decode_event(rpc.StreamResponse.FromString(b"\x7a\x02hi")) is None


def test_logprobs_keep_their_alternatives() -> None:
    logprob = pb.TokenLogprob(token="a", logprob=-0.1, top=[pb.TopLogprob(token="b", logprob=-2.0)])
    (decoded,) = codec.decode_answer(rpc.ExecuteResponse(logprobs=[logprob])).logprobs
    assert (decoded.token, decoded.logprob, decoded.top[0].token, decoded.top[0].logprob) == ("a", -0.1, "b", -2.0)


def test_model_is_available_when_any_deployment_is() -> None:
    def model(*available: bool) -> rpc.Model:
        return rpc.Model(name="m", deployments=[rpc.Deployment(available=each) for each in available])

    assert codec.decode_model(model(False, True)).available
    assert not codec.decode_model(model(False)).available
    assert not codec.decode_model(model()).available
    assert codec.decode_model(model(True)).deployments[0].expected_latency_s is None


def test_a_deployment_tells_its_region() -> None:
    model = rpc.Model(name="m", deployments=[rpc.Deployment(region="eu"), rpc.Deployment()])
    assert [each.region for each in codec.decode_model(model).deployments] == ["eu", ""]


def test_stats_are_keyed_and_timed_in_utc() -> None:
    start = Timestamp(seconds=1_700_000_000)
    stats = codec.decode_stats(
        rpc.GetStatsResponse(
            start_time=start,
            models=[rpc.ModelStats(model="m", decisions=2, answers=1, failures=1, cost_usd=0.5)],
            tiers=[rpc.TierStats(tier=1, decisions=2)],
            errors=[rpc.ErrorStats(reason="QUEUE_FULL", count=3)],
            classifier=rpc.ClassifierStats(weights="w", calibration="c", calibration_load_time=start),
        )
    )
    assert stats.classifier is not None
    assert (stats.classifier.weights, stats.classifier.calibration) == ("w", "c")
    assert stats.classifier.calibration_load_time == stats.start_time
    assert codec.decode_stats(rpc.GetStatsResponse()).classifier is None
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
    first, second = codec.decode_batch(response)
    assert (first.model, first.request_id, first.constitution_hash) == ("m", "1", "h")
    assert isinstance(second, InvalidArgumentError)
    assert second.request_id == "2"

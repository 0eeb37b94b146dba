"""OpenAI's chat completions in both directions: what we ask in its words, what it answers in ours, and where its dialects differ."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.remote import asking
from tierway_core import Feature
from tierway_server.backends.base import (
    CostCeiling,
    FinishReason,
    Image,
    Message,
    Role,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolMode,
    Tools,
    Usage,
)
from tierway_server.backends.openai_answer import Answer
from tierway_server.backends.openai_dialects import DIALECTS, dialect_of
from tierway_server.backends.openai_request import request_body
from tierway_server.backends.reading import MalformedError, ReportedError
from tierway_server.backends.remote_models import CONSTRUCT
from tierway_server.backends.strict_schema import keeps_strict_rules
from tierway_server.config import PREFILL, FeatureName
from tierway_server.config.provider_kinds import BASE_URLS, LACKS, KindName
from tierway_server.errors import CostCeilingError, NotOfferedError

PNG = Image(data=b"\x89PNG", mime_type="image/png")
LINKED = Image(uri="https://example.org/cat.png")
WEATHER = Tool(name="weather", description="Tells it.", parameters={"type": "object", "properties": {}})
DEEP = pytest.param(b'{"x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", id="deep")
"""What nobody may take apart by recursion."""
OPEN_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CLOSED_SCHEMA = {**OPEN_SCHEMA, "required": ["city"], "additionalProperties": False}

NEEDING: dict[FeatureName, dict[str, Any]] = {
    "tools": {"tools": Tools(tools=(WEATHER,))},
    "tool_choice": {"tools": Tools(tools=(WEATHER,), mode=ToolMode.REQUIRED)},
    "parallel_tools": {"tools": Tools(tools=(WEATHER,), parallel=False)},
    "image_data": {"messages": (Message(Role.USER, "This?", ("This?", PNG)),)},
    "image_uri": {"messages": (Message(Role.USER, "This?", ("This?", LINKED)),)},
    "json_object": {"json_schema": {}},
    "json_schema": {"json_schema": CLOSED_SCHEMA},
    "logprobs": {"sampling": Sampling(top_logprobs=2)},
    "top_k": {"sampling": Sampling(top_k=40)},
    "seed": {"sampling": Sampling(seed=7)},
    "penalties": {"sampling": Sampling(presence_penalty=0.5, frequency_penalty=-0.5)},
    "many_stops": {"sampling": Sampling(stop=("a", "b", "c", "d", "e"))},
    "high_temperature": {"sampling": Sampling(temperature=1.5)},
    "sampling": {"sampling": Sampling(temperature=0.5, top_p=0.9)},
}
"""For each feature, what of a generation needs it."""

ASKED: dict[FeatureName, dict[str, Any]] = {
    "tools": {
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "Tells it.", "parameters": dict(WEATHER.parameters)},
            }
        ]
    },
    "tool_choice": {"tool_choice": "required"},
    "parallel_tools": {"parallel_tool_calls": False},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "top_k": {"top_k": 40},
    "seed": {"seed": 7},
    "penalties": {"presence_penalty": 0.5, "frequency_penalty": -0.5},
    "many_stops": {"stop": ["a", "b", "c", "d", "e"]},
    "high_temperature": {"temperature": 1.5},
    "sampling": {"temperature": 0.5, "top_p": 0.9},
    "json_object": {"response_format": {"type": "json_object"}},
}
"""For each feature, what of the request asks for it."""


def body_of(kind: str = "openai", *, lacks: frozenset[str] | None = None, context_tokens: int = 8_192, **changes: Any):
    """The request for a generation at a provider of a kind."""
    dialect = dialect_of(kind, is_own_address=False)
    return request_body(
        asking(**changes),
        dialect,
        LACKS[kind] if lacks is None else lacks,
        model="m",
        context_tokens=context_tokens,
    )


def test_every_kind_has_its_row_in_every_table():
    kinds = set(get_args(KindName))
    assert kinds == set(LACKS) == set(CONSTRUCT) == {*BASE_URLS, "azure"}
    assert set(DIALECTS) == kinds - {"anthropic", "google", "vllm_grpc"}


def test_the_names_of_the_configuration_are_the_core_s():
    assert {name.upper() for name in get_args(FeatureName)} - {PREFILL.upper()} == {feature.name for feature in Feature}
    assert set(NEEDING) == set(get_args(FeatureName)) - {PREFILL}


def test_the_least_request():
    assert body_of() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 64,
    }


@pytest.mark.parametrize("kind", sorted(DIALECTS))
@pytest.mark.parametrize("feature", sorted(NEEDING))
def test_what_a_kind_lacks_is_refused_and_all_else_is_asked_for(kind, feature):
    if feature in LACKS[kind]:
        with pytest.raises(NotOfferedError):
            body_of(kind, **NEEDING[feature])
    else:
        body = body_of(kind, **NEEDING[feature])
        assert {key: body.get(key) for key in ASKED.get(feature, {})} == ASKED.get(feature, {})


@pytest.mark.parametrize("feature", sorted(NEEDING))
def test_each_feature_is_refused_where_it_lacks(feature):
    with pytest.raises(NotOfferedError):
        body_of(lacks=frozenset({feature}), **NEEDING[feature])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("openai", "max_completion_tokens"),
        ("azure", "max_completion_tokens"),
        ("groq", "max_completion_tokens"),
        ("openrouter", "max_tokens"),
        ("gemini", "max_tokens"),
        ("xai", "max_completion_tokens"),
        ("ollama", "max_tokens"),
        ("llamacpp", "max_tokens"),
        ("vllm", "max_completion_tokens"),
    ],
)
def test_the_length_has_its_name(kind, name):
    assert {key: value for key, value in body_of(kind).items() if key.startswith("max_")} == {name: 64}


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_no_penalty_is_taken_by_all_for_it_is_what_they_have_anyway(kind):
    body = body_of(kind, sampling=Sampling(presence_penalty=0.0, frequency_penalty=0.0))
    stated = {"presence_penalty", "frequency_penalty"} & set(body)
    assert len(stated) == (0 if "penalties" in LACKS[kind] else 2)


def test_what_must_not_be_called_is_not_offered_where_that_cannot_be_said():
    body = body_of("ollama", tools=Tools(tools=(WEATHER,), mode=ToolMode.NONE))
    assert {"tools", "tool_choice"}.isdisjoint(body)


def test_something_compatible_elsewhere_knows_the_older_name_of_the_length():
    assert dialect_of("openai", is_own_address=True).max_tokens == "max_tokens"
    assert dialect_of("groq", is_own_address=True) == DIALECTS["groq"]


def test_the_length_is_what_context_and_money_leave():
    assert body_of(context_tokens=32)["max_completion_tokens"] == 32 - 6
    assert body_of(context_tokens=4)["max_completion_tokens"] == 1
    ceiling = CostCeiling(max_picousd=100, input_picousd=10, output_picousd=20)
    assert body_of(cost_ceiling=ceiling)["max_completion_tokens"] == 2
    with pytest.raises(CostCeilingError):
        body_of(cost_ceiling=CostCeiling(max_picousd=60, input_picousd=10, output_picousd=20))


def test_a_conversation_with_images_calls_and_results():
    call = ToolCall("call-1", "weather", '{"city":')
    messages = (
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.USER, "Look:", ("Look:", PNG, LINKED)),
        Message(Role.ASSISTANT, "", tool_calls=(call,)),
        Message(Role.TOOL, "sunny", tool_call_id="call-1"),
    )
    assert body_of(messages=messages)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
                {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"city":'}}
            ],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "call-1"},
    ]


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        (Tools(tools=(WEATHER,)), None),
        (Tools(tools=(WEATHER,), mode=ToolMode.NONE), "none"),
        (Tools(tools=(WEATHER,), mode=ToolMode.REQUIRED), "required"),
        (Tools(tools=(WEATHER,), name="weather"), {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_how_free_the_model_is_to_call(tools, choice):
    assert body_of(tools=tools).get("tool_choice") == choice


@pytest.mark.parametrize(
    ("kind", "schema", "strict"),
    [
        ("openai", CLOSED_SCHEMA, True),
        ("openai", OPEN_SCHEMA, False),
        ("openai", {"type": "array", "items": CLOSED_SCHEMA}, False),  # strict is only who begins with an object
        ("llamacpp", CLOSED_SCHEMA, None),
        ("vllm", OPEN_SCHEMA, None),
    ],
)
def test_a_schema_is_held_to_as_strictly_as_the_service_can(kind, schema, strict):
    wanted = body_of(kind, json_schema=schema)["response_format"]
    assert wanted["type"] == "json_schema"
    assert (wanted["json_schema"]["schema"], wanted["json_schema"].get("strict")) == (schema, strict)


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        (CLOSED_SCHEMA, True),
        (OPEN_SCHEMA, False),
        ({"type": "string"}, True),
        ({"type": "array", "items": OPEN_SCHEMA}, False),
        ({"type": "array", "items": CLOSED_SCHEMA}, True),
        ({"anyOf": [CLOSED_SCHEMA, OPEN_SCHEMA]}, False),
        ({**CLOSED_SCHEMA, "required": []}, False),
        ({"type": "object", "additionalProperties": False}, True),
        ({**CLOSED_SCHEMA, "required": [["city"]]}, False),
        ({**CLOSED_SCHEMA, "properties": {"city": {"oneOf": [{"type": "string"}]}}}, False),
        ({**CLOSED_SCHEMA, "properties": {"city": {"type": "string", "default": "Paris"}}}, False),
        ({**CLOSED_SCHEMA, "$defs": {"not": CLOSED_SCHEMA}}, True),
        ({**CLOSED_SCHEMA, "properties": {"contains": {"type": "string"}}, "required": ["contains"]}, True),
        ({**CLOSED_SCHEMA, "properties": {"properties": CLOSED_SCHEMA}, "required": ["properties"]}, True),
        ({**CLOSED_SCHEMA, "properties": {"city": {"enum": [{"type": "object"}]}}}, True),
    ],
)
def test_the_rules_of_strict_schemas(schema, is_strict):
    assert keeps_strict_rules(schema) is is_strict


def test_any_object_has_json_named_where_the_service_insists():
    assert body_of(json_schema={})["messages"][0] == {"role": "system", "content": "Answer with a JSON object."}
    assert len(body_of(json_schema={}, messages=(Message(Role.USER, "As Json, please"),))["messages"]) == 1
    assert len(body_of("vllm", json_schema={})["messages"]) == 1


# What comes back.


def event(delta: dict[str, Any] | None = None, **choice: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta or {}, **choice}]}).encode()


def read(*payloads: bytes):
    """The answer that events come to: its text, and its last chunk."""
    answer = Answer(input_tokens=5, max_tokens=1_000, alternatives=20)
    text = ""
    for payload in payloads:
        answer.take(payload)
        if (chunk := answer.chunk()) is not None:
            text += chunk.text
    last = answer.last_chunk()
    return text + last.text, last


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("repetition", FinishReason.LENGTH),
        ("eos", FinishReason.STOP),
        ("eos_token", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("sensitive", FinishReason.CONTENT_FILTER),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("content_filter: PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
    ],
)
def test_finish_reasons(reason, expected):
    assert read(event(finish_reason=reason))[1].finish_reason is expected


@pytest.mark.parametrize(
    "reason",
    [
        "error",
        "insufficient_system_resource",
        "abort",
        "network_error",
        "MALFORMED_FUNCTION_CALL",
        "function_call_filter: UNEXPECTED_TOOL_CALL",
    ],
)
def test_finish_reasons_of_answers_that_broke_off(reason):
    with pytest.raises(ReportedError):
        read(event(finish_reason=reason))


def test_a_refusal_is_text_that_was_filtered():
    text, last = read(event({"refusal": "I cannot."}), event(finish_reason="stop"))
    assert (text, last.finish_reason) == ("I cannot.", FinishReason.CONTENT_FILTER)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({"usage": {"prompt_tokens": 9, "completion_tokens": 4}}, Usage(9, 0, 4), id="the least"),
        pytest.param(
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 40,
                    "total_tokens": 49,
                    "prompt_tokens_details": {"cached_tokens": 8},
                    "completion_tokens_details": {"reasoning_tokens": 30},
                }
            },
            Usage(9, 8, 40, 30),
            id="OpenAI",
        ),
        pytest.param(
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 10,
                    "total_tokens": 49,
                    "completion_tokens_details": {"reasoning_tokens": 30},
                }
            },
            Usage(9, 0, 40, 30),
            id="xAI",
        ),
        pytest.param(
            {"usage": {"prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 49}},
            Usage(9, 0, 40, 30),
            id="Gemini",
        ),
        pytest.param(
            {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 7}},
            Usage(9, 7, 4),
            id="DeepSeek",
        ),
        pytest.param(
            {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "cached_tokens": 7}}, Usage(9, 7, 4), id="Moonshot"
        ),
        pytest.param(
            {"x_groq": {"id": "1", "usage": {"prompt_tokens": 9, "completion_tokens": 4}}}, Usage(9, 0, 4), id="Groq"
        ),
        pytest.param({"usage": None}, Usage(5, 0, 1), id="nothing"),
        pytest.param({"usage": {"prompt_tokens": -9, "completion_tokens": 4}}, Usage(5, 0, 1), id="less than nothing"),
        pytest.param(
            {"usage": {"prompt_tokens": 9, "completion_tokens": -4, "prompt_cache_hit_tokens": -7}},
            Usage(9, 0, 0),
            id="an answer of less than nothing",
        ),
        pytest.param({"usage": {"prompt_tokens": 10**15, "completion_tokens": 4}}, Usage(5, 0, 1), id="beyond belief"),
    ],
)
def test_usage(told, expected):
    account = json.dumps({"choices": [], **told}).encode()
    assert read(event({"content": "Hi"}), event(finish_reason="stop"), account)[1].usage == expected


def test_usage_that_comes_with_every_event_is_the_last_one():
    events = [
        json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": n}}).encode() for n in (1, 2)
    ]
    assert read(*events)[1].usage == Usage(3, 0, 2)


def test_log_probabilities():
    tokens = [
        {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": [{"token": "Hi", "logprob": -0.1}]},
        {"token": "\ud83d", "logprob": -2.0},
    ]
    answer = Answer(5, 10, alternatives=20)
    answer.take(event({"content": "Hi"}, logprobs={"content": tokens}))
    chunk = answer.chunk()
    assert chunk is not None
    assert chunk.logprobs == (TokenLogprob("Hi", -0.1, (("Hi", -0.1),)), TokenLogprob("\ufffd", -2.0, ()))
    assert chunk.token_count == 2


def test_llama_cpp_tells_of_a_token_only_beside_an_alternative_which_nobody_asked_for():
    body = body_of("llamacpp", sampling=Sampling(top_logprobs=0))
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)
    assert body_of("llamacpp", sampling=Sampling(top_logprobs=3))["top_logprobs"] == 3
    assert body_of("vllm", sampling=Sampling(top_logprobs=0))["top_logprobs"] == 0
    answer = Answer(5, 10, alternatives=0)
    told = {"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Hi", "logprob": -0.1}]}
    answer.take(event({"content": "Hi"}, logprobs={"content": [told]}))
    assert answer.last_chunk().logprobs == (TokenLogprob("Hi", -0.1, ()),)


def test_a_token_without_text_has_its_log_probability():
    answer = Answer(5, 10, alternatives=20)
    answer.take(event({"content": ""}, logprobs={"content": [{"token": "\ud83d", "logprob": -2.0}]}))
    answer.take(event({"content": "\U0001f600"}, logprobs={"content": [{"token": "\ude00", "logprob": -0.5}]}))
    last = answer.last_chunk()
    assert [each.logprob for each in last.logprobs] == [-2.0, -0.5]
    assert (last.text, last.token_count) == ("\U0001f600", 2)


def call(**part: Any) -> bytes:
    return event({"tool_calls": [part]})


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            [
                call(index=0, id="a", type="function", function={"name": "f", "arguments": ""}),
                call(index=0, function={"arguments": '{"x"'}),
                call(index=0, function={"arguments": ": 1}"}),
            ],
            id="in parts",
        ),
        pytest.param([call(id="a", function={"name": "f", "arguments": '{"x": 1}'})], id="whole, without an index"),
        pytest.param([call(index=0, id="a", function={"name": "f", "arguments": {"x": 1}})], id="as an object"),
        pytest.param(
            [call(id="a", function={"name": "f"}), call(function={"arguments": '{"x": 1}'})], id="without any index"
        ),
    ],
)
def test_tool_calls(parts):
    last = read(*parts, event(finish_reason="stop"))[1]
    assert last.tool_calls == (ToolCall("a", "f", '{"x": 1}'),)
    assert last.finish_reason is FinishReason.TOOL_CALLS


def test_calls_without_an_id_get_one_each():
    parts = [call(index=index, function={"name": "f", "arguments": "{}"}) for index in range(2)]
    ids = {each.id for each in read(*parts)[1].tool_calls}
    assert len(ids) == 2
    assert all(each.startswith("call_") for each in ids)


def test_calls_that_all_have_the_same_index_are_several():
    parts = [
        call(index=0, id="a", function={"name": "f", "arguments": '{"x": 1}'}),
        call(index=0, id="b", function={"name": "f", "arguments": '{"x"'}),
        call(index=0, id="b", function={"name": "f", "arguments": ": 2}"}),
    ]
    calls = read(*parts)[1].tool_calls
    assert calls == (ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "f", '{"x": 2}'))


def test_a_call_whose_every_part_has_another_id_is_one():
    parts = [call(index=0, id="a", function={"name": "f"}), call(index=0, id="b", function={"arguments": "{}"})]
    assert read(*parts)[1].tool_calls == (ToolCall("a", "f", "{}"),)


@pytest.mark.parametrize("ids", [("a", "a"), ("a" * 129, "b")])
def test_an_id_that_could_not_be_sent_back_is_replaced(ids):
    parts = [call(index=index, id=each, function={"name": "f"}) for index, each in enumerate(ids)]
    named = [each.id for each in read(*parts)[1].tool_calls]
    assert len(set(named)) == 2
    assert all(len(each) <= 128 for each in named)
    assert set(named) & set(ids)


def test_calls_without_end_are_refused():
    with pytest.raises(MalformedError):
        read(*(call(index=index, function={"name": "f"}) for index in range(1_000)))


def test_other_choices_and_thoughts_are_not_shown():
    other = json.dumps({"choices": [{"index": 1, "delta": {"content": "No"}}]}).encode()
    assert read(other, event({"reasoning_content": "Hm"}), event({"content": "Yes"}))[0] == "Yes"


def test_of_a_list_of_parts_the_texts_are_shown():
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    assert (
        read(event({"content": [thought]}), event({"content": [thought, {"type": "text", "text": "Yes"}]}))[0] == "Yes"
    )


@pytest.mark.parametrize(
    "payload",
    [
        b'{"error": {"message": "No."}}',
        b'{"error": "No."}',
        b'{"object": "error", "message": "No.", "code": 400}',
        b'{"message": "No.", "type": "server_error"}',
        b'{"choices": [], "x_groq": {"id": "1", "error": "over_capacity"}}',
    ],
)
def test_reports_of_failure(payload):
    with pytest.raises(ReportedError):
        read(payload)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b'"text"', b'{"choices": {}}', b"\xff", b'{"choices": [{"delta": 1}]}', DEEP]
)
def test_events_of_another_kind(payload):
    with pytest.raises(MalformedError):
        read(payload)


@given(st.text(), st.data())
def test_text_arrives_whole_wherever_it_is_cut_inside_characters_too(text, data):
    # JSON's escapes have two halves to each character beyond the first plane, and a provider may cut between these.
    units = text.encode("utf-16-be")
    halves = [(units[at] << 8) + units[at + 1] for at in range(0, len(units), 2)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(halves)))))
    pieces = [halves[start:end] for start, end in zip([0, *cuts], [*cuts, len(halves)], strict=True)]
    payloads = [
        b'{"choices": [{"delta": {"content": "%s"}}]}' % "".join(f"\\u{half:04x}" for half in piece).encode()
        for piece in pieces
    ]
    assert read(*payloads)[0] == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\')), st.data())
def test_text_arrives_whole_where_bytes_are_cut_inside_characters(text, data):
    encoded = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(encoded)))))
    pieces = [encoded[start:end] for start, end in zip([0, *cuts], [*cuts, len(encoded)], strict=True)]
    assert read(*(b'{"choices": [{"delta": {"content": "%s"}}]}' % piece for piece in pieces))[0] == text

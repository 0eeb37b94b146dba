"""The mapping of Anthropic's Messages API, both ways: what we ask in its words, what it answers in ours."""

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierway_server.backends.anthropic_reply import Reply
from tierway_server.backends.anthropic_request import JSON_TOOL, asked
from tierway_server.backends.base import (
    Chunk,
    FinishReason,
    Generation,
    Image,
    Message,
    Role,
    Sampling,
    Tool,
    ToolCall,
    ToolMode,
    Tools,
    Usage,
)
from tierway_server.backends.continuation import INSTRUCTION
from tierway_server.backends.reading import MalformedError, ReportedError
from tierway_server.errors import NotOfferedError

QUESTION = Message(Role.USER, "Where is Paris?")
WEATHER = Tool(name="weather", description="Tells the weather", parameters={"properties": {"city": {"type": "string"}}})
DEEP = pytest.param(b'{"x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", id="deep")
"""What nobody may take apart by recursion."""
DEEP_ARGUMENTS = pytest.param('{"x": ' + "[" * 20_000 + "]" * 20_000 + "}", id="deep")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def generation(*messages: Message, **fields: Any) -> Generation:
    defaults: dict[str, Any] = {"id": "1", "sampling": Sampling(), "max_tokens": 64}
    return Generation(messages=messages or (QUESTION,), **(defaults | fields))


def body(*messages: Message, **fields: Any) -> dict[str, Any]:
    return asked(generation(*messages, **fields), "claude", 64, can_prefill=False).body


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


class TestAsking:
    def test_a_plain_question_says_no_more_than_it_must(self) -> None:
        assert body() == {
            "model": "claude",
            "max_tokens": 64,
            "messages": [{"role": "user", "content": [text("Where is Paris?")]}],
            "stream": True,
        }

    def test_system_turns_go_to_the_front_wherever_they_stood(self) -> None:
        written = body(Message(Role.SYSTEM, "Be brief"), QUESTION, Message(Role.SYSTEM, "Be kind"))
        assert written["system"] == [text("Be brief"), text("Be kind")]
        assert [turn["role"] for turn in written["messages"]] == ["user"]

    def test_texts_and_images_keep_their_order(self) -> None:
        parts = ("Which is older?", Image(b"\x89PNG", "image/png"), Image(uri="https://example.org/a.jpg"), "Say one.")
        [turn] = body(Message(Role.USER, "Which is older?\nSay one.", parts))["messages"]
        assert turn["content"] == [
            text("Which is older?"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.jpg"}},
            text("Say one."),
        ]

    def test_calls_and_their_results_are_taken_back_and_those_of_one_turn_stand_together(self) -> None:
        calls = (ToolCall("a", "weather", '{"city":"Paris"}'), ToolCall("b", "weather", " "))
        turns = body(
            QUESTION,
            Message(Role.ASSISTANT, "I look", tool_calls=calls),
            Message(Role.TOOL, "rain", tool_call_id="a"),
            Message(Role.TOOL, "", tool_call_id="b"),
        )["messages"]
        assert turns[1:] == [
            {
                "role": "assistant",
                "content": [
                    text("I look"),
                    {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Paris"}},
                    {"type": "tool_use", "id": "b", "name": "weather", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [text("rain")]},
                    {"type": "tool_result", "tool_use_id": "b", "content": []},
                ],
            },
        ]

    @pytest.mark.parametrize("arguments", [DEEP_ARGUMENTS, "{", "[1]", '"x"', '{"a": "\\ud800"}'])
    def test_a_call_that_is_no_json_object_cannot_be_taken_back(self, arguments: str) -> None:
        call = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("a", "weather", arguments),))
        with pytest.raises(NotOfferedError) as refused:
            body(QUESTION, call)
        assert refused.value.field == "query.messages"

    @pytest.mark.parametrize(
        ("tools", "choice"),
        [
            (Tools(tools=(WEATHER,)), {"type": "auto"}),
            (Tools(tools=(WEATHER,), mode=ToolMode.NONE, parallel=False), {"type": "none"}),
            (Tools(tools=(WEATHER,), mode=ToolMode.REQUIRED), {"type": "any"}),
            (Tools(tools=(WEATHER,), name="weather"), {"type": "tool", "name": "weather"}),
            (Tools(tools=(WEATHER,), parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
            (Tools(tools=(WEATHER,), parallel=True), {"type": "auto", "disable_parallel_tool_use": False}),
        ],
    )
    def test_how_free_the_model_is_to_call(self, tools: Tools, choice: dict[str, Any]) -> None:
        written = body(tools=tools)
        assert written["tool_choice"] == choice
        [tool] = written["tools"]
        assert tool == {
            "name": "weather",
            "description": "Tells the weather",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        }

    def test_sampling_has_its_own_names(self) -> None:
        written = body(sampling=Sampling(temperature=0.5, top_p=0.9, top_k=40, stop=("\n\n1", "END")))
        assert written | {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop_sequences": ["\n\n1", "END"]} == written

    @pytest.mark.parametrize("name", ["seed", "presence_penalty", "frequency_penalty", "top_logprobs"])
    def test_what_the_api_does_not_have_is_refused_by_name(self, name: str) -> None:
        with pytest.raises(NotOfferedError) as refused:
            body(sampling=replace(Sampling(), **{name: 1}))
        assert refused.value.field == f"sampling.{name}"

    def test_a_stop_of_white_space_alone_is_refused(self) -> None:
        with pytest.raises(NotOfferedError) as refused:
            body(sampling=Sampling(stop=("END", "\n\n")))
        assert refused.value.field == "sampling.stop[1]"

    def test_a_call_that_another_provider_named_has_a_name_that_this_one_takes(self) -> None:
        foreign = ("functions.weather:0", "functions.weather:1", "toolu_1-a")
        turns = body(
            QUESTION,
            Message(Role.ASSISTANT, "", tool_calls=tuple(ToolCall(each, "weather", "{}") for each in foreign)),
            *(Message(Role.TOOL, "rain", tool_call_id=each) for each in foreign),
        )["messages"]
        called = [block["id"] for block in turns[1]["content"]]
        assert called == [block["tool_use_id"] for block in turns[2]["content"]]
        assert len(set(called)) == 3
        assert all(re.fullmatch("[a-zA-Z0-9_-]+", each) for each in called)
        assert called[2] == "toolu_1-a"

    def test_no_penalty_is_none_and_only_sampling_takes_the_older_version(self) -> None:
        it = asked(
            generation(sampling=Sampling(presence_penalty=0, frequency_penalty=0)), "claude", 64, can_prefill=False
        )
        assert (it.body, it.is_sampled) == (body(), False)
        for sampling in (Sampling(temperature=0), Sampling(top_p=1), Sampling(top_k=1)):
            assert asked(generation(sampling=sampling), "claude", 64, can_prefill=False).is_sampled

    def test_a_schema_is_a_format_that_is_closed_where_the_caller_left_it_open(self) -> None:
        nested = {
            "type": "object",
            "properties": {
                "properties": {"type": "array", "items": {"properties": {}}},
                "any": {
                    "anyOf": [{"properties": {"a": {}}, "additionalProperties": True}, {"enum": [{"properties": {}}]}]
                },
            },
        }
        format_ = body(json_schema=nested)["output_config"]["format"]
        assert format_ == {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {
                    "properties": {"type": "array", "items": {"properties": {}, "additionalProperties": False}},
                    "any": {
                        "anyOf": [
                            {"properties": {"a": {}}, "additionalProperties": True},
                            {"enum": [{"properties": {}}]},
                        ]
                    },
                },
                "additionalProperties": False,
            },
        }

    def test_any_json_object_is_a_tool_that_must_be_called(self) -> None:
        it = asked(generation(json_schema={}), "claude", 64, can_prefill=False)
        assert it.is_json_by_tool
        assert it.body["tools"][0]["input_schema"] == {"type": "object"}
        assert it.body["tool_choice"]["name"] == JSON_TOOL
        with pytest.raises(NotOfferedError):
            body(json_schema={}, tools=Tools(tools=(WEATHER,)))

    def test_a_schema_and_tools_go_together(self) -> None:
        written = body(json_schema=SCHEMA, tools=Tools(tools=(WEATHER,)))
        assert written["tools"][0]["name"] == "weather"
        assert "output_config" in written

    def test_an_older_model_goes_on_from_the_turn_that_has_begun(self) -> None:
        it = asked(generation(answered="In France, \n"), "claude", 64, can_prefill=True)
        assert it.body["messages"][-1] == {"role": "assistant", "content": [text("In France,")]}
        assert (it.white_space, it.is_asked_to_continue) == (" \n", False)

    def test_a_newer_model_is_asked_to_continue(self) -> None:
        it = asked(generation(answered="In France, \n"), "claude", 64, can_prefill=False)
        assert it.body["messages"][1:] == [
            {"role": "assistant", "content": [text("In France, \n")]},
            {"role": "user", "content": [text(INSTRUCTION)]},
        ]
        assert (it.white_space, it.is_asked_to_continue) == ("", True)

    @pytest.mark.parametrize("can_prefill", [True, False])
    def test_half_a_json_text_is_continued_in_words_because_what_is_forced_would_begin_again(
        self, can_prefill: bool
    ) -> None:
        it = asked(generation(answered='{"city": "Pa', json_schema=SCHEMA), "claude", 64, can_prefill=can_prefill)
        assert it.is_asked_to_continue
        assert not it.is_json_by_tool
        assert "output_config" not in it.body
        assert "tools" not in it.body
        assert it.body["messages"][-1]["content"][0]["text"].endswith(json.dumps(SCHEMA))

    @pytest.mark.parametrize("can_prefill", [True, False])
    def test_nothing_but_white_space_is_no_beginning(self, can_prefill: bool) -> None:
        it = asked(generation(answered=" \n"), "claude", 64, can_prefill=can_prefill)
        assert it == asked(generation(), "claude", 64, can_prefill=can_prefill)


def read(*events: dict[str, Any], **how: Any) -> Chunk:
    """All that comes of these events, as one chunk."""
    reply = Reply(9, 64, **how)
    for event in events:
        reply.take(json.dumps(event).encode())
    return reply.last_chunk()


def started(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg", "role": "assistant", "usage": usage}}


def began(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def ended(stop_reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": None}, "usage": usage}


class TestReading:
    def test_texts_are_passed_on_in_their_order_and_thoughts_are_not(self) -> None:
        it = read(
            started(input_tokens=9),
            began(0, type="thinking", thinking="Hm"),
            more(0, type="thinking_delta", thinking="France?"),
            more(0, type="signature_delta", signature="x"),
            began(1, type="text", text="In"),
            {"type": "ping"},
            more(1, type="text_delta", text=" France"),
            {"type": "something new", "index": 7},
            began(2, type="text", text=""),
            more(2, type="text_delta", text="."),
        )
        assert it.text == "In France."

    def test_each_piece_comes_once(self) -> None:
        reply = Reply(9, 64)
        reply.take(json.dumps(more(0, type="text_delta", text="In")).encode())
        assert reply.chunk() == Chunk("In", 1)
        assert reply.chunk() is None
        reply.take(json.dumps(more(0, type="text_delta", text=" France")).encode())
        assert (reply.last_chunk().text, reply.last_chunk().token_count) == (" France", 1)

    def test_the_last_word_on_tokens_counts_and_all_input_is_input(self) -> None:
        it = read(
            started(input_tokens=5, cache_creation_input_tokens=20, cache_read_input_tokens=300, output_tokens=1),
            ended("end_turn", output_tokens=42, output_tokens_details={"thinking_tokens": 30}),
        )
        assert it.usage == Usage(325, 300, 42, 30)

    def test_usage_that_ends_without_input_keeps_what_it_began_with(self) -> None:
        assert read(started(input_tokens=5), ended("end_turn", output_tokens=2, input_tokens=None)).usage == Usage(
            5, 0, 2
        )

    def test_what_a_service_does_not_tell_is_estimated(self) -> None:
        it = read(began(0, type="text", text="In"), more(0, type="text_delta", text=" France"))
        assert it.usage == Usage(9, 0, 2)

    def test_what_nobody_can_have_counted_is_not_believed(self) -> None:
        it = read(
            started(input_tokens=-5, cache_read_input_tokens=-1),
            began(0, type="text", text="In"),
            ended("end_turn", output_tokens=-2, output_tokens_details={"thinking_tokens": None}),
        )
        assert it.usage == Usage(9, 0, 1)

    def test_far_more_than_was_asked_for_is_its_length(self) -> None:
        reply = Reply(9, 1)
        for _ in range(100):
            reply.take(json.dumps(more(0, type="text_delta", text="!")).encode())
        assert (reply.finish_reason, reply.is_done) == (FinishReason.LENGTH, True)

    def test_what_a_cut_answer_had_written_is_more_than_was_told_at_its_beginning(self) -> None:
        reply = Reply(9, 1)
        for event in (started(input_tokens=5, output_tokens=1), *[more(0, type="text_delta", text="!")] * 100):
            reply.take(json.dumps(event).encode())
        assert reply.last_chunk().usage == Usage(5, 0, 100)

    @pytest.mark.parametrize(
        ("stop_reason", "finish_reason"),
        [
            ("end_turn", FinishReason.STOP),
            ("stop_sequence", FinishReason.STOP),
            ("pause_turn", FinishReason.STOP),
            ("one of tomorrow", FinishReason.STOP),
            ("max_tokens", FinishReason.LENGTH),
            ("model_context_window_exceeded", FinishReason.LENGTH),
            ("tool_use", FinishReason.TOOL_CALLS),
            ("refusal", FinishReason.CONTENT_FILTER),
        ],
    )
    def test_why_it_ended(self, stop_reason: str, finish_reason: FinishReason) -> None:
        assert read(started(), ended(stop_reason, output_tokens=1)).finish_reason is finish_reason

    def test_it_has_ended_when_it_says_why_and_is_done_when_it_says_so(self) -> None:
        reply = Reply(9, 64)
        seen = [(reply.finish_reason, reply.is_done)]
        for event in (started(), ended(None), ended("end_turn"), {"type": "message_stop"}):
            reply.take(json.dumps(event).encode())
            seen.append((reply.finish_reason, reply.is_done))
        assert seen == [(None, False)] * 3 + [(FinishReason.STOP, False), (FinishReason.STOP, True)]

    def test_calls_come_whole_and_in_their_order(self) -> None:
        it = read(
            began(0, type="text", text="I look"),
            began(1, type="tool_use", id="a", name="weather", input={}),
            began(2, type="tool_use", id="b", name="now", input={}),
            more(1, type="input_json_delta", partial_json=""),
            more(1, type="input_json_delta", partial_json='{"city": "S'),
            more(1, type="input_json_delta", partial_json='ão Paulo"}'),
        )
        assert it.text == "I look"
        assert it.tool_calls == (ToolCall("a", "weather", '{"city": "São Paulo"}'), ToolCall("b", "now", "{}"))

    def test_a_call_that_comes_whole_at_its_beginning_keeps_its_arguments(self) -> None:
        it = read(
            began(0, type="tool_use", id="a", name="weather", input={"city": "Paris"}),
            began(1, type="tool_use", id="b", name="weather", input={"city": "Rome"}),
            more(1, type="input_json_delta", partial_json='{"city": "Oslo"}'),
            began(2, type="tool_use", id="c", name="now", input=None),
        )
        assert [json.loads(call.arguments) for call in it.tool_calls] == [{"city": "Paris"}, {"city": "Oslo"}, {}]

    def test_the_tool_that_stands_for_any_json_object_is_the_answer_itself(self) -> None:
        it = read(
            began(0, type="text", text="Here it is"),
            began(1, type="tool_use", id="a", name=JSON_TOOL, input={}),
            more(1, type="input_json_delta", partial_json='{"city"'),
            more(1, type="input_json_delta", partial_json=': "Paris"}'),
            ended("tool_use", output_tokens=9),
            is_json_by_tool=True,
        )
        assert (it.text, it.tool_calls, it.finish_reason) == ('{"city": "Paris"}', (), FinishReason.STOP)

    def test_the_tool_that_stands_for_any_json_object_may_be_called_with_an_empty_one(self) -> None:
        called = began(0, type="tool_use", id="a", name=JSON_TOOL, input={})
        it = read(called, more(0, type="input_json_delta", partial_json=""), ended("tool_use"), is_json_by_tool=True)
        assert (it.text, it.tool_calls, it.finish_reason) == ("{}", (), FinishReason.STOP)

    @pytest.mark.parametrize(
        ("pieces", "rest"),
        [((" \n", "next"), "next"), ((" ", "\n\nnext"), "\nnext"), (("next",), "next"), (("\n next",), "\n next")],
    )
    def test_white_space_that_was_said_already_is_not_said_again(self, pieces: tuple[str, ...], rest: str) -> None:
        deltas = (more(0, type="text_delta", text=piece) for piece in pieces)
        assert read(*deltas, white_space=" \n").text == rest

    @pytest.mark.parametrize(
        "payload",
        [b"", b"{", b"[]", b'{"type": 1}', b'{"type": "message_start", "message": 7}', DEEP],
    )
    def test_what_is_no_event_is_told(self, payload: bytes) -> None:
        with pytest.raises(MalformedError):
            Reply(9, 64).take(payload)

    def test_an_error_among_the_events_is_told_for_classification(self) -> None:
        with pytest.raises(ReportedError) as raised:
            Reply(9, 64).take(b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}')
        assert raised.value.report == {"type": "overloaded_error", "message": "Overloaded"}

    @given(
        st.recursive(st.none() | st.integers() | st.text(), lambda each: st.dictionaries(st.text(), each)), st.data()
    )
    def test_arguments_arrive_character_for_character_however_they_were_cut(
        self, value: Any, data: st.DataObject
    ) -> None:
        arguments = json.dumps({"value": value}, ensure_ascii=False)
        places = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=5)))
        pieces = [arguments[start:end] for start, end in itertools.pairwise((0, *places, len(arguments)))]
        it = read(
            began(3, type="tool_use", id="a", name="weather"),
            *(more(3, type="input_json_delta", partial_json=piece) for piece in pieces),
        )
        assert it.tool_calls == (ToolCall("a", "weather", arguments),)

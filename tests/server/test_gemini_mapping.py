"""The mapping of Google's own Gemini API, both ways: what we ask in its words, what it answers in ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.google_events import blocked, end, part
from tests.server.remote import asking
from tierway_server.backends.base import (
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
from tierway_server.backends.continuation import INSTRUCTION
from tierway_server.backends.gemini_reply import GeminiReply
from tierway_server.backends.gemini_request import request_body
from tierway_server.backends.reading import MalformedError, ReportedError
from tierway_server.errors import NotOfferedError

WEATHER = Tool(name="weather", description="Tells it", parameters={"properties": {"city": {"type": "string"}}})
DEEP = pytest.param(b'{"x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", id="deep")
"""What nobody may take apart by recursion."""
DEEP_ARGUMENTS = pytest.param('{"x": ' + "[" * 20_000 + "]" * 20_000 + "}", id="deep")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def body(*messages: Message, model: str = "gemini-2.5-flash", **fields: Any) -> dict[str, Any]:
    return request_body(asking(messages=messages, **fields) if messages else asking(**fields), model, 64)


def read(*events: dict[str, Any]):
    reply = GeminiReply(7, 64)
    for each in events:
        reply.take(json.dumps(each).encode())
    return reply.last_chunk()


class TestAsking:
    def test_a_plain_question_says_no_more_than_it_must(self) -> None:
        assert body() == {
            "contents": [{"role": "user", "parts": [{"text": "Hello?"}]}],
            "generationConfig": {"maxOutputTokens": 64},
        }

    def test_a_conversation_with_images_calls_and_results(self) -> None:
        calls = (ToolCall("a", "weather", '{"city": "Paris"}'), ToolCall("b", "weather", ""))
        written = body(
            Message(Role.SYSTEM, "Be brief"),
            Message(Role.USER, "This?", ("This?", Image(b"\x89PNG", "image/png"))),
            Message(Role.ASSISTANT, "I look", tool_calls=calls),
            Message(Role.TOOL, '{"sky": "grey"}', tool_call_id="a"),
            Message(Role.TOOL, "rain", tool_call_id="b"),
        )
        assert written["systemInstruction"] == {"parts": [{"text": "Be brief"}]}
        assert written["contents"] == [
            {
                "role": "user",
                "parts": [{"text": "This?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "I look"},
                    {"functionCall": {"id": "a", "name": "weather", "args": {"city": "Paris"}}},
                    {"functionCall": {"id": "b", "name": "weather", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "a", "name": "weather", "response": {"sky": "grey"}}},
                    {"functionResponse": {"id": "b", "name": "weather", "response": {"result": "rain"}}},
                ],
            },
        ]

    @pytest.mark.parametrize(
        ("model", "is_signed"), [("gemini-2.5-pro", False), ("gemini-3-pro-preview", True), ("gemini-3.1-pro", True)]
    )
    def test_calls_are_signed_where_the_model_demands_it(self, model: str, is_signed: bool) -> None:
        called = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("a", "weather", "{}"),))
        [call] = body(called, model=model)["contents"][0]["parts"]
        assert ("thoughtSignature" in call) is is_signed

    @pytest.mark.parametrize("arguments", [DEEP_ARGUMENTS, "{", "[1]"])
    def test_a_call_that_is_no_json_object_cannot_be_taken_back(self, arguments: str) -> None:
        with pytest.raises(NotOfferedError):
            body(Message(Role.ASSISTANT, "", tool_calls=(ToolCall("a", "weather", arguments),)))

    def test_an_image_by_its_address_is_refused(self) -> None:
        with pytest.raises(NotOfferedError):
            body(Message(Role.USER, "", (Image(uri="https://example.org/a.jpg"),)))

    @pytest.mark.parametrize(
        ("tools", "choice"),
        [
            (Tools(tools=(WEATHER,)), {"mode": "AUTO"}),
            (Tools(tools=(WEATHER,), mode=ToolMode.NONE), {"mode": "NONE"}),
            (Tools(tools=(WEATHER,), mode=ToolMode.REQUIRED), {"mode": "ANY"}),
            (Tools(tools=(WEATHER,), name="weather"), {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        ],
    )
    def test_how_free_the_model_is_to_call(self, tools: Tools, choice: dict[str, Any]) -> None:
        written = body(tools=tools)
        assert written["toolConfig"] == {"functionCallingConfig": choice}
        schema = {"type": "object", "properties": {"city": {"type": "string"}}}
        declared = {"name": "weather", "description": "Tells it", "parametersJsonSchema": schema}
        assert written["tools"] == [{"functionDeclarations": [declared]}]

    def test_all_of_sampling_has_its_place(self) -> None:
        sampling = Sampling(
            temperature=1.5,
            top_p=0.9,
            top_k=40,
            stop=("\n",),
            seed=7,
            presence_penalty=0.5,
            frequency_penalty=-0.5,
            top_logprobs=3,
        )
        assert body(sampling=sampling)["generationConfig"] == {
            "maxOutputTokens": 64,
            "temperature": 1.5,
            "topP": 0.9,
            "topK": 40,
            "stopSequences": ["\n"],
            "seed": 7,
            "presencePenalty": 0.5,
            "frequencyPenalty": -0.5,
            "responseLogprobs": True,
            "logprobs": 3,
        }

    def test_a_seed_has_no_more_bits_than_the_api_takes(self) -> None:
        assert body(sampling=Sampling(seed=2**63 - 1))["generationConfig"]["seed"] == 2**31 - 1

    def test_a_schema_is_a_format_and_a_continuation_is_asked_for_in_words(self) -> None:
        config = body(json_schema=SCHEMA)["generationConfig"]
        assert (config["responseMimeType"], config["responseJsonSchema"]) == ("application/json", SCHEMA)
        assert "responseJsonSchema" not in body(json_schema={})["generationConfig"]
        continued = body(json_schema=SCHEMA, answered='{"city": "Pa')
        assert "responseMimeType" not in continued["generationConfig"]
        *_, begun, asked = continued["contents"]
        assert begun == {"role": "model", "parts": [{"text": '{"city": "Pa'}]}
        assert asked["parts"][0]["text"].startswith(INSTRUCTION)
        assert asked["parts"][0]["text"].endswith(json.dumps(SCHEMA))


class TestReading:
    def test_texts_are_passed_on_thoughts_are_not_and_both_count(self) -> None:
        it = read(part(text="Hm", thought=True), part(text="In"), part(text=" France"), end())
        assert (it.text, it.finish_reason, it.usage) == ("In France", FinishReason.STOP, Usage(11, 4, 23, 20))

    def test_calls_come_in_their_order(self) -> None:
        it = read(
            part(functionCall={"id": "a", "name": "weather", "args": {"city": "São Paulo"}}),
            part(functionCall={"name": "now"}, thoughtSignature="x"),
            end(),
        )
        named, unnamed = it.tool_calls
        assert named == ToolCall("a", "weather", '{"city":"São Paulo"}')
        assert (unnamed.name, unnamed.arguments) == ("now", "{}")
        assert unnamed.id.startswith("call_")
        assert it.finish_reason is FinishReason.TOOL_CALLS

    def test_log_probabilities_come_with_their_alternatives(self) -> None:
        told = {
            "chosenCandidates": [{"token": "In", "tokenId": 1, "logProbability": -0.5}],
            "topCandidates": [{"candidates": [{"token": "In", "logProbability": -0.5}, {"token": "At"}]}],
        }
        it = read({"candidates": [{"content": {"parts": [{"text": "In"}]}, "logprobsResult": told}]}, end())
        assert it.logprobs == (TokenLogprob("In", -0.5, (("In", -0.5), ("At", 0.0))),)

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("STOP", FinishReason.STOP),
            ("MAX_TOKENS", FinishReason.LENGTH),
            ("ONE_OF_TOMORROW", FinishReason.LENGTH),
            ("SAFETY", FinishReason.CONTENT_FILTER),
            ("RECITATION", FinishReason.CONTENT_FILTER),
            ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ],
    )
    def test_why_it_ended(self, reason: str, expected: FinishReason) -> None:
        assert read(part(text="In"), end(reason)).finish_reason is expected

    def test_what_a_service_does_not_tell_is_estimated(self) -> None:
        assert read(part(text="In")).usage == Usage(7, 0, 1)

    def test_what_nobody_can_have_counted_is_not_believed(self) -> None:
        told = {"promptTokenCount": -9, "candidatesTokenCount": 3}
        assert read(part(text="In"), {"usageMetadata": told}).usage == Usage(7, 0, 1)
        told = {"promptTokenCount": 9, "candidatesTokenCount": -3, "thoughtsTokenCount": -1}
        assert read(part(text="In"), {"usageMetadata": told}).usage == Usage(9, 0, 0)

    def test_far_more_than_was_asked_for_is_its_length(self) -> None:
        reply = GeminiReply(7, 1)
        for _ in range(100):
            reply.take(json.dumps(part(text="!")).encode())
        assert (reply.finish_reason, reply.is_done) == (FinishReason.LENGTH, True)

    @pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"candidates": 7}', DEEP])
    def test_what_is_no_event_is_told(self, payload: bytes) -> None:
        with pytest.raises(MalformedError):
            GeminiReply(7, 64).take(payload)

    @pytest.mark.parametrize(
        "told",
        [end("MALFORMED_FUNCTION_CALL"), end("MALFORMED_RESPONSE"), blocked(), {"error": {"code": 503}}],
    )
    def test_what_is_no_answer_is_told_for_classification(self, told: dict[str, Any]) -> None:
        with pytest.raises(ReportedError):
            read(told)

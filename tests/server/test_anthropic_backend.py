"""A deployment that speaks Anthropic's Messages API, over the wire: what becomes of each answer, and of what is none."""

from __future__ import annotations

import json

import pytest

from tests.faults import anthropic_events as anthropic
from tests.faults.upstream import End, Reply, upstream
from tests.server.remote import KEY, answer, asking, failure_of, remote_backend, remote_fleet, text_of
from tests.server.running import until
from tierway_server.backends.base import FinishReason, Sampling, Tool, ToolCall, Tools, Usage
from tierway_server.backends.continuation import INSTRUCTION
from tierway_server.errors import (
    ContentBlockedError,
    ContextTooLongError,
    ProviderAuthError,
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderQuotaError,
    ProviderRejectedError,
    StreamBrokenError,
)

INPUT_TOKENS = anthropic.INPUT_TOKENS + anthropic.CACHED_INPUT_TOKENS
USAGE = Usage(INPUT_TOKENS, anthropic.CACHED_INPUT_TOKENS, len(anthropic.PIECES))
BEGUN = (anthropic.message_start(), anthropic.block_start({"type": "text", "text": ""}))
ENDED = (anthropic.message_delta(3), anthropic.message_stop())


@pytest.fixture
async def provider():
    async with upstream(anthropic.good) as provider:
        yield provider


def fleet(provider, **how):
    return remote_fleet(provider.base_url, kind="anthropic", **how)


@pytest.fixture
async def backend(provider):
    async with remote_backend(fleet(provider)) as backend:
        yield backend


async def test_an_answer_comes_with_its_account_and_its_end(backend):
    chunks = await answer(backend)
    assert text_of(chunks) == "Paris it is."
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1].finish_reason, chunks[-1].usage) == (FinishReason.STOP, USAGE)
    assert sum(chunk.token_count for chunk in chunks) == len(anthropic.PIECES)


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
async def test_the_request_is_the_sdk_s_and_lets_us_in(provider, end):
    document = fleet(provider, headers={"x-team": "blue"})
    document["providers"]["upstream"]["base_url"] += end
    async with remote_backend(document) as backend:
        await answer(backend)
    [asked] = provider.asked
    assert (asked.method, asked.path) == ("POST", "/v1/messages")
    assert (asked.headers["authorization"], asked.headers["x-api-key"]) == (f"Bearer {KEY}", KEY)
    assert asked.headers["anthropic-version"] > "2023-06-01"
    assert asked.headers["x-team"] == "blue"
    assert not [name for name in asked.headers if name.startswith("x-stainless")]
    assert asked.document["model"] == "scripted-1"


async def test_nothing_of_the_environment_goes_along(provider, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-secret: hunter3\nauthorization: hunter3")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "hunter3")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "hunter3")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    async with remote_backend(fleet(provider)) as backend:
        await answer(backend)
    [asked] = provider.asked
    assert "hunter3" not in str(asked.headers)


async def test_an_operator_s_parameters_are_added(provider):
    document = fleet(provider, deployment={"parameters": {"thinking": {"type": "adaptive"}}})
    async with remote_backend(document) as backend:
        await answer(backend)
    assert provider.asked[0].document["thinking"] == {"type": "adaptive"}


async def test_an_operator_s_effort_does_not_take_the_caller_s_schema_away(provider):
    document = fleet(provider, deployment={"parameters": {"output_config": {"effort": "low"}}})
    async with remote_backend(document) as backend:
        await answer(backend, asking(json_schema={"type": "object", "properties": {}}))
    assert set(provider.asked[0].document["output_config"]) == {"effort", "format"}


async def test_how_tokens_are_sampled_is_said_by_the_older_version_of_the_api(provider):
    async with remote_backend(fleet(provider, can=["sampling"])) as backend:
        await answer(backend, asking(sampling=Sampling(temperature=0.5)))
    [asked] = provider.asked
    assert (asked.headers["anthropic-version"], asked.document["temperature"]) == ("2023-06-01", 0.5)


async def test_calls_come_whole_in_the_last_chunk(backend, provider):
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    pieces = ('{"city": ', '"Paris"}')
    provider.answer = lambda _: Reply(
        steps=(
            *BEGUN,
            anthropic.text("I look"),
            anthropic.block_start(call, 1),
            *(anthropic.delta({"type": "input_json_delta", "partial_json": piece}, 1) for piece in pieces),
            anthropic.message_delta(9, "tool_use"),
            anthropic.message_stop(),
        )
    )
    tools = Tools(tools=(Tool(name="weather", description="", parameters={}),))
    *chunks, last = await answer(backend, asking(tools=tools))
    assert not any(chunk.tool_calls for chunk in chunks)
    assert last.tool_calls == (ToolCall("toolu_1", "weather", '{"city": "Paris"}'),)
    assert (last.finish_reason, last.usage) == (FinishReason.TOOL_CALLS, Usage(INPUT_TOKENS, 4, 9))


async def test_a_caller_who_leaves_closes_the_connection_at_once(backend, provider):
    provider.answer = lambda _: Reply(steps=(*BEGUN, anthropic.text("Paris"), End.HANG))
    chunks = backend.generate(asking())
    await anext(chunks)
    await chunks.aclose()
    await until(lambda: provider.hung_up == 1 and provider.living == 0)


async def test_an_endless_answer_is_cut_at_the_length_that_was_asked_for(backend, provider):
    provider.answer = lambda _: Reply(steps=(*BEGUN, *[anthropic.text("!")] * 1_000, End.HANG))
    chunks = await answer(backend, asking(max_tokens=8))
    assert chunks[-1].finish_reason is FinishReason.LENGTH
    assert 8 < len(text_of(chunks)) <= 8 * 8 + 64 + 1
    assert chunks[-1].usage == Usage(INPUT_TOKENS, anthropic.CACHED_INPUT_TOKENS, len(text_of(chunks)))
    await until(lambda: provider.hung_up == 1)


async def test_endless_arguments_of_a_call_are_cut_likewise(backend, provider):
    call = anthropic.block_start({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}})
    more = anthropic.delta({"type": "input_json_delta", "partial_json": "["})
    provider.answer = lambda _: Reply(steps=(anthropic.message_start(), call, *[more] * 1_000, End.HANG))
    tools = Tools(tools=(Tool(name="weather", description="", parameters={}),))
    last = (await answer(backend, asking(tools=tools, max_tokens=8)))[-1]
    assert (last.finish_reason, last.tool_calls[0].name) == (FinishReason.LENGTH, "weather")


class TestGoingOn:
    async def test_an_older_model_s_turn_is_begun_for_it(self, provider):
        provider.answer = lambda _: anthropic.stream((" \nin", " France"))
        async with remote_backend(fleet(provider, can=["prefill"])) as backend:
            chunks = await answer(backend, asking(answered="It is \n"))
        assert text_of(chunks) == "in France"
        last = provider.asked[0].document["messages"][-1]
        assert last == {"role": "assistant", "content": [{"type": "text", "text": "It is"}]}

    async def test_a_newer_one_is_asked_to_and_what_it_repeats_is_left_out(self, backend, provider):
        provider.answer = lambda _: anthropic.stream(("It is in", " the north", " of France"))
        chunks = await answer(backend, asking(answered="It is in the north"))
        assert text_of(chunks) == " of France"
        assert (chunks[-1].usage, sum(chunk.token_count for chunk in chunks)) == (USAGE, 3)
        *_, begun, asked = provider.asked[0].document["messages"]
        assert begun["content"][0]["text"] == "It is in the north"
        assert asked == {"role": "user", "content": [{"type": "text", "text": INSTRUCTION}]}


class TestFailing:
    @pytest.mark.parametrize(
        ("status", "kind", "message", "expected"),
        [
            (400, "invalid_request_error", "prefill is not supported", ProviderRejectedError),
            (400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum", ContextTooLongError),
            (401, "authentication_error", "invalid x-api-key", ProviderAuthError),
            (402, "billing_error", "no money", ProviderQuotaError),
            (403, "permission_error", "not yours", ProviderAuthError),
            (404, "not_found_error", "model: nano", ProviderRejectedError),
            (413, "request_too_large", "too large", ProviderRejectedError),
            (429, "rate_limit_error", "slow down", ProviderOverloadedError),
            (500, "api_error", "oops", ProviderFailedError),
            (529, "overloaded_error", "Overloaded", ProviderOverloadedError),
        ],
    )
    async def test_an_error_before_the_answer_is_of_its_kind(self, backend, provider, status, kind, message, expected):
        provider.answer = lambda _: anthropic.error(status, kind, message=message, retry_after="7")
        said, failure = await failure_of(backend)
        assert (said, type(failure)) == ("", expected)
        assert message not in str(failure)
        assert failure.metadata["provider"] == "upstream"
        if expected is ProviderOverloadedError:
            assert failure.retry_after_s == 7

    @pytest.mark.parametrize("steps", [(), BEGUN, (*BEGUN, anthropic.ping())])
    async def test_an_error_event_before_any_text_is_of_its_kind(self, backend, provider, steps):
        provider.answer = lambda _: Reply(steps=(*steps, anthropic.error_event("overloaded_error")))
        assert type((await failure_of(backend))[1]) is ProviderOverloadedError

    @pytest.mark.parametrize(
        "rest",
        [
            (anthropic.error_event("overloaded_error"),),
            (End.CUT,),
            (End.RESET,),
            (),
            (b"data: {\n\n",),
            (b'data: {"type": 7}\n\n',),
        ],
    )
    async def test_whatever_happens_after_the_first_text_breaks_the_answer_off(self, backend, provider, rest):
        provider.answer = lambda _: Reply(steps=(*BEGUN, anthropic.text("Paris"), *rest))
        said, failure = await failure_of(backend)
        assert (said, type(failure)) == ("Paris", StreamBrokenError)

    async def test_an_empty_stream_is_no_answer(self, backend, provider):
        provider.answer = lambda _: Reply(steps=(*BEGUN,))
        assert type((await failure_of(backend))[1]) is ProviderFailedError

    async def test_an_answer_that_said_why_it_ended_is_whole_though_the_rest_is_lost(self, backend, provider):
        provider.answer = lambda _: Reply(steps=(*BEGUN, anthropic.text("Paris"), anthropic.message_delta(3), End.CUT))
        chunks = await answer(backend)
        assert (text_of(chunks), chunks[-1].usage) == ("Paris", USAGE)

    async def test_a_refusal_before_any_text_is_an_error_and_after_it_an_end(self, backend, provider):
        refused = (anthropic.message_delta(0, "refusal"), anthropic.message_stop())
        provider.answer = lambda _: Reply(steps=(anthropic.message_start(), *refused))
        assert type((await failure_of(backend))[1]) is ContentBlockedError
        provider.answer = lambda _: Reply(steps=(*BEGUN, anthropic.text("Paris"), *refused))
        assert (await answer(backend))[-1].finish_reason is FinishReason.CONTENT_FILTER

    async def test_nothing_secret_is_logged_or_told(self, backend, provider, caplog):
        provider.answer = lambda _: anthropic.error(401, KEY, message=f"{KEY} is no key")
        _, failure = await failure_of(backend)
        told = json.dumps({"message": str(failure), **failure.metadata}) + repr(vars(backend))
        logged = " ".join(str(vars(record)) for record in caplog.records)
        assert KEY not in told + logged
        assert caplog.records

"""A deployment that speaks OpenAI's chat completions, over the wire: what becomes of each answer, and of what is none."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import threading

import pytest

from tests.faults import openai_events as openai
from tests.faults.upstream import Asked, End, Reply, document, upstream
from tests.server.remote import KEY, answer, asking, failure_of, outcome, remote_backend, remote_fleet, text_of
from tests.server.running import until
from tierway_server.backends.base import FinishReason, Usage
from tierway_server.backends.continuation import INSTRUCTION
from tierway_server.errors import (
    ProviderAuthError,
    ProviderFailedError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    StreamBrokenError,
)

USAGE = Usage(openai.INPUT_TOKENS, openai.CACHED_INPUT_TOKENS, len(openai.PIECES))
EVENTS = tuple(openai.events())
MULTIBYTE = tuple(openai.events(("Zürich ", "😀", "日本", " ok")))


@pytest.fixture
async def provider():
    async with upstream(openai.stream()) as provider:
        yield provider


@pytest.fixture
async def backend(provider):
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1")) as backend:
        yield backend


def always(*steps: object, **reply: object):
    """Answers each request with these steps."""

    def reply_to(_: Asked) -> Reply:
        return Reply(steps=steps, **reply)  # type: ignore[arg-type]

    return reply_to


async def test_an_answer_comes_with_its_account_and_its_end(backend):
    chunks = await answer(backend)
    assert text_of(chunks) == "Paris it is."
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1].finish_reason, chunks[-1].usage) == (FinishReason.STOP, USAGE)
    assert sum(chunk.token_count for chunk in chunks) == len(openai.PIECES)


async def test_the_request_is_the_sdk_s_and_lets_us_in(backend, provider):
    await answer(backend)
    [asked] = provider.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["accept"] == "text/event-stream"
    assert not [name for name in asked.headers if name.startswith("x-stainless")]


async def test_an_answer_that_comes_whole_although_events_were_asked_for_is_one(backend, provider):
    provider.answer = lambda _: openai.whole()
    [chunk] = await answer(backend)
    assert (chunk.text, chunk.finish_reason, chunk.usage) == ("Paris it is.", FinishReason.STOP, USAGE)


async def test_calls_that_come_whole_are_calls(backend, provider):
    functions = [{"name": "weather", "arguments": '{"city": "Paris"}'}, {"name": "time", "arguments": "{}"}]
    calls = [{"id": f"call_{at}", "type": "function", "function": each} for at, each in enumerate(functions)]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    provider.answer = lambda _: document({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    [chunk] = await answer(backend)
    assert [(call.id, call.name, call.arguments) for call in chunk.tool_calls] == [
        ("call_0", "weather", '{"city": "Paris"}'),
        ("call_1", "time", "{}"),
    ]
    assert chunk.finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    "named", [{}, {"id": ""}, {"id": "call"}], ids=["without names", "with empty ones", "with one"]
)
async def test_calls_that_come_whole_stay_apart_whatever_they_are_called(backend, provider, named):
    functions = [{"name": "weather", "arguments": '{"city": "Paris"}'}, {"name": "time", "arguments": "{}"}]
    message = {"tool_calls": [{**named, "function": each} for each in functions]}
    provider.answer = lambda _: document({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    [chunk] = await answer(backend)
    assert [(call.name, call.arguments) for call in chunk.tool_calls] == [
        ("weather", '{"city": "Paris"}'),
        ("time", "{}"),
    ]


async def test_a_stream_that_says_all_of_it_once_more_at_its_end_is_heard_once(backend, provider):
    whole = {"message": {"content": "Paris it is."}, "finish_reason": "stop"}  # as MiniMax does
    provider.answer = always(*EVENTS[:-3], openai.event({"choices": [whole], "usage": openai.usage(3)}))
    chunks = await answer(backend)
    assert (text_of(chunks), chunks[-1].finish_reason) == ("Paris it is.", FinishReason.STOP)
    assert chunks[-1].usage == USAGE


async def test_a_stream_of_one_event_with_all_of_it_has_its_account_behind_it(backend, provider):
    whole = {"delta": {}, "message": {"content": "Paris it is."}, "finish_reason": "stop"}
    provider.answer = always(openai.event({"choices": [whole]}), *EVENTS[-2:])
    chunks = await answer(backend)
    assert (text_of(chunks), chunks[-1].usage) == ("Paris it is.", USAGE)


async def test_a_whole_answer_that_is_cut_at_any_byte_is_none(backend, provider):
    [wire] = openai.whole(("Zürich ", "😀")).steps
    for cut in range(0, len(wire), 9):
        provider.answer = always(wire[:cut], End.CUT, content_type="application/json")
        said, failure = await failure_of(backend)
        assert (said, failure.reason) == ("", "PROVIDER_FAILED")


async def test_the_first_token_is_passed_on_before_the_second_comes(backend, provider):
    gate = asyncio.Event()
    provider.answer = always(EVENTS[0], EVENTS[1], gate, *EVENTS[2:])
    chunks = backend.generate(asking())
    assert (await anext(chunks)).text == "Paris"
    gate.set()
    assert text_of([chunk async for chunk in chunks]) == " it is."


async def test_who_asks_before_it_is_known_to_be_there_holds_nobody_else_up(provider):
    threads = []
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1", kind="llamacpp", api_key=None)) as backend:
        make = backend._make_endpoint
        backend._make_endpoint = lambda: threads.append(threading.get_ident()) or make()
        assert text_of(await answer(backend)) == "Paris it is."
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_answers_one_after_the_other_share_a_connection(backend, provider):
    for _ in range(3):
        await answer(backend)
    assert (provider.count, provider.connections) == (3, 1)


async def test_a_kept_connection_that_the_server_closes_is_no_failure_and_a_new_one_is(backend, provider):
    await answer(backend)
    replies = iter([Reply(before=(End.CUT,)), openai.stream()])
    provider.answer = lambda _: next(replies)
    assert text_of(await answer(backend)) == "Paris it is."
    assert (provider.count, provider.connections) == (3, 2)
    provider.answer = always(before=(End.RESET,))
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1")) as fresh:
        assert isinstance((await failure_of(fresh))[1], ProviderFailedError)
    assert provider.count == 4


async def test_a_caller_who_leaves_closes_the_connection_at_once(backend, provider):
    provider.answer = always(openai.text("Paris"), End.HANG)
    chunks = backend.generate(asking())
    await anext(chunks)
    await chunks.aclose()
    await until(lambda: provider.hung_up == 1 and provider.living == 0)


async def test_a_caller_who_leaves_while_chunks_are_put_together_closes_it_too(provider):
    provider.answer = always(openai.text("Paris"), openai.text(" it"), End.HANG)
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1", coalesce_window_s=1)) as backend:
        chunks = backend.generate(asking())
        await anext(chunks)
        second = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait((second,))
        await chunks.aclose()
        await until(lambda: provider.hung_up == 1 and provider.living == 0)


async def test_a_task_that_is_cancelled_before_the_first_token_closes_it_too(backend, provider):
    provider.answer = always(before=(End.HANG,))
    asking_task = asyncio.create_task(answer(backend))
    await until(lambda: provider.count == 1)
    asking_task.cancel()
    await asyncio.wait((asking_task,))
    await until(lambda: provider.hung_up == 1 and provider.living == 0)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_bytes_may_come_in_any_pieces(backend, provider, size):
    wire = b"".join(MULTIBYTE)
    provider.answer = always(*(wire[start : start + size] for start in range(0, len(wire), size)))
    chunks = await answer(backend)
    assert text_of(chunks) == "Zürich 😀日本 ok"
    assert chunks[-1].finish_reason is FinishReason.STOP


async def test_a_cut_at_any_byte_is_a_failure_or_comes_after_the_end(backend, provider):
    wire = b"".join(MULTIBYTE)
    whole = "Zürich 😀日本 ok"
    ended = wire.index(b'"finish_reason": "stop"')
    outcomes = set()
    for cut in range(0, len(wire), 5):
        provider.answer = always(wire[:cut], End.CUT)
        said, failure = await outcome(backend)
        outcomes.add(type(failure))
        if failure is None:
            assert (said, cut > ended) == (whole, True)
        else:
            assert isinstance(failure, StreamBrokenError if said else ProviderFailedError)
            assert whole.startswith(said)
            assert cut <= wire.index(b"\n\n", ended) + 2
    assert outcomes == {StreamBrokenError, ProviderFailedError, type(None)}


async def test_text_in_front_of_a_failure_is_passed_on_before_it(backend, provider):
    provider.answer = always(EVENTS[0] + EVENTS[1] + EVENTS[2] + openai.error_event())
    said, failure = await failure_of(backend)
    assert (said, type(failure), failure.metadata) == ("Paris it", StreamBrokenError, {"provider": "upstream"})


async def test_an_error_before_the_first_token_can_fall_back(backend, provider):
    provider.answer = always(EVENTS[0], openai.error_event("overloaded_error"))
    said, failure = await failure_of(backend)
    assert (said, failure.reason, failure.can_fall_back) == ("", "PROVIDER_OVERLOADED", True)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(steps=()), id="nothing"),
        pytest.param(Reply(steps=(openai.DONE,)), id="only the end"),
        pytest.param(Reply(steps=(b": keep-alive\n\n",)), id="only comments"),
        pytest.param(Reply(steps=(b"data: {not json\n\n",)), id="no JSON"),
        pytest.param(Reply(steps=(b'data: {"choices": 7}\n\n',)), id="JSON of another kind"),
        pytest.param(Reply(steps=(b"data: " + b"x" * 5_000_000,)), id="an event without an end"),
        pytest.param(Reply(content_type="text/html", steps=(b"<h1>Hello</h1>",)), id="another content type"),
        pytest.param(document({"choices": []}), id="a document without an answer"),
        pytest.param(document({"status": "ok"}), id="a document of another kind"),
        pytest.param(
            document({"choices": [{"text": "Hi", "finish_reason": "stop"}]}), id="a completion of another API"
        ),
        pytest.param(document({"choices": [{"message": {"content": "Hi"}}]}), id="a document that does not end"),
        pytest.param(Reply(content_type="application/json", steps=(b"{",)), id="half a document"),
        pytest.param(Reply(content_type="application/json", steps=[b"[" * 2**20] * 17), id="a document without an end"),
        pytest.param(Reply(before=(b"HTP/1.1 what\r\n\r\n",)), id="no HTTP"),
        pytest.param(Reply(steps=(End.CUT,)), id="a cut"),
        pytest.param(Reply(steps=(End.RESET,)), id="a reset"),
        pytest.param(Reply(before=(End.CUT,)), id="a cut before the status"),
        pytest.param(Reply(status=302, headers=(("location", "/elsewhere"),)), id="a redirect"),
    ],
)
async def test_what_is_no_answer_fails_and_is_not_passed_on(backend, provider, reply):
    provider.answer = lambda _: reply
    said, failure = await failure_of(backend)
    assert said == ""
    assert failure.reason == ("PROVIDER_REJECTED" if reply.status == 302 else "PROVIDER_FAILED")
    assert provider.count == 1


async def test_an_error_document_with_a_good_status_is_an_error(backend, provider):
    provider.answer = lambda _: document({"error": {"message": "No.", "code": "invalid_api_key"}})
    assert isinstance((await failure_of(backend))[1], ProviderAuthError)


async def test_silence_is_a_timeout(provider):
    provider.answer = always(before=(End.HANG,))
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1", idle_timeout_s=0.05)) as backend:
        assert isinstance((await failure_of(backend))[1], ProviderTimeoutError)
        provider.answer = always(openai.text("Paris"), End.HANG)
        said, failure = await failure_of(backend)
        assert (said, type(failure)) == ("Paris", StreamBrokenError)


async def test_a_server_that_is_not_there_cannot_be_reached(provider):
    base_url = f"{provider.base_url}/v1"
    await provider.aclose()
    async with remote_backend(remote_fleet(base_url)) as backend:
        assert isinstance((await failure_of(backend))[1], ProviderUnreachableError)


async def test_an_endless_answer_is_cut_at_its_length(backend, provider):
    provider.answer = always(*[openai.text("x" * 1_000)] * 200, End.HANG)
    chunks = await answer(backend, asking(max_tokens=8))
    assert chunks[-1].finish_reason is FinishReason.LENGTH
    assert 65_536 <= len(text_of(chunks)) <= 68_000
    await until(lambda: provider.hung_up == 1)


async def test_an_endless_answer_in_small_pieces_is_cut_much_sooner(backend, provider):
    provider.answer = always(*[openai.text("!")] * 1_000, End.HANG)
    chunks = await answer(backend, asking(max_tokens=8))
    assert chunks[-1].finish_reason is FinishReason.LENGTH
    assert 8 < len(text_of(chunks)) <= 8 * 8 + 64 + 1
    await until(lambda: provider.hung_up == 1)


async def test_endless_events_without_text_are_no_answer(backend, provider):
    empty = openai.chunk({"reasoning_content": "h" * 100_000})
    provider.answer = lambda _: Reply(steps=itertools.repeat(empty))
    assert isinstance((await failure_of(backend, asking(max_tokens=1)))[1], ProviderFailedError)
    await until(lambda: provider.hung_up == 1)


async def test_an_answer_that_has_ended_does_not_wait_for_an_account_that_does_not_come(backend, provider, monkeypatch):
    monkeypatch.setattr("tierway_server.backends.http_backend._ACCOUNT_S", 0.01)
    provider.answer = always(*EVENTS[:-2], End.HANG)
    chunks = await answer(backend)
    assert (text_of(chunks), chunks[-1].finish_reason) == ("Paris it is.", FinishReason.STOP)


async def test_an_answer_that_has_ended_does_not_wait_for_it_though_the_connection_is_kept_alive(
    backend, provider, monkeypatch
):
    monkeypatch.setattr("tierway_server.backends.http_backend._ACCOUNT_S", 0.05)
    kept_alive = itertools.cycle((b": keep-alive\n\n", 0.005))
    provider.answer = lambda _: Reply(steps=itertools.chain(EVENTS[:-2], kept_alive))
    assert (await answer(backend))[-1].finish_reason is FinishReason.STOP
    await until(lambda: provider.hung_up == 1)


async def test_usage_that_is_not_told_is_estimated(backend, provider):
    provider.answer = always(*EVENTS[:-2], openai.DONE)
    usage = (await answer(backend, asking("Where is it? " * 10)))[-1].usage
    assert usage is not None
    assert (usage.output_tokens, usage.cached_input_tokens) == (len(openai.PIECES), 0)
    assert 30 <= usage.input_tokens <= 50


async def test_an_end_without_a_reason_is_a_stop_and_none_at_all_is_a_cut(backend, provider):
    provider.answer = always(*EVENTS[:-3], openai.DONE)
    assert (await answer(backend))[-1].finish_reason is FinishReason.STOP
    provider.answer = always(*EVENTS[:-3])
    assert isinstance((await failure_of(backend))[1], StreamBrokenError)


async def test_tool_calls_are_put_together_and_come_last(backend, provider):
    def part(index: int, arguments: str, **more: object) -> bytes:
        call = {"index": index, "function": {"arguments": arguments, **more}}
        return openai.chunk({"tool_calls": [call | ({"id": f"id-{index}"} if more else {})]})

    provider.answer = always(
        part(0, "", name="weather"),
        part(0, '{"ci'),
        part(1, "", name="time"),
        part(0, 'ty": "Zürich"}'),
        part(1, "{}"),
        openai.chunk({}, "tool_calls"),
        openai.DONE,
    )
    [chunk] = await answer(backend)
    assert chunk.finish_reason is FinishReason.TOOL_CALLS
    assert [(call.id, call.name, call.arguments) for call in chunk.tool_calls] == [
        ("id-0", "weather", '{"city": "Zürich"}'),
        ("id-1", "time", "{}"),
    ]


async def test_an_answer_is_gone_on_with_in_words_or_as_the_server_can(provider):
    generation = asking("Where?", answered="In Pa")
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1")) as backend:
        await answer(backend, generation)
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1", kind="vllm")) as backend:
        await answer(backend, generation)
    in_words, natively = (asked.document for asked in provider.asked)
    assert [turn["content"] for turn in in_words["messages"]] == ["Where?", "In Pa", INSTRUCTION]
    assert [turn["content"] for turn in natively["messages"]] == ["Where?", "In Pa"]
    assert (natively["continue_final_message"], natively["add_generation_prompt"]) == (True, False)


async def test_parameters_and_header_fields_of_the_configuration_are_sent(provider):
    fleet = remote_fleet(
        f"{provider.base_url}/v1",
        headers={"X-Title": "Tierway"},
        deployment={"parameters": {"reasoning_effort": "low"}},
    )
    async with remote_backend(fleet) as backend:
        await answer(backend)
    [asked] = provider.asked
    assert (asked.document["reasoning_effort"], asked.headers["x-title"]) == ("low", "Tierway")


async def test_azure_has_its_deployment_in_the_address_and_its_own_key(provider):
    async with remote_backend(
        remote_fleet(provider.base_url, kind="azure", api_version="2024-10-21", deployment={"model": "our-gpt"})
    ) as backend:
        await answer(backend)
    [asked] = provider.asked
    assert asked.path == "/openai/deployments/our-gpt/chat/completions?api-version=2024-10-21"
    assert asked.headers["api-key"] == KEY
    assert "authorization" not in asked.headers


async def test_what_a_deployment_states_as_null_is_not_asked_for(provider):
    fleet = remote_fleet(f"{provider.base_url}/v1", deployment={"parameters": {"stream_options": None}})
    async with remote_backend(fleet) as backend:
        await answer(backend)
    assert "stream_options" not in provider.asked[0].document


async def test_what_a_deployment_states_stands_beside_what_its_kind_does(provider):
    stated = {"provider": {"order": ["a"]}, "reasoning_effort": "low"}
    fleet = remote_fleet(f"{provider.base_url}/v1", kind="openrouter", deployment={"parameters": stated})
    async with remote_backend(fleet) as backend:
        await answer(backend)
    asked = provider.asked[0].document
    assert asked["provider"] == {"require_parameters": True, "order": ["a"]}
    assert asked["reasoning_effort"] == "low"


async def test_the_environment_of_the_sdk_says_nothing(provider, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "http://elsewhere.invalid")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-secret: elsewhere\nauthorization: elsewhere")
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1")) as backend:
        await answer(backend)
    [asked] = provider.asked
    assert "elsewhere" not in json.dumps(asked.headers)


async def test_without_a_key_none_is_sent(provider):
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1", kind="llamacpp", api_key=None)) as backend:
        await answer(backend)
    assert "authorization" not in provider.asked[0].headers


async def test_an_exhausted_limit_is_told(provider):
    from tierway_server.backends.remote_models import RemoteModels
    from tierway_server.config import Secrets, parse

    told = []
    provider.answer = lambda _: Reply(
        steps=EVENTS, headers=(("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m30s"))
    )
    config = parse(remote_fleet(f"{provider.base_url}/v1"))
    models = RemoteModels(
        config,
        [""],
        {"UPSTREAM_KEY": KEY},
        Secrets({"UPSTREAM_KEY": KEY}, {}),
        held=lambda name, seconds: told.append((name, seconds)),
    )
    assert text_of(await answer(models.by_deployment[0])) == "Paris it is."
    await models.aclose()
    assert told == [("upstream", 90.0)]


async def test_nothing_of_the_provider_s_words_nor_the_key_reaches_error_log_or_repr(backend, provider, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "the provider quotes hunter2"
    for status in (200, 400, 401, 403, 404, 429, 500):
        provider.answer = lambda _, status=status: openai.error(status, secret, secret, message=secret)
        _, failure = await failure_of(backend)
        assert "hunter2" not in f"{failure!r}{failure.message}{failure.metadata}{failure.__cause__!r}"
    provider.answer = always(EVENTS[1], openai.error_event(secret, secret))
    await failure_of(backend)
    shown = "".join(str(vars(record)) for record in caplog.records) + repr(backend) + repr(vars(backend))
    assert "hunter2" not in shown
    assert sum(record.getMessage() == "provider failed" for record in caplog.records) == 8


async def test_connections_are_bounded(provider):
    gate = asyncio.Event()
    provider.answer = always(openai.text("Paris"), gate, *EVENTS[2:])
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1", max_connections=2)) as backend:
        answers = [asyncio.create_task(answer(backend)) for _ in range(6)]
        await until(lambda: provider.count == 2)
        gate.set()
        assert {text_of(chunks) for chunks in await asyncio.gather(*answers)} == {"Paris it is."}
    assert provider.connections == 2


async def test_who_waits_for_a_connection_too_long_hears_of_overload(provider):
    provider.answer = always(openai.text("Paris"), End.HANG)
    fleet = remote_fleet(f"{provider.base_url}/v1", max_connections=1, connect_timeout_s=0.05)
    async with remote_backend(fleet) as backend:
        chunks = backend.generate(asking())
        await anext(chunks)
        assert (await failure_of(backend))[1].reason == "PROVIDER_OVERLOADED"
        await chunks.aclose()


async def test_the_pool_is_closed_at_the_end(provider):
    async with remote_backend(remote_fleet(f"{provider.base_url}/v1")) as backend:
        await answer(backend)
        assert provider.living == 1
    await until(lambda: provider.living == 0)

"""The scripted provider itself, read by the official SDKs: they find in it what they expect of the real ones."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import anthropic
import httpx2
import openai
import pytest

from tests.faults import anthropic_events, openai_events
from tests.faults.upstream import End, Reply, Upstream, upstream
from tests.server.running import until

ASKED = [{"role": "user", "content": "Which town is the capital of France?"}]
WHOLE = "Paris it is."


@pytest.fixture
async def provider() -> AsyncIterator[Upstream]:
    async with upstream(openai_events.good) as provider:
        yield provider


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


def openai_client(provider: Upstream) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{provider.base_url}/v1", api_key="key", max_retries=0)


def anthropic_client(provider: Upstream) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=provider.base_url, api_key="key", max_retries=0)


async def openai_stream(provider: Upstream) -> list[str]:
    """The texts of all events."""
    async with openai_client(provider) as client:
        events = await client.chat.completions.create(model="any", messages=ASKED, stream=True)
        return [event.choices[0].delta.content or "" async for event in events if event.choices]


async def test_openais_sdk_reads_a_stream(provider):
    assert "".join(await openai_stream(provider)) == WHOLE
    (asked,) = provider.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers["authorization"] == "Bearer key"
    assert asked.document["messages"] == ASKED


async def test_openais_sdk_reads_a_whole_answer(provider):
    async with openai_client(provider) as client:
        answer = await client.chat.completions.create(model="any", messages=ASKED)
    assert answer.choices[0].message.content == WHOLE
    assert answer.usage.prompt_tokens == openai_events.INPUT_TOKENS
    assert answer.usage.prompt_tokens_details.cached_tokens == openai_events.CACHED_INPUT_TOKENS


async def test_openais_sdk_reads_an_error(provider):
    provider.answer = lambda _: openai_events.error(429, "requests", "rate_limit_exceeded", retry_after="7")
    with pytest.raises(openai.RateLimitError) as failure:
        await openai_stream(provider)
    assert failure.value.code == "rate_limit_exceeded"
    assert failure.value.response.headers["retry-after"] == "7"


async def test_openais_sdk_reads_an_error_inside_a_stream(provider):
    provider.answer = lambda _: Reply(steps=(openai_events.text("Pa"), openai_events.error_event()))
    with pytest.raises(openai.APIError, match="As told"):
        await openai_stream(provider)


async def test_anthropics_sdk_reads_a_stream(provider):
    provider.answer = anthropic_events.good
    asked = {"model": "any", "max_tokens": 9, "messages": ASKED}
    async with anthropic_client(provider) as client, client.messages.stream(**asked) as events:
        assert await events.get_final_text() == WHOLE
        usage = (await events.get_final_message()).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (7, 4, 3)
    assert provider.asked[0].path == "/v1/messages"


async def test_anthropics_sdk_reads_a_whole_answer_and_an_error(provider):
    async with anthropic_client(provider) as client:
        provider.answer = anthropic_events.good
        answer = await client.messages.create(model="any", max_tokens=9, messages=ASKED)
        assert answer.content[0].text == WHOLE
        provider.answer = lambda _: anthropic_events.error(529, "overloaded_error")
        with pytest.raises(anthropic.APIStatusError) as failure:
            await client.messages.create(model="any", max_tokens=9, messages=ASKED)
        assert failure.value.status_code == 529


async def test_a_connection_takes_one_request_after_another(provider, http):
    for _ in range(3):
        reply = await http.post(f"{provider.base_url}/v1/chat/completions", json={"stream": True})
        assert reply.content.endswith(openai_events.DONE)
    assert (provider.count, provider.connections) == (3, 1)


async def test_the_head_is_known_byte_for_byte(provider):
    provider.answer = lambda _: Reply(status=503, headers=(("retry-after", "2"),), steps=(b"later",))
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    reply = provider.answer(None)
    assert await reader.readexactly(len(reply.head)) == reply.head
    assert await reader.readexactly(15) == b"5\r\nlater\r\n0\r\n\r\n"
    writer.close()


@pytest.mark.parametrize("end", [End.CUT, End.RESET])
async def test_a_reply_breaks_off(provider, http, end):
    provider.answer = lambda _: Reply(steps=(b"half", end))
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        await http.get(provider.base_url)


async def test_nothing_is_sent_before_its_time(provider, http):
    gate = asyncio.Event()
    provider.answer = lambda _: Reply(steps=(b"one", gate, b"two"))
    async with http.stream("GET", provider.base_url) as reply:
        chunks = reply.aiter_raw()
        assert await anext(chunks) == b"one"
        gate.set()
        assert await anext(chunks) == b"two"


async def test_slow_headers_may_come_in_pieces(provider):
    gate = asyncio.Event()
    provider.answer = lambda _: Reply(before=(b"HTTP/1.1 ", gate, b"200 OK\r\ncontent-length: 0\r\n\r\n", End.CUT))
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.readexactly(9) == b"HTTP/1.1 "
    gate.set()
    assert await reader.read(-1) == b"200 OK\r\ncontent-length: 0\r\n\r\n"
    writer.close()


@pytest.mark.parametrize("steps", [(b"half", End.HANG), itertools.repeat(b"and so on ")], ids=["hangs", "endless"])
async def test_it_notices_that_the_client_has_gone(provider, http, steps):
    provider.answer = lambda _: Reply(steps=steps)
    async with http.stream("GET", provider.base_url) as reply:
        await anext(reply.aiter_raw())
    await until(lambda: not provider.living)
    assert provider.hung_up == 1

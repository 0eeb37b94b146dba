"""The connections to a provider: HTTP/2 where it is offered, and a caller who leaves is heard of over either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from tests.faults import openai_events as openai
from tests.faults.upstream import upstream
from tests.server.certificate import trusted_when_named
from tests.server.h2_upstream import h2_upstream
from tests.server.remote import answer, asking, remote_backend, remote_fleet, text_of
from tests.server.running import until
from tierway_server.backends.http2_transport import Http2Transport
from tierway_server.errors import ProviderUnreachableError

EVENTS = tuple(openai.events())


@pytest.fixture
def tls(tmp_path, monkeypatch):
    context, file = trusted_when_named(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return context


async def test_http_2_is_taken_where_it_is_offered_and_one_connection_serves_all(tls):
    async with h2_upstream(EVENTS, tls) as (provider, base_url), remote_backend(remote_fleet(base_url)) as backend:
        await answer(backend)
        answers = await asyncio.gather(*(answer(backend) for _ in range(8)))
        assert {text_of(chunks) for chunks in answers} == {"Paris it is."}
        assert (provider.requests, provider.connections) == (9, 1)


async def test_who_leaves_resets_the_stream_and_keeps_the_connection(tls):
    async with (
        h2_upstream(EVENTS[:2], tls, ends=False) as (provider, base_url),
        remote_backend(remote_fleet(base_url)) as backend,
    ):
        for left in (1, 2):
            chunks = backend.generate(asking())
            assert (await anext(chunks)).text == "Paris"
            await chunks.aclose()
            await until(lambda left=left: len(provider.reset) == left)
        assert provider.connections == 1


async def test_whose_task_is_cancelled_resets_the_stream_too_or_closes_the_connection(tls):
    async with (
        h2_upstream(EVENTS[:1], tls, ends=False) as (provider, base_url),
        remote_backend(remote_fleet(base_url)) as backend,
    ):
        waiting = asyncio.create_task(answer(backend))
        await until(lambda: provider.requests == 1)
        waiting.cancel()
        await asyncio.wait((waiting,))
        # Cancelled in the midst of a write, it leaves a connection that nobody can write to any more.
        await until(lambda: len(provider.reset) + provider.lost == 1)


PATIENT, IMPATIENT = 60.0, 0.1


@asynccontextmanager
async def transport() -> AsyncIterator[Http2Transport]:
    async with Http2Transport(max_connections=4, context=httpx2.create_ssl_context()) as transport:
        yield transport


async def asked(transport: Http2Transport, base_url: str, read_s: float) -> httpx2.Response:
    """What is answered to a request whose answer may be silent for so long."""
    timeout = {"connect": PATIENT, "pool": PATIENT, "write": PATIENT, "read": read_s}
    return await transport.handle_async_request(
        httpx2.Request("POST", base_url, content=b"{}", extensions={"timeout": timeout})
    )


async def body(response: httpx2.Response) -> bytes:
    try:
        return b"".join([piece async for piece in response.aiter_raw()])
    finally:
        await response.aclose()


async def test_who_is_silent_beside_others_that_talk_ends_alone(tls):
    async with h2_upstream((), tls, ends=False) as (provider, base_url), transport() as pool:
        silent = asyncio.create_task(body(await asked(pool, base_url, IMPATIENT)))
        talking = asyncio.create_task(body(await asked(pool, base_url, PATIENT)))
        said = 0
        while not silent.done():  # what comes for another is no sign of life of this one
            provider.say(1, b".")
            said += 1
            await asyncio.wait((silent,), timeout=IMPATIENT / 10)
        with pytest.raises(httpx2.ReadTimeout):
            await silent
        await until(lambda: len(provider.reset) == 1)
        provider.say(1, b"!", ends=True)
        assert await talking == b"." * said + b"!"
        last = asyncio.create_task(body(await asked(pool, base_url, PATIENT)))
        provider.say(2, b"!", ends=True)
        assert await last == b"!"
        assert provider.connections == 1


async def test_over_a_connection_on_which_all_was_silent_nothing_more_is_asked_and_who_is_on_it_lives_on(tls):
    async with h2_upstream((), tls, ends=False) as (provider, base_url), transport() as pool:
        silent = await asked(pool, base_url, IMPATIENT)
        waiting = asyncio.create_task(body(await asked(pool, base_url, PATIENT)))
        with pytest.raises(httpx2.ReadTimeout):
            await body(silent)
        last = asyncio.create_task(body(await asked(pool, base_url, PATIENT)))
        assert provider.connections == 2
        for request, answer in ((1, waiting), (2, last)):
            provider.say(request, b"!", ends=True)
            assert await answer == b"!"


async def test_a_connection_that_is_silent_and_nobody_else_s_is_closed(tls):
    async with h2_upstream((), tls, ends=False) as (provider, base_url), transport() as pool:
        with pytest.raises(httpx2.ReadTimeout):
            await body(await asked(pool, base_url, IMPATIENT))
        await until(lambda: provider.lost == 1)
        assert provider.reset == [1]


async def test_who_never_answers_at_all_ends_alone_too(tls):
    async with h2_upstream((), tls, ends=False) as (provider, base_url), transport() as pool:
        waiting = asyncio.create_task(body(await asked(pool, base_url, PATIENT)))
        provider.answers = False
        with pytest.raises(httpx2.ReadTimeout):
            await asked(pool, base_url, IMPATIENT)
        provider.say(0, b"!", ends=True)
        assert await waiting == b"!"
        await until(lambda: len(provider.reset) == 1)


@pytest.mark.parametrize("http2", [True, False])
async def test_a_server_that_speaks_http_1_1_over_tls_is_understood(tls, http2):
    async with upstream(openai.stream(), tls=tls) as provider:
        base_url = f"https://localhost:{provider.port}/v1"
        async with remote_backend(remote_fleet(base_url, http2=http2)) as backend:
            assert text_of(await answer(backend)) == "Paris it is."


@pytest.mark.parametrize("http2", [True, False])
async def test_a_certificate_that_nobody_vouches_for_ends_it(tls, http2, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    async with upstream(openai.stream(), tls=tls) as provider:
        base_url = f"https://localhost:{provider.port}/v1"
        async with remote_backend(remote_fleet(base_url, http2=http2)) as backend:
            with pytest.raises(ProviderUnreachableError):
                await answer(backend)
    assert provider.count == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_nobody_has_cannot_be_reached(scheme):
    async with remote_backend(remote_fleet(f"{scheme}://nowhere.invalid/v1")) as backend:
        with pytest.raises(ProviderUnreachableError):
            await answer(backend)

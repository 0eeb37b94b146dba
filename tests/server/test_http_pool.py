"""The connections to a provider: HTTP/2 where it is offered, and a caller who leaves is heard of over either."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from tests.faults import openai_events as openai
from tests.faults.upstream import upstream
from tests.server.certificate import trusted_when_named
from tests.server.h2_upstream import h2_upstream
from tests.server.remote import answer, asking, remote_backend, remote_fleet, text_of
from tests.server.running import until
from tierway_server.backends.http_pool import PoolLimits, http_pool
from tierway_server.errors import (
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderUnreachableError,
    StreamBrokenError,
)

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


async def test_a_server_that_goes_away_finishes_what_it_has_begun(tls):
    async with (
        h2_upstream(EVENTS[:2], tls, ends=False) as (provider, base_url),
        remote_backend(remote_fleet(base_url)) as backend,
    ):
        chunks = backend.generate(asking())
        assert (await anext(chunks)).text == "Paris"
        provider.go_away()
        provider.send(EVENTS[2])
        assert (await anext(chunks)).text == " it"
        provider.events, provider.ends = EVENTS, True
        assert text_of(await answer(backend)) == "Paris it is."
        assert provider.connections == 2
        provider.send(*EVENTS[3:], ends=True, connection=0)
        assert text_of([chunk async for chunk in chunks]) == " is."
        await until(lambda: provider.lost == 1)


async def test_what_a_server_that_goes_away_has_not_begun_is_asked_of_it_anew(tls):
    async with (
        h2_upstream(EVENTS, tls) as (provider, base_url),
        remote_backend(remote_fleet(base_url)) as backend,
    ):
        provider.leaves = 2
        assert text_of(await answer(backend)) == "Paris it is."
        assert provider.connections == 3
        provider.leaves = 1_000
        with pytest.raises(ProviderFailedError):
            await answer(backend)


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(tls, says_so):
    async with h2_upstream(EVENTS, tls) as (provider, base_url), remote_backend(remote_fleet(base_url)) as backend:
        for connections in (1, 2):
            assert text_of(await answer(backend)) == "Paris it is."
            assert provider.connections == connections
            if says_so:
                provider.go_away()
            provider.hang_up()
            await until(lambda: provider.lost == provider.connections)


async def test_an_answer_is_too_slow_by_its_own_silence_however_busy_the_connection_is(tls):
    async with (
        h2_upstream(EVENTS[:2], tls, ends=False) as (provider, base_url),
        remote_backend(remote_fleet(base_url, idle_timeout_s=0.2)) as backend,
    ):
        silent, busy = backend.generate(asking()), backend.generate(asking(max_tokens=4_000))
        assert (await anext(silent)).text == (await anext(busy)).text == "Paris"

        async def be_busy():
            while True:
                provider.send(EVENTS[2], stream=3)
                await anext(busy)

        busily = asyncio.create_task(be_busy())
        with pytest.raises(StreamBrokenError):
            await anext(silent)
        busily.cancel()
        await asyncio.wait((busily,))
        assert provider.reset[0] == 1


async def test_an_answer_has_all_of_its_time_though_another_s_is_over(tls):
    limits = PoolLimits(connect_timeout_s=10, idle_timeout_s=10, max_connections=8, http2=True)

    async def asked(silence_s: float) -> bytes:
        timeouts = {"connect": 10, "pool": 10, "write": 10, "read": silence_s}
        request = httpx2.Request("POST", base_url, content=b"{}", extensions={"timeout": timeouts})
        response = await pool.transport.handle_async_request(request)
        return await response.aread()

    async with h2_upstream((), tls, ends=False) as (provider, base_url):
        pool = http_pool(base_url, limits)
        async with pool.client:
            short, long = asyncio.create_task(asked(0.1)), asyncio.create_task(asked(10))
            await until(lambda: provider.requests == 2)
            with pytest.raises(httpx2.ReadTimeout):
                await short
            provider.send(*EVENTS, ends=True, stream=3)
            assert await long == b"".join(EVENTS)
            with pytest.raises(httpx2.ReadTimeout):
                await asked(0.1)
            # Where nothing came for so long, nothing further is asked.
            provider.events, provider.ends = EVENTS, True
            assert await asked(10) == b"".join(EVENTS)
            assert provider.connections == 2


async def test_more_answers_than_a_connection_takes_have_another_one(tls):
    async with (
        h2_upstream(EVENTS[:2], tls, ends=False, most_streams=2) as (provider, base_url),
        remote_backend(remote_fleet(base_url)) as backend,
    ):
        answers = [backend.generate(asking()) for _ in range(5)]
        assert [(await anext(chunks)).text for chunks in answers] == ["Paris"] * 5
        assert provider.connections == 3
        for chunks in answers:
            await chunks.aclose()


async def test_who_finds_no_place_on_the_last_connection_waits_no_longer_than_for_one(tls):
    async with (
        h2_upstream(EVENTS[:2], tls, ends=False, most_streams=1) as (provider, base_url),
        remote_backend(remote_fleet(base_url, max_connections=1, connect_timeout_s=0.5)) as backend,
    ):
        chunks = backend.generate(asking())
        await anext(chunks)
        waiting = [asyncio.create_task(answer(backend)) for _ in range(2)]
        provider.send(*EVENTS[2:], ends=True)
        assert text_of([chunk async for chunk in chunks]) == " it is."
        done, [answering] = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [type(each.exception()) for each in done] == [ProviderOverloadedError]
        provider.send(*EVENTS[2:], ends=True)
        assert text_of(await answering) == "Paris it is."


async def test_a_server_that_does_not_tell_how_many_answers_a_connection_takes_takes_many(tls):
    async with (
        h2_upstream(EVENTS[:2], tls, ends=False, most_streams=None) as (provider, base_url),
        remote_backend(remote_fleet(base_url)) as backend,
    ):
        answers = [backend.generate(asking()) for _ in range(5)]
        assert [(await anext(chunks)).text for chunks in answers] == ["Paris"] * 5
        assert provider.connections == 1
        for chunks in answers:
            await chunks.aclose()


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

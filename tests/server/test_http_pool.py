"""The connections to a provider: HTTP/2 where it is offered, and a caller who leaves is heard of over either."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import openai_events as openai
from tests.faults.upstream import upstream
from tests.server.certificate import trusted_when_named
from tests.server.h2_upstream import h2_upstream
from tests.server.remote import answer, asking, remote_backend, remote_fleet, text_of
from tests.server.running import until
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


async def test_whose_task_is_cancelled_resets_the_stream_too(tls):
    async with (
        h2_upstream(EVENTS[:1], tls, ends=False) as (provider, base_url),
        remote_backend(remote_fleet(base_url)) as backend,
    ):
        waiting = asyncio.create_task(answer(backend))
        await until(lambda: provider.requests == 1)
        waiting.cancel()
        await asyncio.wait((waiting,))
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

"""Continuous batching, prefix caching and a slow reader, read from the engines' own metrics through our server."""

from __future__ import annotations

import asyncio

import grpc
import psutil

from tests.e2e.serving import Server, eventually
from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import router_service_pb2_grpc
from tierway.v1 import types_pb2 as types
from tierway_client import AsyncClient, Preferences, Sampling

DEAR = Preferences(force_model="dear")
_MEBIBYTE = 2**20


async def test_overlapping_streams_run_in_one_batch(server: Server, client: AsyncClient) -> None:
    most_running = 0.0

    async def watch() -> None:
        nonlocal most_running
        while True:
            most_running = max(most_running, await server.metric("vllm:num_requests_running", model_name="many"))

    watching = asyncio.create_task(watch())
    long = Sampling(max_tokens=1500, temperature=0.0)
    answers = await asyncio.gather(
        *(client.execute("Say something.", preferences=DEAR, sampling=long) for _ in range(4))
    )
    watching.cancel()

    assert [answer.usage.output_tokens for answer in answers] == [1500] * 4
    assert most_running > 1
    await eventually(lambda: server.is_idle("many"))


async def test_a_shared_prefix_is_read_from_the_cache_and_billed_as_such(server: Server, client: AsyncClient) -> None:
    prefix = "The quick brown fox jumps over the lazy dog. " * 40
    preferences = Preferences(force_model="cheap")
    sampling = Sampling(max_tokens=2, temperature=0.0)
    hits = await server.metric("vllm:prefix_cache_hits_total", model_name="one")

    first = await client.execute(prefix + "One?", preferences=preferences, sampling=sampling)
    second = await client.execute(prefix + "Two?", preferences=preferences, sampling=sampling)

    assert await server.metric("vllm:prefix_cache_hits_total", model_name="one") > hits
    assert second.usage.cached_input_tokens > 1500
    fresh_tokens = second.usage.input_tokens - second.usage.cached_input_tokens
    expected_usd = (
        fresh_tokens * 0.1 + second.usage.cached_input_tokens * 0.01 + second.usage.output_tokens * 0.2
    ) / 1e6
    assert abs(second.cost_usd - expected_usd) < 1e-12
    assert second.cost_usd < first.cost_usd


async def test_a_reader_that_does_not_read_costs_bounded_memory_and_nobody_elses_time(
    server: Server, client: AsyncClient
) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    query = types.Query(prompt="Say something.")
    request = pb.StreamRequest(
        query=query,
        preferences=types.Preferences(force_model="dear"),
        sampling=types.Sampling(max_tokens=4000, temperature=0.0, top_logprobs=20),
    )
    async with grpc.aio.insecure_channel(server.target) as channel:
        calls = [router_service_pb2_grpc.RouterServiceStub(channel).Stream(request) for _ in range(4)]
        for call in calls:
            await call.read()  # the first event; nothing more is ever read
        answer = await client.execute("Hi", preferences=DEAR, sampling=Sampling(max_tokens=2))
        assert answer.usage.output_tokens == 2
        await eventually(lambda: _is_done(server), within_s=90)
        grown = process.memory_info().rss - before
        for call in calls:
            call.cancel()
    # What vLLM itself keeps of a request with log-probabilities dominates; gRPC's buffers are bounded by flow control.
    assert grown < 400 * _MEBIBYTE
    await eventually(lambda: _is_free(server))


async def _is_done(server: Server) -> bool:
    return await server.metric("vllm:num_requests_running", model_name="many") == 0


async def _is_free(server: Server) -> bool:
    return await server.metric("tierway_in_flight") == 0

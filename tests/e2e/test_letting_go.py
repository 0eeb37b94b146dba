"""A client that leaves, or whose time is up, frees its slot at once: queued, in prefill, in decode. Seen on the engine's own gauges."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.e2e.serving import Server, eventually
from tierway_client import AsyncClient, DeadlineExceededError, Delta, Preferences, Sampling

CHEAP = Preferences(force_model="cheap", allow_fallback=False)
ENDLESS = Sampling(max_tokens=8000, temperature=0.0)
SHORT = Sampling(max_tokens=2, temperature=0.0)
# 7,500 tokens, prefilled 16 at a time: some seconds between the start and the first token.
LONG_PROMPT = "abcdefghij " * 680
# Not many tokens: what is predicted to need longer than its deadline is refused at once.
LONG = Sampling(max_tokens=50, temperature=0.0)

STATES = ("queued", "prefill", "decode")


@asynccontextmanager
async def _stream_in(
    state: str, server: Server, client: AsyncClient, timeout_s: float = 60
) -> AsyncIterator[asyncio.Task[int]]:
    """A stream that the engine holds in `state`; the task counts the tokens that it has delivered."""
    blocker = asyncio.create_task(_consume(client, "Say something.", 60)) if state == "queued" else None
    try:
        if blocker is not None:
            await eventually(lambda: _gauge(server, "vllm:num_requests_running", 1))
        task = None
        while task is None:
            task = await _begun(state, server, client, timeout_s)
        yield task
    finally:
        if blocker is not None:
            blocker.cancel()
            await asyncio.gather(blocker, return_exceptions=True)


async def _begun(state: str, server: Server, client: AsyncClient, timeout_s: float) -> asyncio.Task[int] | None:
    """A stream in `state`; None where it was over before it was seen there, for a machine can be busy."""
    got_token = asyncio.Event()
    prompt = LONG_PROMPT if state == "prefill" else "Say something else."
    task = asyncio.create_task(_consume(client, prompt, timeout_s, got_token))
    while not task.done():
        if state == "decode":
            is_there = got_token.is_set()
        else:
            kind = {"queued": "waiting", "prefill": "running"}[state]
            is_there = await _gauge(server, f"vllm:num_requests_{kind}", 1) and not got_token.is_set()
        if is_there:
            return task
        await asyncio.sleep(0.02)
    with contextlib.suppress(DeadlineExceededError):
        await task
    return None


@pytest.mark.parametrize("state", STATES)
async def test_a_client_that_leaves_frees_the_engine(server: Server, client: AsyncClient, state: str) -> None:
    async with _stream_in(state, server, client) as task:
        answered = await server.answered("one")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: _in_flight(server, 1 if state == "queued" else 0), within_s=10)
        await eventually(lambda: _gauge(server, "vllm:num_requests_waiting", 0), within_s=10)
    await eventually(lambda: server.is_idle("one"), within_s=10)
    assert await server.answered("one") == answered  # it was aborted, and did not end by itself meanwhile
    assert (await client.execute("Hi", preferences=CHEAP, sampling=SHORT)).usage.output_tokens == 2


@pytest.mark.parametrize("state", STATES)
async def test_a_deadline_that_passes_frees_the_engine(server: Server, client: AsyncClient, state: str) -> None:
    async with _stream_in(state, server, client, timeout_s=1.0) as task:
        answered = await server.answered("one")
        with pytest.raises(DeadlineExceededError):
            await task
        await eventually(lambda: _in_flight(server, 1 if state == "queued" else 0), within_s=10)
        await eventually(lambda: _gauge(server, "vllm:num_requests_waiting", 0), within_s=10)
    await eventually(lambda: server.is_idle("one"), within_s=10)
    assert await server.answered("one") == answered  # it was aborted, and did not end by itself meanwhile
    assert (await client.execute("Hi", preferences=CHEAP, sampling=SHORT)).usage.output_tokens == 2


async def _consume(client: AsyncClient, prompt: str, timeout_s: float, got_token: asyncio.Event | None = None) -> int:
    tokens = 0
    async with client.stream(
        prompt, preferences=CHEAP, sampling=LONG if prompt == LONG_PROMPT else ENDLESS, timeout_s=timeout_s
    ) as events:
        async for event in events:
            if isinstance(event, Delta):
                tokens += event.token_count
                if got_token is not None:
                    got_token.set()
    return tokens


async def _gauge(server: Server, name: str, value: float) -> bool:
    return await server.metric(name, model_name="one") == value


async def _in_flight(server: Server, value: float) -> bool:
    return await server.metric("tierway_in_flight", deployment="cheap@one") == value

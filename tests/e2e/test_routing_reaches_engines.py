"""Which engine answers is seen on the engines themselves: on vLLM's own count of completed requests."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.serving import START_S, Server, eventually
from tierway_client import AsyncClient, AttemptOutcome, Delta, InternalError, Preferences, Sampling, Started

TRIVIAL = "What is two plus two?"
SIMPLE = "Please tell me in your own words why the sky looks blue during most of the day"
SHORT = Sampling(max_tokens=4, temperature=0.0)
ENDLESS = Sampling(max_tokens=8000, temperature=0.0)  # greedy, the random weights repeat themselves and never stop


@pytest.mark.parametrize(
    ("prompt", "preferences", "engine"),
    [
        pytest.param(TRIVIAL, Preferences(), "one", id="class: trivial is served from tier 1"),
        pytest.param(SIMPLE, Preferences(), "many", id="class: simple is served from tier 2"),
        pytest.param(
            TRIVIAL, Preferences(agent="builder_agent"), "many", id="pin: a critical agent gets the accurate tier"
        ),
        pytest.param(SIMPLE, Preferences(max_cost_usd=0.0001), "one", id="ceiling: too little money for tier 2"),
        pytest.param(SIMPLE, Preferences(force_model="cheap"), "one", id="forced model"),
    ],
)
async def test_the_decision_moves_the_chosen_engines_own_counter(
    server: Server, client: AsyncClient, prompt: str, preferences: Preferences, engine: str
) -> None:
    other = {"one": "many", "many": "one"}[engine]
    before, other_before = await server.answered(engine), await server.answered(other)

    answer = await client.execute(prompt, preferences=preferences, sampling=SHORT)

    await eventually(lambda: _equals(server, engine, before + 1))
    assert await server.answered(other) == other_before
    assert answer.decision.deployment.endswith(f"@{engine}")
    assert answer.usage.output_tokens == 4


async def test_the_chain_answers_while_the_first_choice_is_full(server: Server, client: AsyncClient) -> None:
    before = await server.answered("many")
    # One runs, one is at hand, seven wait: `one` takes no more.
    occupying = [
        asyncio.create_task(client.execute(TRIVIAL, preferences=Preferences(force_model="cheap"), sampling=ENDLESS))
        for _ in range(9)
    ]
    try:
        await eventually(lambda: _waiting(server, 7))
        answer = await client.execute(TRIVIAL, sampling=SHORT)
    finally:
        for task in occupying:
            task.cancel()
        await asyncio.gather(*occupying, return_exceptions=True)

    assert [(attempt.model, attempt.outcome, attempt.reason) for attempt in answer.attempts] == [
        ("cheap", AttemptOutcome.FELL_BACK, "QUEUE_FULL"),
        ("dear", AttemptOutcome.ANSWERED, ""),
    ]
    await eventually(lambda: _equals(server, "many", before + 1))
    await eventually(lambda: server.is_idle("one"))


async def test_a_killed_engine_hands_over_to_the_other_and_comes_back(server: Server, client: AsyncClient) -> None:
    before = await server.answered("many")
    async with client.stream(TRIVIAL, preferences=Preferences(force_model="cheap"), sampling=ENDLESS) as streaming:
        assert isinstance(await anext(streaming), Started)
        assert isinstance(await anext(streaming), Delta)
        victim = server.engine_processes("VLLM::EngineCore")[0]  # launched first: `one`
        victim.kill()
        with pytest.raises(InternalError) as broken:
            async for _ in streaming:
                pass
    assert broken.value.reason == "ENGINE_LOST"
    await eventually(lambda: _available(server, "cheap@one", 0.0))

    answer = await client.execute(TRIVIAL, sampling=SHORT)

    assert answer.decision.model == "dear"
    await eventually(lambda: _equals(server, "many", before + 1))
    await eventually(lambda: _available(server, "cheap@one", 1.0), within_s=START_S)
    assert (await client.execute(TRIVIAL, sampling=SHORT)).decision.model == "cheap"


async def _equals(server: Server, engine: str, count: float) -> bool:
    return await server.answered(engine) == count


async def _waiting(server: Server, count: float) -> bool:
    return await server.metric("tierway_queue_depth", deployment="cheap@one", lane="normal") == count


async def _available(server: Server, deployment: str, value: float) -> bool:
    return await server.metric("tierway_deployment_available", deployment=deployment) == value

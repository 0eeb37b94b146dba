"""A server of several processes of which some are killed: what they held is given back, and others serve in their place."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator

import grpc
import pytest

from tests.server.asking import execute, remaining, stream
from tests.server.several import (
    MANY,
    WORKERS,
    Running,
    answers,
    is_running,
    lives,
    serving,
    two_workers,
    until,
    with_budget,
)
from tierway.v1 import types_pb2 as pb
from tierway_server.telemetry import semconv


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with serving(two_workers()) as server:
        yield server


async def test_a_worker_killed_gives_back_all_that_it_held_and_its_successor_serves(server: Running) -> None:
    clients = await server.routers()
    calls = [client.Stream(stream(sampling=MANY)) for client in clients[-1:] * 3]
    for call in calls:
        assert (await call.read()).HasField("started")
        assert (await call.read()).HasField("delta")
    [victim] = [worker for worker in range(WORKERS) if (await server.counts(worker)).in_flight == 3]
    await until(lambda: is_running(server, 3))
    before = await server.metric(semconv.DECISIONS)

    os.kill(server.pid(f"worker {victim}"), signal.SIGKILL)
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await remaining(call)
        assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    await until(lambda: is_running(server, 0))
    await until(lambda: server.supervisor.state.in_flight(0) == 0)
    assert server.supervisor.state.is_available(0)

    await until(lambda: server.supervisor._workers[victim].lives == 2)
    await server.until_served()
    assert await server.metric(semconv.PROCESS_STARTS, process=f"worker {victim}") == 2
    # What the dead one had told is not lost, and the engine has room for as many as before.
    assert await server.metric(semconv.DECISIONS) >= before
    while (await server.decisions())[victim] == 0:
        client = await server.router()
        assert (await client.Execute(execute(sampling=pb.Sampling(max_tokens=2)))).text == "1 2"


async def test_what_a_killed_worker_had_reserved_of_a_budget_is_free_again() -> None:
    async with serving(with_budget(0.05)) as server:
        client = await server.router()
        call = client.Stream(stream(sampling=MANY))
        assert (await call.read()).HasField("started")
        state = server.supervisor.state
        assert state.reserved_picousd(0) > 0
        [victim] = [worker for worker in range(WORKERS) if (await server.counts(worker)).in_flight]
        os.kill(server.pid(f"worker {victim}"), signal.SIGKILL)
        await until(lambda: state.reserved_picousd(0) == 0)
        assert state.remaining_picousd(0, time.monotonic_ns()) == round(0.05e12)
        assert state.in_flight(0) == 0


async def test_workers_killed_at_any_moment_under_load_leave_all_counts_right() -> None:
    async with serving(with_budget(1_000.0)) as server:
        state = server.supervisor.state
        is_over = asyncio.Event()
        callers = [asyncio.create_task(call_until(is_over, server, caller)) for caller in range(8)]
        for number in range(4):
            await kill_after(server, number % WORKERS, random.Random(number).randrange(1, 60))
        is_over.set()
        paid_picousd = sum(await asyncio.gather(*callers))
        await until(lambda: state.in_flight(0) == 0)
        await until(lambda: is_running(server, 0))
        assert state.reserved_picousd(0) == 0
        # All that callers got was paid; what was on its way to them when a worker died may have been, too.
        assert state.spent_picousd(0, time.monotonic_ns()) >= paid_picousd > 0
        assert await answers(await server.router())


async def kill_after(server: Running, worker: int, answers: int) -> None:
    """Kill a worker after so many more answers of all, the load's own time, and return when another serves in its place."""
    awaited = await server.metric(semconv.ANSWERS) + answers
    await until(lambda: has_counted(server, semconv.ANSWERS, awaited))
    life = lives(server, worker)
    os.kill(server.pid(f"worker {worker}"), signal.SIGKILL)
    await until(lambda: lives(server, worker) > life)
    await server.until_served()


async def call_until(is_over: asyncio.Event, server: Running, seed: int) -> int:
    """Ask again and again, on new connections where one breaks, and return what was paid in all, in pico-USD."""
    tokens = random.Random(seed)
    paid_picousd = 0
    while not is_over.is_set():
        try:
            client = await server.router()
            while not is_over.is_set():
                reply = await client.Execute(execute(sampling=pb.Sampling(max_tokens=tokens.randrange(1, 9))))
                paid_picousd += round(reply.cost_usd * 1e12)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
    return paid_picousd


async def has_counted(server: Running, name: str, count: float) -> bool:
    return await server.metric(name) >= count


async def test_all_workers_killed_at_once_come_back(server: Running) -> None:
    client = await server.router()
    call = client.Stream(stream(sampling=MANY))
    await call.read()
    for worker in range(WORKERS):
        os.kill(server.pid(f"worker {worker}"), signal.SIGKILL)
    await until(lambda: all(worker.lives == 2 for worker in server.supervisor._workers))
    assert server.supervisor.state.in_flight(0) == 0
    await server.until_served()
    assert (await (await server.router()).Execute(execute(sampling=pb.Sampling(max_tokens=2)))).text == "1 2"
    await until(lambda: is_running(server, 0))


async def test_the_engines_process_killed_is_known_to_all_and_comes_back(server: Running) -> None:
    clients = await server.routers()
    call = clients[0].Stream(stream(sampling=MANY))
    await call.read()
    assert (await call.read()).HasField("delta")
    os.kill(server.pid("engines"), signal.SIGKILL)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await remaining(call)
    assert failed.value.code() == grpc.StatusCode.INTERNAL  # after the first token
    await until(lambda: server.supervisor._host.lives == 2)
    await server.until_served()
    for client in clients:
        await until(lambda client=client: answers(client))


async def test_an_engines_death_is_known_to_all(server: Running) -> None:
    clients = await server.routers()
    seen: list[bool] = []
    server.supervisor.engines.all[0].watch(lambda availability: seen.append(availability.is_available))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await clients[0].Execute(execute("please die"))
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    await until(lambda: seen[-2:] == [False, True])
    for client in clients:
        await until(lambda client=client: answers(client))

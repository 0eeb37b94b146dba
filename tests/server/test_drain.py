"""The way down: not serving, finish what is under way, abort the rest at the grace limit, and leave nothing."""

from __future__ import annotations

import asyncio
from itertools import repeat
from typing import Any

import pytest

from tests.server.asking import execute, kinds_of, remaining, route, stream
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.refusal import refused
from tests.server.running import RunningServer, serving, until
from tests.server.scripted_engine import ScriptedLauncher
from tierway_server.errors import DrainingError
from tierway_server.flow.drain import Drain


async def open_stream(server: RunningServer, gate: asyncio.Event) -> Any:
    """A stream that has sent its first token and waits for the gate."""
    server.engine().script("one", gate, "two")
    call = server.router.Stream(stream())
    assert [(await call.read()).WhichOneof("event") for _ in range(2)] == ["started", "delta"]
    return call


class TestServer:
    async def test_finishes_what_is_under_way_and_then_ends(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        calls = [await open_stream(server, gate) for _ in range(2)]
        server.stops.drain.set()
        await until(lambda: server.process.drain.is_draining)
        gate.set()
        for call in calls:
            assert kinds_of(await remaining(call)) == ["delta", "finished"]
        async with asyncio.timeout(5):
            await server.run
        assert all(engine.shutdowns == 1 for engine in server.launcher.engines.values())

    async def test_refuses_what_is_new_and_says_that_another_replica_may_take_it(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        call = await open_stream(server, gate)
        server.stops.drain.set()
        await until(lambda: server.process.drain.is_draining)
        late = server.router.Stream(stream())
        for refusal in (await refused(server.router.Execute(execute())), await refused(late.read())):
            assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "DRAINING")
            assert refusal.retry_delay_s
        assert len(server.engine().started) == 1
        gate.set()
        await remaining(call)

    async def test_still_decides_while_answers_finish(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        call = await open_stream(server, gate)
        server.stops.drain.set()
        await until(lambda: server.process.drain.is_draining)
        assert (await server.router.Route(route())).decision.model == "nano"
        gate.set()
        await remaining(call)

    async def test_is_not_ready_while_it_drains(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        call = await open_stream(server, gate)
        assert (await server.http.get("/ready")).status_code == 200
        server.stops.drain.set()
        await until(lambda: server.process.drain.is_draining)
        ready, health = await server.http.get("/ready"), await server.http.get("/health")
        assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
        assert (health.status_code, health.json()) == (200, {"status": "draining"})
        gate.set()
        await remaining(call)

    async def test_aborts_what_is_left_when_the_grace_is_over(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(drain_grace_s=0.1), "nano"))
        streaming = await open_stream(server, asyncio.Event())
        server.engine().script(asyncio.Event(), "never")
        waiting = server.router.Execute(execute())
        await until(lambda: len(server.engine().started) == 2)
        server.stops.drain.set()
        for refusal in (await refused(streaming.read()), await refused(waiting)):
            assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "DRAINING")
        async with asyncio.timeout(5):
            await server.run
        assert not server.engine().running

    async def test_aborts_even_a_stream_that_nobody_reads(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(drain_grace_s=0.1), "nano"))
        server.engine().repeat(repeat("x" * 65_536))
        call = server.router.Stream(stream())
        await call.read()
        server.stops.drain.set()
        async with asyncio.timeout(10):
            await server.run
        assert not server.engine().running
        call.cancel()

    async def test_with_no_grace_aborts_at_once(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(drain_grace_s=0.0), "nano"))
        call = await open_stream(server, asyncio.Event())
        server.stops.drain.set()
        assert (await refused(call.read())).reason == "DRAINING"

    async def test_ends_at_once_on_the_second_signal(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(drain_grace_s=3_600.0), "nano"))
        call = await open_stream(server, asyncio.Event())
        server.stops.drain.set()
        await until(lambda: server.process.drain.is_draining)
        assert not server.run.done()
        server.stops.at_once.set()
        assert (await refused(call.read())).reason == "DRAINING"
        async with asyncio.timeout(5):
            await server.run
        assert not server.engine().running

    async def test_leaves_no_task_behind(self) -> None:
        before = asyncio.all_tasks()
        async with serving(five_tiers(drain_grace_s=0.05)) as server:
            await open_stream(server, asyncio.Event())
            await server.router.Execute(execute())
            watch = server.watch_health()
            await anext(watch)
            server.stops.drain.set()
            async with asyncio.timeout(5):
                await server.run
            await watch.aclose()
        await until(lambda: asyncio.all_tasks() <= before)

    async def test_that_drains_while_engines_start_ends_without_waiting_for_them(self, serve: Serve) -> None:
        launcher = ScriptedLauncher()
        launcher.gate = asyncio.Event()
        server = await serve(only(five_tiers(), "nano"), launcher, ready=False)
        await until(lambda: launcher.launches == ["nano"])
        server.stops.drain.set()
        async with asyncio.timeout(5):
            await server.run
        assert launcher.engines == {}


@pytest.fixture
async def drain() -> Drain:
    return Drain()


async def answering(drain: Drain, done: asyncio.Event) -> str:
    with drain.answering():
        await done.wait()
    return "answered"


class TestDrain:
    async def test_of_nothing_ends_at_once(self, drain: Drain) -> None:
        assert await drain.drain(3_600.0) == (0, 0)

    async def test_counts_what_finished_and_what_was_aborted(self, drain: Drain) -> None:
        done, never = asyncio.Event(), asyncio.Event()
        finishing = asyncio.create_task(answering(drain, done))
        hanging = asyncio.create_task(answering(drain, never))
        await until(lambda: len(drain) == 2)
        draining = asyncio.create_task(drain.drain(0.05))
        done.set()
        assert await finishing == "answered"
        assert await draining == (1, 1)
        with pytest.raises(DrainingError):
            await hanging
        assert len(drain) == 0

    async def test_counts_what_an_impatient_stop_aborted(self, drain: Drain) -> None:
        hanging = asyncio.create_task(answering(drain, asyncio.Event()))
        await until(lambda: len(drain) == 1)
        draining = asyncio.create_task(drain.drain(3_600.0))
        await until(lambda: drain.is_draining)
        drain.abort()
        with pytest.raises(DrainingError):
            await hanging
        assert await draining == (0, 1)

    async def test_aborts_each_answer_once(self, drain: Drain) -> None:
        hanging = asyncio.create_task(answering(drain, asyncio.Event()))
        await until(lambda: len(drain) == 1)
        drain.abort()
        drain.abort()
        with pytest.raises(DrainingError):
            await hanging

    async def test_does_not_claim_a_caller_that_left_by_itself(self, drain: Drain) -> None:
        leaving = asyncio.create_task(answering(drain, asyncio.Event()))
        await until(lambda: len(drain) == 1)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await drain.drain(3_600.0) == (0, 0)

    async def test_refuses_what_begins_after_it(self, drain: Drain) -> None:
        await drain.drain(0.0)
        with pytest.raises(DrainingError) as caught:
            await answering(drain, asyncio.Event())
        assert caught.value.retry_after_s

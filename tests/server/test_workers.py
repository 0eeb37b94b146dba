"""A server of several processes: what is shared is one, what is counted is summed, and how it starts and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from tests.server.asking import execute, kinds_of, remaining, route, stream, text_of
from tests.server.fleet import five_tiers, learned, only
from tests.server.judging import write_calibration, write_weights
from tests.server.running import ScriptedStops
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
from tierway.v1 import admin_service_pb2 as admin
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway.v1.admin_service_pb2_grpc import AdminServiceStub
from tierway_core.grants import new_state
from tierway_server.backends.base import Availability
from tierway_server.backends.engines import remote_engines
from tierway_server.backends.hop import EngineState
from tierway_server.config import ConfigError, build_table, parse
from tierway_server.flow.deployments import Deployments
from tierway_server.telemetry import semconv
from tierway_server.workers.child import CannotStartError
from tierway_server.workers.supervisor import Supervisor


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with serving(two_workers()) as server:
        yield server


async def test_what_is_shared_is_one_and_what_is_counted_is_summed(server: Running) -> None:
    [one, *_] = clients = await server.routers()
    assert min(await server.decisions()) > 0
    counted = sum(await server.decisions())
    assert counted == len(clients)
    for client in clients:
        stats = await client.GetStats(rpc.GetStatsRequest())
        assert [tier.decisions for tier in stats.tiers] == [counted]
    assert await server.metric(semconv.DECISIONS) == counted
    assert await server.metric(semconv.PROCESS_STARTS) == WORKERS + 1

    # An answer that one worker gives is in flight for all.
    call = one.Stream(stream(sampling=MANY))
    assert (await call.read()).HasField("started")
    for worker in range(WORKERS):
        gauges = (await server.counts(worker)).values(semconv.IN_FLIGHT)
        assert [value for _, value in gauges] == [1]
    assert await server.metric(semconv.IN_FLIGHT) == 1
    assert (await one.GetStats(rpc.GetStatsRequest())).in_flight == 1
    call.cancel()
    await until(lambda: server.supervisor.state.in_flight(0) == 0)

    events = [event async for event in one.Stream(stream(sampling=pb.Sampling(max_tokens=3)))]
    assert kinds_of(events) == ["started", "delta", "delta", "delta", "finished"]
    assert text_of(events) == "1 2 3"
    assert (await server.http.get("/ready")).status_code == 200
    assert await server.metric("vllm:num_requests_running", model_name="premium") == 0


async def test_an_engine_that_hangs_breaks_its_answer_off_and_is_told_to_stop() -> None:
    document = only(five_tiers(workers=WORKERS), "premium")
    document["engines"]["premium"]["idle_timeout_s"] = 1.5
    async with serving(parse(document)) as server:
        client = await server.router()
        await until(lambda: answers(client))  # the first one of a process takes longer
        call = client.Stream(stream("Please hang", sampling=MANY))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert caught.value.code() == grpc.StatusCode.INTERNAL
        assert caught.value.details() == "deployment premium@premium was silent for 1.5 s"
        await until(lambda: is_running(server, 0))
        assert server.supervisor.state.error_share(0) > 0


async def test_leaving_and_a_deadline_reach_the_engine(server: Running) -> None:
    client = await server.router()
    call = client.Stream(stream(sampling=MANY))
    await call.read()
    await until(lambda: is_running(server, 1))
    call.cancel()
    await until(lambda: is_running(server, 0))
    call = client.Stream(stream(sampling=MANY), timeout=2)
    await call.read()
    assert (await call.read()).HasField("delta")  # the engine's own word
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await remaining(call)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: is_running(server, 0))
    assert server.supervisor.state.in_flight(0) == 0


async def test_two_workers_never_spend_one_budget_twice() -> None:
    async with serving(with_budget(0.002)) as server:
        [one, *_, other] = await server.routers()  # of two workers
        # No more than have a place soon enough: how many clients there are is by chance.
        asked = [client.Execute(execute(sampling=pb.Sampling(max_tokens=50))) for client in (one, other) * 20]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        paid = [outcome for outcome in outcomes if isinstance(outcome, rpc.ExecuteResponse)]
        refused = {outcome.code() for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)}
        state, now_ns = server.supervisor.state, time.monotonic_ns()
        assert 0 < len(paid) < len(asked)
        assert refused == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert state.spent_picousd(0, now_ns) == sum(round(reply.cost_usd * 1e12) for reply in paid) <= 0.002e12
        assert state.reserved_picousd(0) == 0


async def test_counts_begin_anew_for_all_workers_at_once_and_metrics_go_on(server: Running) -> None:
    clients = await server.routers()
    async with grpc.aio.insecure_channel(str(server.supervisor.addresses["admin"])) as channel:
        reset = await AdminServiceStub(channel).ResetStats(admin.ResetStatsRequest())
    for client in clients:
        stats = await client.GetStats(rpc.GetStatsRequest())
        assert list(stats.tiers) == []
        assert stats.count_start_time == reset.count_start_time
        assert stats.start_time.ToMilliseconds() < stats.count_start_time.ToMilliseconds()
    assert await server.metric(semconv.DECISIONS) == len(clients)
    await clients[0].Route(route())
    assert [tier.decisions for tier in (await clients[-1].GetStats(rpc.GetStatsRequest())).tiers] == [1]


async def test_who_waits_at_any_worker_is_told_by_all_and_a_reset_forgets_nobody() -> None:
    document = only(five_tiers(workers=WORKERS), "premium")
    document["engines"]["premium"] |= {"max_num_seqs": 1, "queue_size": 100}
    async with serving(parse(document)) as server:
        clients = await server.routers()
        busy = [clients[0].Stream(stream(sampling=MANY)) for _ in range(2)]  # one runs, one is at hand
        for call in busy:
            assert (await call.read()).HasField("started")
        waiting = [client.Execute(execute(sampling=MANY, priority=pb.PRIORITY_BATCH)) for client in clients]

        async def told(client: Any) -> int:
            [standing] = (await client.GetStats(rpc.GetStatsRequest())).deployments
            return sum(lane.waiting for lane in standing.lanes if lane.priority == pb.PRIORITY_BATCH)

        async def all_tell() -> bool:
            return {await told(client) for client in clients} == {len(clients)}

        await until(all_tell)
        async with grpc.aio.insecure_channel(str(server.supervisor.addresses["admin"])) as channel:
            await AdminServiceStub(channel).ResetStats(admin.ResetStatsRequest())
        assert await all_tell()
        for call in (*waiting, *busy):
            call.cancel()
        await until(lambda: server.supervisor.state.in_flight(0) == 0)


async def test_a_breaker_that_is_held_at_one_worker_is_held_at_all_and_all_say_so(server: Running) -> None:
    clients = await server.routers()
    async with grpc.aio.insecure_channel(str(server.supervisor.addresses["admin"])) as channel:
        for setting, held in (
            (admin.BREAKER_SETTING_OPEN, (rpc.BREAKER_STATE_OPEN, True)),
            (admin.BREAKER_SETTING_AUTOMATIC, (rpc.BREAKER_STATE_CLOSED, False)),
        ):
            request = admin.SetBreakerRequest(deployment="premium@premium", setting=setting)
            await AdminServiceStub(channel).SetBreaker(request)
            for client in clients:
                [standing] = (await client.GetStats(rpc.GetStatsRequest())).deployments
                assert (standing.breaker, standing.breaker_forced) == held


@pytest.mark.parametrize("owns_state", [False, True])
async def test_a_front_end_that_has_heard_nothing_yet_takes_no_engine_away_from_the_others(owns_state: bool) -> None:
    config = two_workers()
    table = build_table(config)
    state = new_state(table)
    state.set_available(0, True)
    backends = remote_engines(config, [""], "nobody listens here").by_deployment
    deployments = Deployments(table, state, backends, {}, owns_state=owns_state)
    assert deployments.is_ready == state.is_available(0) == (not owns_state)


async def test_a_front_end_that_has_heard_nothing_yet_tries_what_the_others_know_to_be_there() -> None:
    config = two_workers()
    table = build_table(config)
    state = new_state(table)
    backends = remote_engines(config, [""], "nobody listens here").by_deployment
    deployments = Deployments(table, state, backends, {}, owns_state=False)
    assert deployments.backend(0) is None
    state.set_available(0, True)
    assert deployments.backend(0) is backends[0]
    # What it fails is its own failure: that nothing was heard of it does not mean that it went.
    assert not deployments.has_gone(0)


async def test_a_front_end_tells_of_availability_what_the_state_says_and_not_what_it_has_heard() -> None:
    config = two_workers()
    table = build_table(config)
    state = new_state(table)
    [backend] = remote_engines(config, [""], "nobody listens here").all
    deployments = Deployments(table, state, {0: backend}, {}, owns_state=False)
    await deployments.changed()  # what it heard when it began to watch
    for is_there in (True, False):
        changing = asyncio.create_task(deployments.changed())
        await asyncio.sleep(0)
        assert not changing.done()
        state.set_available(0, is_there)
        await changing
        [now] = deployments.availabilities
        assert (now.is_available, bool(now.reason)) == (is_there, not is_there)
        assert deployments.is_ready == is_there
        assert deployments.available_by_name() == {"premium@premium": is_there}
    state.set_available(0, True)
    await deployments.changed()
    backend._become(EngineState(Availability(True), will_return=True, has_settled=True))
    state.set_available(0, False)
    await deployments.changed()
    assert deployments.coming(["premium@premium"]) == ("premium@premium", deployments.availability(0).reason)
    assert deployments.availability(0).reason == "gone, as another process of the server has found"


async def test_hanging_up_loads_the_calibration_in_every_worker(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "sure.weights")
    file = tmp_path / "calibration.json"
    write_calibration(file, weights, abilities={"premium": 1.0})
    document = learned(
        only(five_tiers(workers=WORKERS), "premium"),
        weights=str(tmp_path / "sure.weights"),
        calibration=str(file),
        calibration_check_s=3600.0,
    )
    async with serving(parse(document)) as server:
        write_calibration(file, weights, abilities={"premium": 2.0})
        server.supervisor.hang_up()
        await until(lambda: has_loaded(server, WORKERS))

        # One that starts would be ended by the signal.
        os.kill(server.pid("worker 0"), signal.SIGKILL)
        await until(lambda: lives(server, 0) == 2)
        server.supervisor.hang_up()
        await until(lambda: has_loaded(server, 2 * WORKERS))
        assert lives(server, 0) == 2


async def test_a_worker_that_cannot_start_again_leaves_the_others_serving_and_comes_when_it_can(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "sure.weights")
    file = tmp_path / "calibration.json"
    write_calibration(file, weights, abilities={"premium": 1.0})
    document = learned(
        only(five_tiers(workers=WORKERS), "premium"), weights=str(tmp_path / "sure.weights"), calibration=str(file)
    )
    async with serving(parse(document)) as server:
        file.write_text("{}")
        os.kill(server.pid("worker 0"), signal.SIGKILL)
        await until(lambda: lives(server, 0) == 3 or server.run.done())
        await until(lambda: answered(server))
        write_calibration(file, weights, abilities={"premium": 1.0})
        await server.until_served()


async def answered(server: Running) -> bool:
    """Whether there is an answer; a connection to one that dies says nothing."""
    return await answers(await server.router())


async def has_loaded(server: Running, calibrations: int) -> bool:
    return await server.metric(semconv.CALIBRATION_LOADS, outcome="loaded") == calibrations


class TestGoingDown:
    async def test_lets_answers_finish_and_leaves_no_process(self, server: Running) -> None:
        children = [psutil.Process(pid) for pid in server.supervisor.pids.values() if pid]
        assert len(children) > WORKERS  # the host of the engines too
        client = await server.router()
        os.kill(server.pid("engines"), signal.SIGSTOP)  # until it drains
        call = client.Stream(stream(sampling=pb.Sampling(max_tokens=300)))
        assert (await call.read()).HasField("started")
        server.stops.drain.set()
        await until(lambda: is_draining(server))
        os.kill(server.pid("engines"), signal.SIGCONT)
        assert kinds_of(await remaining(call))[-1] == "finished"
        await server.run
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)

    async def test_a_second_time_ends_at_once(self, server: Running) -> None:
        client = await server.router()
        call = client.Stream(stream(sampling=MANY))
        assert (await call.read()).HasField("started")
        server.stops.drain.set()
        await until(lambda: is_draining(server))
        server.stops.at_once.set()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await remaining(call)
        assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
        await server.run


async def is_draining(server: Running) -> bool:
    return (await server.http.get("/ready")).json() == {"status": "draining"}


async def test_a_worker_that_cannot_start_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    # Any module of the standard library that ends with 2 when it is given no arguments.
    monkeypatch.setattr("tierway_server.workers.supervisor._WORKER", "tarfile")
    supervisor = Supervisor(two_workers(), os.environ, host_module="tests.server.paced_host")
    supervisor.listen()
    with pytest.raises(CannotStartError):
        await supervisor.run(ScriptedStops())  # type: ignore[arg-type]  # the same two events
    assert set(supervisor.pids.values()) == {None}


async def test_a_calibration_that_is_not_valid_is_told_before_anything_starts(tmp_path: Path) -> None:
    bad = tmp_path / "calibration.json"
    bad.write_text("{}")
    document = learned(five_tiers(workers=WORKERS), calibration=str(bad))
    with pytest.raises(ConfigError, match="calibration"):
        Supervisor(parse(document), os.environ)

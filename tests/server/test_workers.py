"""A server of several processes, real ones, over engines that need no vLLM: what is shared, and who dies when."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.faults import openai_events as openai
from tests.faults.upstream import document, upstream
from tests.server.asking import execute, kinds_of, remaining, route, stream, text_of
from tests.server.fleet import five_tiers, learned, only
from tests.server.judging import write_calibration, write_weights
from tests.server.remote import remote_fleet
from tests.server.running import ScriptedStops
from tierway.v1 import admin_service_pb2 as admin
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway.v1.admin_service_pb2_grpc import AdminServiceStub
from tierway.v1.router_service_pb2_grpc import RouterServiceStub
from tierway_server.app import Process
from tierway_server.backends.engines import remote_engines
from tierway_server.config import Config, ConfigError, build_table, parse
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.grants import new_state
from tierway_server.local_socket import asking
from tierway_server.rpc.server import PortError
from tierway_server.telemetry import semconv
from tierway_server.telemetry.families import Counts, counts_decoder
from tierway_server.workers.assignment import worker_socket
from tierway_server.workers.child import CannotStartError
from tierway_server.workers.questions import Count
from tierway_server.workers.supervisor import Supervisor

# Processes start here, some at a time, on few cores.
_PATIENCE_S = 60.0
WORKERS = 2
MANY = pb.Sampling(max_tokens=8_000)


def two_workers(**server: Any) -> Config:
    return parse(only(five_tiers(workers=WORKERS, **server), "premium"))


class Running:
    """A server of several processes, and clients of it."""

    def __init__(self, supervisor: Supervisor, stops: ScriptedStops, run: asyncio.Task[None]) -> None:
        self.supervisor, self.stops, self.run = supervisor, stops, run
        self._stack = AsyncExitStack()
        self.http = httpx.AsyncClient(base_url=f"http://{supervisor.addresses['http']}", trust_env=False, verify=False)

    async def router(self) -> Any:
        """A client on a connection of its own, which some worker has accepted."""
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
        target = str(self.supervisor.addresses["grpc"])
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(target, options=options))
        await channel.channel_ready()
        return RouterServiceStub(channel)

    async def routers(self) -> list[Any]:
        """Clients of which each worker has some."""
        clients: list[Any] = []
        while not min(await self.decisions()):
            clients.append(await self.router())
            await clients[-1].Route(route())
        return clients

    async def decisions(self) -> list[float]:
        """How many decisions each worker has counted itself."""
        return [total(await self.counts(worker), semconv.DECISIONS) for worker in range(WORKERS)]

    async def counts(self, worker: int) -> Counts:
        async with asking(worker_socket(self.supervisor._socket, worker), Count(), counts_decoder) as told:
            return await told.read()

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels, as Prometheus would see it."""
        page = (await self.http.get("/metrics")).text
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    async def running_at_the_engine(self) -> float:
        return await self.metric("vllm:num_requests_running")

    def pid(self, name: str) -> int:
        pid = self.supervisor.pids[name]
        assert pid is not None
        return pid

    async def until_served(self) -> None:
        await until(lambda: len(self.supervisor._serving) == WORKERS and self.supervisor.is_ready)

    async def end(self) -> None:
        await self.http.aclose()
        await self._stack.aclose()
        self.stops.drain.set()
        self.stops.at_once.set()
        async with asyncio.timeout(_PATIENCE_S):
            await self.run


def total(counts: Counts, name: str) -> float:
    return sum(value for _, value in counts.values(name))


async def until(is_so: Callable[[], Any]) -> None:
    """Return when a claim about other processes has become true."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            holds = is_so()
            if await holds if asyncio.iscoroutine(holds) else holds:
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Running]:
    supervisor = Supervisor(config, os.environ, host_module="tests.server.paced_host")
    supervisor.listen()
    stops = ScriptedStops()
    run = asyncio.create_task(supervisor.run(stops))  # type: ignore[arg-type]  # the same two events
    server = Running(supervisor, stops, run)
    try:
        await until(lambda: supervisor.serves.is_set() or run.done())
        await server.until_served()
        yield server
    finally:
        await server.end()


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


async def test_leaving_and_a_deadline_reach_the_engine(server: Running) -> None:
    client = await server.router()
    call = client.Stream(stream(sampling=MANY))
    await call.read()
    await until(lambda: is_running(server, 1))
    call.cancel()
    await until(lambda: is_running(server, 0))
    reply = client.Execute(execute(sampling=MANY), timeout=2)
    await until(lambda: is_running(server, 1))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await reply
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: is_running(server, 0))
    assert server.supervisor.state.in_flight(0) == 0


async def is_running(server: Running, count: int) -> bool:
    return await server.running_at_the_engine() == count


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


def with_budget(limit_usd: float) -> Config:
    """The same, where everybody is paid from one hard budget."""
    document = only(five_tiers(workers=WORKERS), "premium")
    document["engines"]["premium"]["queue_size"] = 1_000
    document["budgets"] = {"all": {"limit_usd": limit_usd, "low_share": 0}}
    document["tenants"] = {"default": {"budget": "all"}}
    return parse(document)


async def test_two_workers_never_spend_one_budget_twice() -> None:
    async with serving(with_budget(0.002)) as server:
        clients = await server.routers()
        asked = [client.Execute(execute(sampling=pb.Sampling(max_tokens=50))) for client in (*clients, *clients) * 20]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        paid = [outcome for outcome in outcomes if isinstance(outcome, rpc.ExecuteResponse)]
        refused = {outcome.code() for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)}
        state, now_ns = server.supervisor.state, time.monotonic_ns()
        assert 0 < len(paid) < len(asked)
        assert refused == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert state.spent_picousd(0, now_ns) == sum(round(reply.cost_usd * 1e12) for reply in paid) <= 0.002e12
        assert state.reserved_picousd(0) == 0


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


def lives(server: Running, worker: int) -> int:
    return server.supervisor._workers[worker].lives


async def has_counted(server: Running, name: str, count: float) -> bool:
    return await server.metric(name) >= count


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


@pytest.mark.parametrize("owns_state", [False, True])
async def test_a_front_end_that_has_heard_nothing_yet_takes_no_engine_away_from_the_others(owns_state: bool) -> None:
    config = two_workers()
    table = build_table(config)
    state = new_state(table)
    state.set_available(0, True)
    backends = remote_engines(config, [""], "nobody listens here").by_deployment
    assert not Deployments(table, state, backends, {}, owns_state=owns_state).is_ready
    assert state.is_available(0) == (not owns_state)


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


async def answers(client: Any) -> bool:
    try:
        return bool((await client.Execute(execute(sampling=pb.Sampling(max_tokens=2)))).text == "1 2")
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return False
        raise


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


class TestGoingDown:
    async def test_lets_answers_finish_and_leaves_no_process(self, server: Running) -> None:
        children = [psutil.Process(pid) for pid in server.supervisor.pids.values() if pid]
        assert len(children) > WORKERS  # the host of the engines too
        client = await server.router()
        call = client.Stream(stream(sampling=pb.Sampling(max_tokens=300)))
        assert (await call.read()).HasField("started")
        server.stops.drain.set()
        await until(lambda: is_draining(server))
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


LISTENS = pytest.mark.parametrize(
    ("listen", "name"), [("listen", "grpc"), ("admin_listen", "admin"), ("http_listen", "http")]
)


class TestPorts:
    @pytest.fixture
    async def supervisor(self) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(two_workers(), os.environ)
        supervisor.listen()
        yield supervisor
        supervisor.close()

    @LISTENS
    async def test_are_refused_to_another_server_with_workers(
        self, listen: str, name: str, supervisor: Supervisor
    ) -> None:
        address = supervisor.addresses[name]
        second = Supervisor(two_workers(**{listen: str(address)}), os.environ)
        with pytest.raises(PortError, match=str(address.port)):
            second.listen()
        second.close()

    @LISTENS
    async def test_are_refused_to_a_server_of_one_process(self, listen: str, name: str, supervisor: Supervisor) -> None:
        address = supervisor.addresses[name]
        with pytest.raises(PortError, match=str(address.port)):
            async with one_process(parse(only(five_tiers(**{listen: str(address)}), "premium"))):
                pass

    @LISTENS
    async def test_of_a_server_of_one_process_are_refused(self, listen: str, name: str) -> None:
        async with one_process(parse(only(five_tiers(), "premium"))) as first:
            address = first.addresses[name]
            second = Supervisor(two_workers(**{listen: str(address)}), os.environ)
            with pytest.raises(PortError, match=str(address.port)):
                second.listen()
            second.close()


@asynccontextmanager
async def one_process(config: Config) -> AsyncIterator[Process]:
    """A server of one process that listens and does not serve yet."""
    process = Process(config, {})
    try:
        process.listen()
        yield process
    finally:
        await process._public.stop(None)
        await process._admin.stop(None)
        if process._http is not None:
            process._http._listener.close()


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


async def has_loaded(server: Running, calibrations: int) -> bool:
    return await server.metric(semconv.CALIBRATION_LOADS, outcome="loaded") == calibrations


async def test_remote_models_are_asked_by_every_worker_itself() -> None:
    async with upstream(lambda asked: openai.good(asked) if asked.body else document({"data": []})) as provider:
        fleet = remote_fleet(f"{provider.base_url}/v1", kind="llamacpp", api_key=None)
        fleet["server"]["workers"] = WORKERS
        async with serving(parse(fleet)) as server:
            for client in await server.routers():
                await until(lambda client=client: _answers(client))  # each worker finds out by itself who is there
            counted = [total(await server.counts(worker), semconv.ANSWERS) for worker in range(WORKERS)]
            assert min(counted) > 0


async def _answers(client: Any) -> bool:
    try:
        reply = await client.Execute(execute())
    except grpc.aio.AioRpcError:
        return False
    return bool(reply.text == "Paris it is.")

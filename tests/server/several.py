"""A server of several processes, real ones, over engines that need no vLLM, with clients to talk to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from unittest import mock

import grpc
import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.server.asking import execute, route
from tests.server.fleet import five_tiers, only
from tests.server.running import ScriptedStops
from tierway.v1 import types_pb2 as pb
from tierway.v1.router_service_pb2_grpc import RouterServiceStub
from tierway_server.config import Config, parse
from tierway_server.local_socket import asking
from tierway_server.telemetry import semconv
from tierway_server.telemetry.families import Counts, counts_decoder
from tierway_server.workers.assignment import worker_socket
from tierway_server.workers.questions import Count
from tierway_server.workers.supervisor import Supervisor

# Processes start here, some at a time, on few cores.
_PATIENCE_S = 60.0
WORKERS = 2
MANY = pb.Sampling(max_tokens=8_000)


def two_workers(**server: Any) -> Config:
    return parse(only(five_tiers(workers=WORKERS, **server), "premium"))


def with_budget(limit_usd: float) -> Config:
    """The same, where everybody is paid from one hard budget."""
    document = only(five_tiers(workers=WORKERS), "premium")
    document["engines"]["premium"]["queue_size"] = 1_000
    document["budgets"] = {"all": {"limit_usd": limit_usd, "low_share": 0}}
    document["tenants"] = {"default": {"budget": "all"}}
    return parse(document)


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
        """Clients of which each worker has some; the first and the last are of different ones."""
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
    # What does not answer soon is counted as it was when it last did; here, everybody has time.
    with (
        mock.patch("tierway_server.workers.whole._PATIENCE_S", _PATIENCE_S),
        mock.patch("tierway_server.workers.supervisor._ENGINES_PATIENCE_S", _PATIENCE_S),
    ):
        try:
            await until(lambda: supervisor.serves.is_set() or run.done())
            await server.until_served()
            yield server
        finally:
            await server.end()


def lives(server: Running, worker: int) -> int:
    return server.supervisor._workers[worker].lives


async def is_running(server: Running, count: int) -> bool:
    return await server.running_at_the_engine() == count


async def answers(client: Any) -> bool:
    try:
        return bool((await client.Execute(execute(sampling=pb.Sampling(max_tokens=2)))).text == "1 2")
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return False
        raise

"""A whole server in this process, over scripted engines, with the clients to talk to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from unittest import mock

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.server.fleet import Document
from tests.server.scripted_engine import ScriptedEngine, ScriptedLauncher
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1.router_service_pb2_grpc import RouterServiceStub
from tierway_core import Feature
from tierway_server.app import Process
from tierway_server.config import parse, table

SERVICE = "tierway.v1.RouterService"
_PATIENCE_S = 10.0


class ScriptedStops:
    """The signals that end a process, sent by a test."""

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.at_once = asyncio.Event()


@dataclass(slots=True, kw_only=True)
class RunningServer:
    """A server that serves."""

    process: Process
    launcher: ScriptedLauncher
    stops: ScriptedStops
    run: asyncio.Task[None]
    """What ends when the process would."""
    channel: grpc.aio.Channel
    admin_channel: grpc.aio.Channel
    http: httpx.AsyncClient
    router: Any = field(init=False)
    """The generated stub."""
    health: Any = field(init=False)

    def __post_init__(self) -> None:
        self.router = RouterServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def engine(self, name: str = "nano") -> ScriptedEngine:
        """The living engine of this name."""
        return self.launcher.engines[name]

    @property
    def generations_running(self) -> set[str]:
        """Ids of the generations that some engine works on."""
        return set().union(*(engine.running for engine in self.launcher.engines.values()))

    @property
    def in_flight(self) -> float:
        """Slots that are held, over all deployments."""
        return sum(self.process.deployments.in_flight_by_name().values())

    async def watch_health(self, service: str = SERVICE) -> AsyncGenerator[str, None]:
        """The names of a service's states, as they come."""
        call = self.health.Watch(health_pb2.HealthCheckRequest(service=service))
        try:
            async for reply in call:
                yield health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
        finally:
            call.cancel()

    async def until_idle(self) -> None:
        """Return when nothing is left of any request."""
        await until(lambda: not self.generations_running and self.in_flight == 0 and len(self.process.drain) == 0)

    async def stream(self, request: rpc.StreamRequest, **options: Any) -> list[rpc.StreamResponse]:
        """All events of one answer."""
        return [event async for event in self.router.Stream(request, **options)]


async def until(is_so: Callable[[], bool]) -> None:
    """Return when a claim has become true; fail when it does not."""
    async with asyncio.timeout(_PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  # claims about several objects, none of which has an event to wait for
            await asyncio.sleep(0.002)


@asynccontextmanager
async def serving(
    document: Document,
    launcher: ScriptedLauncher | None = None,
    *,
    ready: bool = True,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[RunningServer]:
    """Serve `document` on free ports until the block ends; `ready` waits for every engine."""
    launcher = launcher or ScriptedLauncher()
    # Scripted engines stand for whatever answers, and do what they are told: nothing is to be kept from them.
    with mock.patch.object(table, "engine_lacks", return_value=Feature(0)):
        process = Process(parse(document), environ, launch=launcher)
    process.listen()
    stops = ScriptedStops()
    run = asyncio.create_task(process.run(stops), name="server")  # type: ignore[arg-type]  # the same two events
    grpc_at, admin_at, http_at = (process.addresses[name] for name in ("grpc", "admin", "http"))
    # Channels with the same target share one connection otherwise, across tests too.
    options: Sequence[tuple[str, int]] = (
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", 1 << 26),
    )
    async with (
        grpc.aio.insecure_channel(str(grpc_at), options=options) as channel,
        grpc.aio.insecure_channel(str(admin_at), options=options) as admin_channel,
        httpx.AsyncClient(base_url=f"http://{http_at}", trust_env=False, verify=False) as http,
    ):
        server = RunningServer(
            process=process,
            launcher=launcher,
            stops=stops,
            run=run,
            channel=channel,
            admin_channel=admin_channel,
            http=http,
        )
        try:
            await until(lambda: process._http is not None and process._http.started)
            if ready:
                await _until_ready(server)
            yield server
        finally:
            # The clients go first: a server that stops waits for its calls.
            await asyncio.gather(channel.close(), admin_channel.close(), http.aclose())
            stops.drain.set()
            stops.at_once.set()
            await _ended(run)


async def _ended(run: asyncio.Task[None]) -> None:
    """Return when the server has ended; fail with what it waits for when it does not."""
    await asyncio.wait([run], timeout=_PATIENCE_S)
    if not run.done():
        stuck = "\n".join(f"{task.get_name()}: {task.get_stack(limit=1)}" for task in asyncio.all_tasks())
        run.cancel()
        raise AssertionError(f"the server did not end, with these tasks left:\n{stuck}")
    await run


async def _until_ready(server: RunningServer) -> None:
    states = server.watch_health()
    async with asyncio.timeout(_PATIENCE_S):
        async for state in states:
            if state == "SERVING":
                break
    await states.aclose()
    await until(lambda: all(now.is_available for now in server.process.deployments.availabilities))

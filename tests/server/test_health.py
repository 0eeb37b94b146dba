import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.server.asking import remaining, stream
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.running import SERVICE, RunningServer
from tests.server.scripted_engine import ScriptedLauncher


async def check(channel: grpc.aio.Channel, service: str) -> str:
    reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_a_ready_server_serves_on_both_ports(server: RunningServer, service: str) -> None:
    assert await check(server.channel, service) == "SERVING"
    assert await check(server.admin_channel, service) == "SERVING"


async def test_an_unknown_service_is_not_found(server: RunningServer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(server.channel, "tierway.v1.Nothing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_while_engines_start_the_process_is_alive_and_the_service_not_ready(serve: Serve) -> None:
    launcher = ScriptedLauncher()
    launcher.gate = asyncio.Event()
    server = await serve(only(five_tiers(), "nano"), launcher, ready=False)
    assert await check(server.channel, "") == "SERVING"
    assert await check(server.channel, SERVICE) == "NOT_SERVING"

    states = server.watch_health()
    assert await anext(states) == "NOT_SERVING"
    launcher.gate.set()
    assert await anext(states) == "SERVING"
    await states.aclose()


async def test_a_lone_engine_that_dies_takes_readiness_along_and_its_next_life_brings_it_back(serve: Serve) -> None:
    server = await serve(only(five_tiers(), "nano"))
    states = server.watch_health()
    assert await anext(states) == "SERVING"
    server.launcher.gate = asyncio.Event()
    server.engine().death.set()
    assert await anext(states) == "NOT_SERVING"
    assert await check(server.channel, "") == "SERVING"
    server.launcher.gate.set()
    assert await anext(states) == "SERVING"
    assert server.launcher.launches == ["nano", "nano"]
    await states.aclose()


async def test_one_engine_of_several_may_die_without_taking_readiness_along(server: RunningServer) -> None:
    server.launcher.gate = asyncio.Event()
    server.engine("nano").death.set()
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    while server.process.deployments.availabilities[0].is_available:
        await server.health.Check(request)
    assert await check(server.channel, SERVICE) == "SERVING"


async def test_a_draining_server_serves_nothing_and_says_so_while_answers_finish(server: RunningServer) -> None:
    gate = asyncio.Event()
    server.engine().script("Wait", gate, " done")
    call = server.router.Stream(stream())
    await call.read()
    states, liveness = server.watch_health(), server.watch_health("")
    assert [await anext(states), await anext(liveness)] == ["SERVING", "SERVING"]
    server.stops.drain.set()
    assert [await anext(states), await anext(liveness)] == ["NOT_SERVING", "NOT_SERVING"]
    for watch in (states, liveness):
        await watch.aclose()
    gate.set()
    events = await remaining(call)
    assert events[-1].HasField("finished")

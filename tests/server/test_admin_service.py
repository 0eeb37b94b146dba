"""What operators do while the server runs, on the administrators' port alone."""

from typing import Any

import grpc
import pytest

from tests.server.asking import execute, route
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.granting import granting, of, picousd, stats_of
from tests.server.refusal import refused
from tests.server.running import RunningServer
from tests.server.scrape import scrape, value
from tierway.v1 import admin_service_pb2 as admin
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1.admin_service_pb2_grpc import AdminServiceStub
from tierway_server.telemetry import semconv

NANO = "nano@nano"


def admin_of(server: RunningServer) -> Any:
    return AdminServiceStub(server.admin_channel)


def hold(setting: admin.BreakerSetting, deployment: str = NANO) -> admin.SetBreakerRequest:
    return admin.SetBreakerRequest(deployment=deployment, setting=setting)


async def test_the_public_port_knows_nothing_of_it(server: RunningServer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await AdminServiceStub(server.channel).ResetStats(admin.ResetStatsRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_breaker_held_open_lets_nothing_pass_until_it_is_given_back(serve: Serve) -> None:
    server = await serve(only(five_tiers(), "nano"))
    held = (await admin_of(server).SetBreaker(hold(admin.BREAKER_SETTING_OPEN))).deployment
    assert (held.deployment, held.breaker, held.breaker_forced) == (NANO, rpc.BREAKER_STATE_OPEN, True)
    refusal = await refused(server.router.Execute(execute()))
    assert refusal.reason == "NO_DEPLOYMENT_AVAILABLE"
    assert "is held back by the operator" in refusal.message
    freed = (await admin_of(server).SetBreaker(hold(admin.BREAKER_SETTING_AUTOMATIC))).deployment
    assert (freed.breaker, freed.breaker_forced) == (rpc.BREAKER_STATE_CLOSED, False)
    await server.router.Execute(execute())


async def test_a_breaker_held_closed_lets_everything_pass_whatever_fails(serve: Serve) -> None:
    document = granting(only(five_tiers(), "nano"), breaker={"error_share": 0, "min_requests": 1})
    server = await serve(document)
    await admin_of(server).SetBreaker(hold(admin.BREAKER_SETTING_CLOSED))
    for _ in range(2):
        server.engine().script(RuntimeError("foreign"))
        assert (await refused(server.router.Execute(execute()))).reason == "INTERNAL"
    await server.router.Execute(execute())


async def test_a_deployment_that_is_not_there_is_not_found(server: RunningServer) -> None:
    refusal = await refused(admin_of(server).SetBreaker(hold(admin.BREAKER_SETTING_OPEN, "mini@nano")))
    assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "DEPLOYMENT_NOT_FOUND")
    assert refusal.info.metadata["deployment"] == "mini@nano"


@pytest.mark.parametrize("setting", [admin.BREAKER_SETTING_UNSPECIFIED, 99])
async def test_a_setting_that_is_none_is_invalid(server: RunningServer, setting: Any) -> None:
    refusal = await refused(admin_of(server).SetBreaker(hold(setting)))
    assert refusal.violated_fields == ["setting"]


async def test_bytes_that_are_no_message_are_invalid(server: RunningServer) -> None:
    call = server.admin_channel.unary_unary("/tierway.v1.AdminService/SetBreaker")
    assert (await refused(call(b"\xff"))).reason == "INVALID_FIELD"


async def test_counts_begin_anew_and_what_was_spent_stays_spent(serve: Serve) -> None:
    server = await serve(granting(budgets={"pool": {"limit_usd": 1}}, tenants={"acme": {"budget": "pool"}}))
    reply = await server.router.Execute(execute(), **of("acme"))
    await refused(server.router.Route(route("")))
    before = await stats_of(server)
    assert before.count_start_time == before.start_time
    assert before.models
    assert before.errors
    assert before.strategies

    reset = await admin_of(server).ResetStats(admin.ResetStatsRequest())
    after = await stats_of(server)
    assert after.start_time == before.start_time
    assert after.count_start_time == reset.count_start_time
    assert after.count_start_time.ToNanoseconds() >= before.start_time.ToNanoseconds()
    assert not [*after.models, *after.tiers, *after.errors, *after.strategies]
    assert picousd(after.budgets[0].spent_usd) == picousd(reply.cost_usd)
    assert value(await scrape(server), semconv.ANSWERS, model="nano") == 1

    await server.router.Route(route())
    counted = await stats_of(server)
    assert [(model.model, model.decisions, model.answers) for model in counted.models] == [("nano", 1, 0)]


async def test_administration_is_counted_like_every_call(server: RunningServer) -> None:
    await admin_of(server).ResetStats(admin.ResetStatsRequest())
    labels = {"grpc_service": "tierway.v1.AdminService", "grpc_method": "ResetStats", "grpc_type": "unary"}
    assert value(await scrape(server), semconv.RPC_HANDLED, **labels, grpc_code="OK") == 1

"""Rate limits: of tenants and of deployments, taken whole or not at all, and told with the time after which there is room."""

import pytest
from google.rpc import error_details_pb2

from tests.server.asking import TRIVIAL, execute, explain, route
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.granting import HOUR_S, at_once, granting, of, stats_of
from tests.server.refusal import refused
from tests.server.running import RunningServer
from tests.server.scrape import scrape, value
from tierway.v1 import router_service_pb2 as rpc
from tierway_core import Prefixes, Request
from tierway_server.errors import RateLimitedError
from tierway_server.flow.admission import Admission
from tierway_server.flow.budgets import Budgets
from tierway_server.flow.limits import Limits
from tierway_server.telemetry import semconv

LIMITED = {"limits": {"two": at_once(2)}, "tenants": {"acme": {"limits": ["two"]}}}


@pytest.fixture
async def limited(serve: Serve) -> RunningServer:
    """Five tiers, and a tenant that may ask twice."""
    return await serve(granting(**LIMITED))


async def test_a_tenant_over_its_limit_is_refused_and_told_when_to_come_back(limited: RunningServer) -> None:
    await limited.router.Route(route(), **of("acme"))
    await limited.router.Execute(execute(), **of("acme"))
    refusal = await refused(limited.router.Execute(execute(), **of("acme")))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert refusal.info.metadata["limit"] == "two"
    assert refusal.retry_delay_s is not None
    assert 0 < refusal.retry_delay_s <= HOUR_S
    assert 0 < int(refusal.trailers["grpc-retry-pushback-ms"]) <= HOUR_S * 1_000
    quota = refusal.detail(error_details_pb2.QuotaFailure)
    assert quota is not None
    assert [violation.subject for violation in quota.violations] == ["limit:two"]
    await limited.until_idle()


async def test_others_have_limits_of_their_own(limited: RunningServer) -> None:
    for _ in range(2):
        await limited.router.Route(route(), **of("acme"))
    await refused(limited.router.Route(route(), **of("acme")))
    await limited.router.Route(route(), **of("other"))
    await limited.router.Route(route())


async def test_who_is_unknown_has_the_limits_of_the_default_tenant(serve: Serve) -> None:
    server = await serve(granting(limits={"one": at_once(1)}, tenants={"default": {"limits": ["one"]}}))
    await server.router.Route(route(), **of("stranger"))
    assert (await refused(server.router.Route(route()))).reason == "RATE_LIMITED"


async def test_each_query_of_a_batch_counts(limited: RunningServer) -> None:
    batch = rpc.RouteBatchRequest(requests=[route()] * 3)
    results = (await limited.router.RouteBatch(batch, **of("acme"))).results
    assert [result.WhichOneof("result") for result in results] == ["decision", "decision", "error"]
    assert (results[2].error.code, results[2].error.reason) == (8, "RATE_LIMITED")


async def test_explaining_takes_nothing(limited: RunningServer) -> None:
    for _ in range(3):
        await limited.router.Explain(explain(), **of("acme"))
    await limited.router.Route(route(), **of("acme"))


async def test_what_one_limit_gave_goes_back_when_another_refuses(serve: Serve) -> None:
    tenants = {"acme": {"limits": ["two", "one"]}, "other": {"limits": ["two"]}}
    server = await serve(granting(limits={"two": at_once(2), "one": at_once(1)}, tenants=tenants))
    await server.router.Route(route(), **of("acme"))
    assert (await refused(server.router.Route(route(), **of("acme")))).info.metadata["limit"] == "one"
    await server.router.Route(route(), **of("other"))
    assert (await refused(server.router.Route(route(), **of("other")))).info.metadata["limit"] == "two"


async def test_refusals_are_counted_by_limit(limited: RunningServer) -> None:
    for _ in range(2):
        await limited.router.Route(route(), **of("acme"))
    await refused(limited.router.Route(route(), **of("acme")))
    [limit] = (await stats_of(limited)).limits
    assert (limit.limit, limit.refusals) == ("two", 1)
    assert limit.wait_time.ToNanoseconds() > 0
    assert value(await scrape(limited), semconv.LIMIT_REFUSALS, limit="two") == 1


def nano_limited(*names: str) -> dict[str, object]:
    document = only(five_tiers(), *names)
    document["models"][0]["deployments"][0]["limits"] = ["provider"]
    return granting(document, limits={"provider": at_once(1)})


async def test_a_deployment_without_room_is_left_out_of_the_decision(serve: Serve) -> None:
    server = await serve(nano_limited("nano", "fast"))
    assert (await server.router.Execute(execute())).decision.model == "nano"
    decision = (await server.router.Execute(execute())).decision
    assert decision.model == "fast"
    assert 26 in [reason.code for reason in decision.reasons]  # FILTERED_RATE_LIMIT


async def test_deciding_alone_takes_nothing_of_a_deployment(serve: Serve) -> None:
    server = await serve(nano_limited("nano"))
    for _ in range(2):
        await server.router.Route(route())
    await server.router.Execute(execute())


async def test_a_fleet_without_room_says_when_it_has(serve: Serve) -> None:
    server = await serve(nano_limited("nano"))
    await server.router.Execute(execute())
    refusal = await refused(server.router.Execute(execute()))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert refusal.info.metadata["limit"] == "provider"
    assert refusal.retry_delay_s is not None
    assert 0 < refusal.retry_delay_s <= HOUR_S


async def test_a_try_that_finds_no_room_gives_all_else_back(serve: Serve) -> None:
    """Between a decision and its admission, others may have taken what there was."""
    document = nano_limited("nano")
    document["budgets"] = {"pool": {"limit_usd": 1}}
    document["tenants"] = {"acme": {"budget": "pool"}}
    server = await serve(document)
    process = server.process
    limits = Limits(process.table, process.state, process.metrics)
    budgets = Budgets(process.table, process.state, process.metrics)
    admission = Admission(
        process.table,
        process.state,
        process.deployments,
        process.queues,
        limits,
        budgets,
        Prefixes(),
        process.holds,
        process.metrics,
    )
    decision = process._decider.decide(Request(TRIVIAL, tenant="acme"))
    limits.take([0])
    with pytest.raises(RateLimitedError):
        async with admission.admitted(0, decision, 1e9):
            pytest.fail("nothing is admitted")
    assert process.state.in_flight(0) == 0
    assert process.state.reserved_picousd(0) == 0

"""What is counted, over `/metrics` and over GetStats alike."""

import asyncio

import pytest

from tests.server.asking import COMPLEX, execute, route, stream
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.refusal import refused
from tests.server.running import SERVICE, RunningServer, until
from tests.server.scrape import Samples, scrape, value
from tests.server.scripted_engine import CACHED_INPUT_TOKENS, INPUT_TOKENS
from tierway.v1 import router_service_pb2 as rpc
from tierway_server.errors import EngineLostError, InvalidRequestError, StreamBrokenError
from tierway_server.rpc.status import GO_NAMES

METHODS = {
    "Route": "unary",
    "RouteBatch": "unary",
    "Execute": "unary",
    "Stream": "server_stream",
    "ListModels": "unary",
    "GetStats": "unary",
}


def handled(samples: Samples, method: str, code: str) -> float | None:
    return value(
        samples,
        "grpc_server_handled_total",
        grpc_type=METHODS[method],
        grpc_service=SERVICE,
        grpc_method=method,
        grpc_code=code,
    )


def started(samples: Samples, method: str) -> float | None:
    return value(
        samples, "grpc_server_started_total", grpc_type=METHODS[method], grpc_service=SERVICE, grpc_method=method
    )


async def stats(server: RunningServer) -> rpc.GetStatsResponse:
    reply: rpc.GetStatsResponse = await server.router.GetStats(rpc.GetStatsRequest())
    return reply


class TestCalls:
    async def test_of_every_method_and_code_are_there_before_the_first(self, server: RunningServer) -> None:
        samples = await scrape(server)
        for method in METHODS:
            assert started(samples, method) == 0
            assert {code: handled(samples, method, code) for code in GO_NAMES.values()} == dict.fromkeys(
                GO_NAMES.values(), 0
            )

    async def test_are_counted_by_how_they_ended(self, server: RunningServer) -> None:
        await server.router.Route(route())
        await refused(server.router.Route(route("")))
        await refused(server.router.Route(route(force_model="none")))
        await server.stream(stream())
        samples = await scrape(server)
        assert started(samples, "Route") == 3
        assert [handled(samples, "Route", code) for code in ("OK", "InvalidArgument", "NotFound")] == [1, 1, 1]
        assert (started(samples, "Stream"), handled(samples, "Stream", "OK")) == (1, 1)
        assert (
            value(
                samples,
                "grpc_server_handling_seconds_count",
                grpc_type="unary",
                grpc_service=SERVICE,
                grpc_method="Route",
            )
            == 3
        )

    @pytest.mark.parametrize("method", ["Execute", "Stream"])
    async def test_that_their_callers_left_are_canceled(self, server: RunningServer, method: str) -> None:
        server.engine().script(asyncio.Event(), "never")
        call = getattr(server.router, method)({"Execute": execute, "Stream": stream}[method]())
        await until(lambda: bool(server.engine().started))
        call.cancel()
        await server.until_idle()
        samples = await scrape(server)
        assert (started(samples, method), handled(samples, method, "Canceled")) == (1, 1)

    async def test_past_the_servers_deadline_are_so_named(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(default_deadline_s=0.05), "nano"))
        server.engine().script(asyncio.Event(), "never")
        await refused(server.router.Execute(execute()))
        assert handled(await scrape(server), "Execute", "DeadlineExceeded") == 1

    async def test_that_failed_inside_are_internal(self, server: RunningServer) -> None:
        server.engine().script(ValueError("x"))
        await refused(server.router.Execute(execute()))
        assert handled(await scrape(server), "Execute", "Internal") == 1


async def test_decisions_are_counted_by_tier_model_and_class(server: RunningServer) -> None:
    for request in (route(), route(), route(COMPLEX)):
        await server.router.Route(request)
    await server.router.Execute(execute())
    await refused(server.router.Route(route("")))
    samples = await scrape(server)
    assert value(samples, "tierway_route_decisions_total", tier="1", model="nano", complexity="trivial") == 3
    assert value(samples, "tierway_route_decisions_total", tier="4", model="premium", complexity="complex") == 1
    assert value(samples, "tierway_route_decision_seconds_count") == 4
    reply = await stats(server)
    assert {tier.tier: tier.decisions for tier in reply.tiers} == {1: 3, 4: 1}
    assert {model.model: model.decisions for model in reply.models} == {"nano": 3, "premium": 1}


async def test_answers_tokens_and_cost_are_counted_by_model(server: RunningServer) -> None:
    cost_usd = sum([(await server.router.Execute(execute())).cost_usd for _ in range(3)])
    samples = await scrape(server)
    assert value(samples, "tierway_answers_total", model="nano") == 3
    assert value(samples, "tierway_tokens_total", model="nano", direction="input") == 3 * INPUT_TOKENS
    assert value(samples, "tierway_tokens_total", model="nano", direction="cached_input") == 3 * CACHED_INPUT_TOKENS
    assert value(samples, "tierway_tokens_total", model="nano", direction="output") == 9
    assert value(samples, "tierway_cost_usd_total", model="nano") == pytest.approx(cost_usd, rel=1e-12)
    assert value(samples, "tierway_ttft_seconds_count", model="nano") == 3
    assert value(samples, "tierway_tpot_seconds_count", model="nano") == 3
    [nano] = (await stats(server)).models
    usage = nano.usage
    assert (nano.model, nano.answers, nano.failures) == ("nano", 3, 0)
    assert (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens) == (
        3 * INPUT_TOKENS,
        3 * CACHED_INPUT_TOKENS,
        9,
    )
    assert nano.cost_usd == pytest.approx(cost_usd, rel=1e-12)


async def test_an_answer_of_one_token_has_no_pace(server: RunningServer) -> None:
    server.engine().script("one")
    await server.router.Execute(execute())
    samples = await scrape(server)
    assert value(samples, "tierway_ttft_seconds_count", model="nano") == 1
    assert not value(samples, "tierway_tpot_seconds_count", model="nano")


async def test_fallbacks_are_counted_for_the_model_that_failed(server: RunningServer) -> None:
    server.engine("nano").script(EngineLostError("gone"))
    await server.router.Execute(execute())
    samples = await scrape(server)
    assert value(samples, "tierway_fallbacks_total", model="nano", reason="ENGINE_LOST") == 1
    assert value(samples, "tierway_backend_attempts_total", deployment="nano@nano", outcome="ENGINE_LOST") == 1
    assert value(samples, "tierway_backend_attempts_total", deployment="fast@fast", outcome="answered") == 1
    models = {model.model: model for model in (await stats(server)).models}
    assert (models["nano"].decisions, models["nano"].answers, models["nano"].failures) == (1, 0, 1)
    assert (models["fast"].decisions, models["fast"].answers, models["fast"].failures) == (0, 1, 0)


@pytest.mark.parametrize(
    "steps", [(EngineLostError("gone"),), ("Par", StreamBrokenError("gone"))], ids=["before", "after"]
)
async def test_a_failure_that_ended_the_request_is_a_failure_of_the_model(
    server: RunningServer, steps: tuple[str | Exception, ...]
) -> None:
    server.engine("nano").script(*steps)
    await refused(server.router.Execute(execute(allow_fallback=False)))
    [nano] = (await stats(server)).models
    assert (nano.answers, nano.failures) == (0, 1)


async def test_a_fault_of_the_client_is_no_failure_of_the_model(server: RunningServer) -> None:
    server.engine("nano").script(InvalidRequestError("no", field="sampling"))
    await refused(server.router.Execute(execute()))
    [nano] = (await stats(server)).models
    assert nano.failures == 0


async def test_errors_are_counted_by_reason(server: RunningServer) -> None:
    await refused(server.router.Route(route("")))
    await refused(server.router.Execute(execute("")))
    await refused(server.router.Route(route(force_model="none")))
    await server.router.RouteBatch(rpc.RouteBatchRequest(requests=[route(""), route()]))
    samples = await scrape(server)
    assert value(samples, "tierway_errors_total", reason="INVALID_FIELD") == 3
    assert value(samples, "tierway_errors_total", reason="MODEL_NOT_FOUND") == 1
    assert {error.reason: error.count for error in (await stats(server)).errors} == {
        "INVALID_FIELD": 3,
        "MODEL_NOT_FOUND": 1,
    }


async def test_what_is_in_flight_rises_and_falls(server: RunningServer) -> None:
    gate = asyncio.Event()
    server.engine().script(gate, "done")
    call = server.router.Execute(execute())
    await until(lambda: bool(server.engine().started))
    assert value(await scrape(server), "tierway_in_flight", deployment="nano@nano") == 1
    assert (await stats(server)).in_flight == 1
    gate.set()
    await call
    await server.until_idle()
    assert value(await scrape(server), "tierway_in_flight", deployment="nano@nano") == 0
    assert (await stats(server)).in_flight == 0


async def test_availability_follows_the_engine(serve: Serve) -> None:
    server = await serve(only(five_tiers(), "nano", "fast"))
    server.launcher.gate = asyncio.Event()
    server.engine("nano").death.set()
    await until(lambda: not server.process.deployments.availabilities[0].is_available)
    samples = await scrape(server)
    assert value(samples, "tierway_deployment_available", deployment="nano@nano") == 0
    assert value(samples, "tierway_deployment_available", deployment="fast@fast") == 1


async def test_the_start_is_told(server: RunningServer) -> None:
    reply = await stats(server)
    assert reply.start_time.seconds > 1_700_000_000
    assert (await stats(server)).start_time == reply.start_time


async def test_no_label_carries_an_id_of_a_request(server: RunningServer) -> None:
    await server.router.Execute(execute(request_id="needle-1"), metadata=(("tierway-tenant", "needle-2"),))
    await refused(server.router.Route(route(force_model="needle-3")))
    assert "needle" not in (await server.http.get("/metrics")).text

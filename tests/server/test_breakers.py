"""Circuit breakers: what counts against a deployment, how it is given a rest, and how it comes back."""

import asyncio

import grpc
import pytest

from tests.server.asking import execute, route
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.granting import HOUR_S, granting, standing_of
from tests.server.refusal import refused
from tests.server.running import RunningServer, until
from tests.server.scrape import scrape, value
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_server.errors import ContextTooLongError, EngineLostError, InvalidRequestError, StreamBrokenError
from tierway_server.telemetry import semconv

ALONE = execute(allow_fallback=False)
CLOSED, OPEN = rpc.BREAKER_STATE_CLOSED, rpc.BREAKER_STATE_OPEN


def breaking(*names: str, **breaker: object) -> dict[str, object]:
    """These models, with breakers that open at the second failure and stay so as long as a test lasts."""
    stated = {"error_share": 0.5, "min_requests": 2, "window_s": HOUR_S, "open_s": HOUR_S, "probes": 1, **breaker}
    return granting(only(five_tiers(), *names), breaker=stated)


async def fail(server: RunningServer, times: int = 2) -> None:
    """Have `nano` fail so often."""
    for _ in range(times):
        server.engine().script(EngineLostError("gone"))
        await refused(server.router.Execute(ALONE))


async def state_of(server: RunningServer) -> int:
    return (await standing_of(server)).breaker


async def test_what_fails_too_often_is_left_out_and_the_decision_says_so(serve: Serve) -> None:
    server = await serve(breaking("nano", "fast"))
    await fail(server)
    decision = (await server.router.Route(route())).decision
    assert decision.model == "fast"
    assert [reason.subject for reason in decision.reasons if reason.code == pb.REASON_CODE_FILTERED_BREAKER] == [
        "nano@nano"
    ]
    assert list(decision.fallback_chain) == []
    assert await state_of(server) == OPEN
    assert value(await scrape(server), semconv.BREAKER, deployment="nano@nano") == OPEN
    assert value(await scrape(server), semconv.BREAKER, deployment="fast@fast") == CLOSED


async def test_one_failure_is_not_too_often(serve: Serve) -> None:
    server = await serve(breaking("nano"))
    await fail(server, 1)
    assert await state_of(server) == CLOSED
    assert (await standing_of(server)).error_share > 0


async def test_a_fleet_that_rests_is_unavailable_for_now(serve: Serve) -> None:
    server = await serve(breaking("nano"))
    await fail(server)
    refusal = await refused(server.router.Execute(ALONE))
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "NO_DEPLOYMENT_AVAILABLE")
    assert refusal.info.metadata["deployment"] == "nano@nano"
    assert refusal.retry_delay_s is not None


async def test_an_answer_cut_off_counts_too(serve: Serve) -> None:
    server = await serve(breaking("nano"))
    for _ in range(2):
        server.engine().script("one", StreamBrokenError("died"))
        await refused(server.router.Execute(ALONE))
    assert await state_of(server) == OPEN


@pytest.mark.parametrize(
    "mistake", [ContextTooLongError("too long"), InvalidRequestError("it cannot do that", field="sampling")]
)
async def test_a_caller_s_mistakes_are_no_failures(serve: Serve, mistake: Exception) -> None:
    server = await serve(breaking("nano"))
    for _ in range(3):
        server.engine().script(mistake)
        await refused(server.router.Execute(ALONE))
    standing = await standing_of(server)
    assert (standing.breaker, standing.error_share) == (CLOSED, 0)


async def test_a_caller_who_leaves_is_no_failure(serve: Serve) -> None:
    server = await serve(breaking("nano"))
    for count in range(1, 4):
        server.engine().script(asyncio.Event(), "never")
        call = server.router.Execute(ALONE)
        await until(lambda count=count: len(server.engine().started) == count)
        call.cancel()
        await server.until_idle()
    assert await state_of(server) == CLOSED


async def test_an_engine_that_died_comes_back_without_a_rest(serve: Serve) -> None:
    server = await serve(breaking("nano"))
    first_life = server.engine()
    calls = []
    for _ in range(2):
        first_life.script(asyncio.Event(), "never")
        calls.append(server.router.Execute(ALONE))
    await until(lambda: len(first_life.started) == 2)
    first_life.death.set()
    for call in calls:
        assert (await refused(call)).reason == "ENGINE_LOST"
    await until(lambda: server.engine() is not first_life and server.process.deployments.is_ready)
    assert await state_of(server) == CLOSED
    await server.router.Execute(ALONE)


async def test_what_does_not_begin_within_the_caller_s_time_has_failed(serve: Serve) -> None:
    server = await serve(breaking("nano"))
    async with asyncio.timeout(10):
        while await state_of(server) == CLOSED:  # what comes to the engine when the time is nearly over is no failure
            server.engine().script(asyncio.Event(), "never")
            ask = execute(allow_fallback=False, sampling=pb.Sampling(max_tokens=1))
            call = server.router.Execute(ask, timeout=0.3)
            assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # whoever's clock is first
            await server.until_idle()
    assert await state_of(server) == OPEN
    assert len(server.engine().started) >= 2


async def test_a_probe_that_succeeds_closes_it(serve: Serve) -> None:
    server = await serve(breaking("nano", open_s=0.02))
    await fail(server)

    async def answered() -> bool:
        call = server.router.Execute(ALONE)
        return (await call.code()).name == "OK"

    async with asyncio.timeout(10):
        while not await answered():
            assert await state_of(server) != CLOSED
    assert await state_of(server) == CLOSED


async def test_a_probe_whose_caller_left_is_given_back(serve: Serve) -> None:
    server = await serve(breaking("nano", open_s=0.02))
    await fail(server)
    before = len(server.engine().started)
    server.engine().script(asyncio.Event(), "never")
    async with asyncio.timeout(10):
        while len(server.engine().started) == before:  # refused until it is due
            probe = server.router.Execute(ALONE)
            await until(lambda probe=probe: probe.done() or len(server.engine().started) > before)
    probe.cancel()
    await server.until_idle()
    await server.router.Execute(ALONE)
    assert await state_of(server) == CLOSED


async def test_a_deployment_may_have_none(serve: Serve) -> None:
    document = breaking("nano")
    document["models"][0]["deployments"][0]["breaker"] = {"enabled": False}  # type: ignore[index]
    server = await serve(document)
    await fail(server, 5)
    assert await state_of(server) == CLOSED
    await server.router.Execute(ALONE)


async def test_what_was_measured_takes_the_place_of_what_was_expected(serve: Serve) -> None:
    server = await serve(breaking("nano"))
    expected = await standing_of(server)
    assert expected.first_token_time.ToNanoseconds() == 50_000_000
    assert (expected.minute_requests, expected.minute_tokens) == (0, 0)
    reply = await server.router.Execute(ALONE)
    measured = await standing_of(server)
    assert 0 < measured.first_token_time.ToNanoseconds() != 50_000_000
    assert 0 < measured.token_time.ToNanoseconds() != 20_000_000
    assert measured.minute_requests == 1
    assert measured.minute_tokens == reply.usage.input_tokens + reply.usage.output_tokens

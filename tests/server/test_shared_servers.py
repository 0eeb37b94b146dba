"""Servers that share through a real Redis, as their callers see it: money and limits of all together, breakers, and a Redis that goes away.

They are two in this process, over scripted engines, or one of them is a server with workers.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.server.asking import execute
from tests.server.conftest import Serve
from tests.server.fleet import Document, five_tiers, only
from tests.server.granting import HOUR_S, at_once, picousd, sharing_by, standing_of
from tests.server.refusal import refused
from tests.server.running import RunningServer, until
from tests.server.several import WORKERS, lives
from tests.server.several import serving as serving_with_workers
from tests.server.several import until as until_of_processes
from tests.shared.redis_server import RedisServer
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_core import NEVER_NS, State
from tierway_server.config import parse
from tierway_server.errors import EngineLostError
from tierway_server.shared.keeper import Keeper
from tierway_server.telemetry import semconv

# "Hello there" is estimated at 3 tokens to read; nano reads at 50,000 and writes at 100,000.
TEN_TOKENS = pb.Sampling(max_tokens=10)
ESTIMATE_PICOUSD = 3 * 50_000 + 10 * 100_000
ASK = execute(sampling=TEN_TOKENS, allow_fallback=False)
PLENTY_PICOUSD = 10**9
# It reads at 2,000,000 and writes at 4,000,000, and its host counts 5 tokens to read.
PREMIUM_PICOUSD = 5 * 2_000_000 + 2 * 4_000_000
AT_ONCE = 8
BURST = 4
PATIENCE_ROUNDS = 20
"""After so many refusals in a row, a round between each two, what is left lies in leases that are too small for one more."""


@pytest.fixture
def redis_server(tmp_path: Path):
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def spending(limit_picousd: int, document: Document | None = None) -> Document:
    """A fleet where everybody is paid from one hard budget."""
    document = document or only(five_tiers(), "nano")
    document["budgets"] = {"pool": {"limit_usd": round(limit_picousd * 1e-12, 12), "low_share": 0}}
    document.setdefault("tenants", {}).setdefault("default", {})["budget"] = "pool"
    return document


def limited(document: Document) -> Document:
    """The same, where everybody is let through `BURST` times, and then no more."""
    document["limits"] = {"all": at_once(BURST)}
    document.setdefault("tenants", {}).setdefault("default", {})["limits"] = ["all"]
    return document


def quick(document: Document, folder: Path, redis: RedisServer) -> Document:
    """The same, sharing, with rounds as short as a test is patient. They wait for each other as long as a busy machine takes."""
    return sharing_by(document, folder, redis.url, sync_s=0.01, lost_after_s=1)


async def two(serve: Serve, document: Document) -> list[RunningServer]:
    """Two servers that have heard of each other, each with a lease of the budget, if there is one."""
    servers = [await serve(document) for _ in range(2)]
    await until_heard(servers)
    if "budgets" in document:
        await until(lambda: all(has_leased(server.process.state, ESTIMATE_PICOUSD) for server in servers))
    return servers


async def until_heard(servers: Sequence[RunningServer]) -> None:
    """Return when all know of all: at once, if they do at this moment."""
    await until(lambda: all(keeper_of(server).replicas == len(servers) for server in servers))


def keeper_of(server: RunningServer) -> Keeper:
    assert server.process.keeper is not None
    return server.process.keeper


def has_leased(state: State, picousd: int) -> bool:
    """Whether so much could be paid from the lease."""
    now_ns = time.monotonic_ns()
    fits = state.reserve(0, now_ns, picousd)
    if fits:
        state.settle(0, now_ns, picousd, 0)
    return fits


async def a_round(keeper: Keeper) -> None:
    """Return when it has told all that happened until now, and heard what came of it."""
    awaited = keeper.rounds["answered"] + 2
    await until(lambda: keeper.rounds["answered"] >= awaited)


def left(state: State) -> int:
    return state.remaining_picousd(0, time.monotonic_ns())


async def until_left(states: Sequence[State], awaited_picousd: int) -> None:
    """Return when all know that exactly so much is left."""
    await until(lambda: all(left(state) == awaited_picousd for state in states))


async def spend_all(server: RunningServer) -> int:
    """Ask until nothing is granted any more, and return what was paid, in pico-USD."""
    paid_picousd = refusals = 0
    while refusals < PATIENCE_ROUNDS:
        try:
            paid_picousd += picousd((await server.router.Execute(ASK)).cost_usd)
            refusals = 0
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # noqa: PT017  # each of many, and which come is open
            refusals += 1
            await a_round(keeper_of(server))
    return paid_picousd


async def test_two_servers_spend_one_budget_together_and_no_more(
    redis_server: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    limit_picousd = 60 * ESTIMATE_PICOUSD
    servers = await two(serve, quick(spending(limit_picousd), tmp_path, redis_server))
    paid_picousd = await asyncio.gather(*(spend_all(server) for server in servers))
    assert min(paid_picousd) > 0
    assert limit_picousd - 3 * ESTIMATE_PICOUSD < sum(paid_picousd) <= limit_picousd
    await until_left([server.process.state for server in servers], limit_picousd - sum(paid_picousd))


async def test_what_is_more_than_the_lease_and_not_than_the_budget_is_worth_another_try(
    redis_server: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    document = quick(spending(2 * ESTIMATE_PICOUSD), tmp_path, redis_server)
    # So little is leased beforehand that nothing can be paid from it.
    document["shared_state"] |= {"lease_share": 0.001, "sync_s": 0.05}
    server = await serve(document)
    await until(lambda: has_leased(server.process.state, 1))
    refusal = await refused(server.router.Execute(ASK))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED")
    assert refusal.detail(error_details_pb2.QuotaFailure) is not None
    assert refusal.retry_delay_s == 0.05
    for _ in range(3):  # a caller is seldom as quick as a round
        await a_round(keeper_of(server))
    await server.router.Execute(ASK)
    # The second fits no more, as its estimate is more than what the first one left: no hint, as trying again is in vain.
    server.process.state.settle(0, time.monotonic_ns(), 0, ESTIMATE_PICOUSD)
    assert (await refused(server.router.Execute(ASK))).retry_delay_s is None


async def test_what_one_server_took_of_a_limit_is_gone_for_the_other(
    redis_server: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    one, other = await two(serve, quick(limited(only(five_tiers(), "nano")), tmp_path, redis_server))
    for _ in range(BURST):
        await one.router.Execute(ASK)
    await until(lambda: other.process.state.wait_ns(0, time.monotonic_ns()) > 0)
    refusal = await refused(other.router.Execute(ASK))
    assert (refusal.reason, refusal.info.metadata["limit"]) == ("RATE_LIMITED", "all")


async def test_a_breaker_that_opens_at_one_server_opens_at_the_other(
    redis_server: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    document = quick(only(five_tiers(), "nano"), tmp_path, redis_server)
    document["breaker"] = {"error_share": 0.5, "min_requests": 2, "window_s": HOUR_S, "open_s": HOUR_S, "probes": 1}
    one, other = await two(serve, document)
    await other.router.Execute(ASK)
    for _ in range(2):
        one.engine().script(EngineLostError("gone"))
        await refused(one.router.Execute(ASK))
    await a_round(keeper_of(one))
    await a_round(keeper_of(other))
    assert (await standing_of(other)).breaker == rpc.BREAKER_STATE_OPEN
    assert (await refused(other.router.Execute(ASK))).reason == "NO_DEPLOYMENT_AVAILABLE"


async def test_without_redis_answers_go_on_with_the_share_and_are_told_when_it_is_back(
    redis_server: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    servers = await two(serve, quick(limited(spending(PLENTY_PICOUSD)), tmp_path, redis_server))
    await until_heard(servers)  # the share is one of as many as were there when Redis was
    redis_server.kill()
    await until(lambda: all(keeper_of(server).is_lost for server in servers))
    paid_picousd = 0
    for server in servers:
        ready = await server.http.get("/ready")
        assert (ready.status_code, list(ready.json())) == (200, ["status", "degraded"])
        for _ in range(BURST // 2):
            paid_picousd += picousd((await server.router.Execute(ASK)).cost_usd)
        assert (await refused(server.router.Execute(ASK))).reason == "RATE_LIMITED"
    redis_server.start()
    await until_left([server.process.state for server in servers], PLENTY_PICOUSD - paid_picousd)
    for server in servers:
        assert (await server.http.get("/ready")).json() == {"status": "ready"}
        assert (await refused(server.router.Execute(ASK))).reason == "RATE_LIMITED"


async def test_workers_share_through_their_supervisor_and_count_as_one(
    redis_server: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    document = limited(spending(PLENTY_PICOUSD, only(five_tiers(), "premium")))
    document["limits"]["all"]["burst"] = 1_000
    document["engines"]["premium"]["queue_size"] = 1_000
    document = quick(document, tmp_path, redis_server)
    document["shared_state"]["lost_after_s"] = 5  # many processes on few cores
    other = await serve(document)
    document["server"]["workers"] = WORKERS
    async with serving_with_workers(parse(document)) as many:
        supervisor = many.supervisor
        assert supervisor.keeper is not None
        states = [supervisor.state, other.process.state]
        await until_of_processes(lambda: keeper_of(other).replicas == supervisor.keeper.replicas == 2)
        clients = await many.routers()
        # All at once, from one lease: without a round in between, it pays for no more than it has.
        await until_of_processes(lambda: all(has_leased(each, AT_ONCE * PREMIUM_PICOUSD) for each in states))
        some_of_each = [clients[0], clients[-1]] * (AT_ONCE // 2)
        asked = [client.Execute(execute(sampling=pb.Sampling(max_tokens=2))) for client in some_of_each]
        outcomes = [*await asyncio.gather(*asked), await other.router.Execute(ASK)]
        paid_picousd = sum(picousd(reply.cost_usd) for reply in outcomes)
        await until_left(states, PLENTY_PICOUSD - paid_picousd)
        assert await many.metric(semconv.SHARED_REPLICAS) == 2
        assert (await many.http.get("/ready")).json() == {"status": "ready"}

        redis_server.kill()
        await until_of_processes(lambda: supervisor.keeper.is_lost)
        ready = await many.http.get("/ready")
        assert ready.status_code == 200
        assert ready.json()["degraded"].startswith("shared state: Redis has not answered for ")
        assert await many.metric(semconv.SHARED_LOST) == 1

        # Who starts now has a part of each limit, as all the others, and not what the configuration says.
        os.kill(many.pid("worker 0"), signal.SIGKILL)
        await until_of_processes(lambda: lives(many, 0) == 2)
        await many.until_served()
        assert supervisor.state.wait_ns(0, time.monotonic_ns(), 500) < NEVER_NS
        assert supervisor.state.wait_ns(0, time.monotonic_ns(), 501) == NEVER_NS
        client = await many.router()
        paid_picousd += picousd((await client.Execute(execute(sampling=pb.Sampling(max_tokens=2)))).cost_usd)

        redis_server.start()
        await until_of_processes(lambda: not supervisor.keeper.is_lost and not keeper_of(other).is_lost)
        await until_left(states, PLENTY_PICOUSD - paid_picousd)
    # Its lease went back with its last process; what it spent stays spent.
    await until(lambda: left(other.process.state) == PLENTY_PICOUSD - paid_picousd)

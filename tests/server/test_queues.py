"""Overload, through a whole server: who waits, who goes on to another, who is refused and with which words, and that nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.asking import execute
from tests.server.conftest import Serve
from tests.server.fleet import Document, five_tiers, only
from tests.server.granting import of, stats_of
from tests.server.refusal import refused
from tests.server.running import RunningServer, serving, until
from tests.server.scrape import scrape, value
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway.v1.admin_service_pb2 import BreakerSetting, ResetStatsRequest, SetBreakerRequest
from tierway.v1.admin_service_pb2_grpc import AdminServiceStub
from tierway_server.telemetry import semconv

INTERACTIVE, NORMAL, BATCH = pb.PRIORITY_INTERACTIVE, pb.PRIORITY_NORMAL, pb.PRIORITY_BATCH
PLACES = 2
"""One that runs, one at hand."""


def narrow(*names: str, waiting: int = 16, **queue: Any) -> Document:
    """Engines that run one request each, and a queue in front of them."""
    document = only(five_tiers(), *(names or ("nano",)))
    for engine in document["engines"].values():
        engine |= {"max_num_seqs": 1, "queue_size": waiting + 1}
    return document | {"queue": queue}


class Crowd:
    """Callers of a server whose engine is busy until it is told otherwise."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.gate = asyncio.Event()
        self.order: list[str] = []
        self.calls: list[asyncio.Task[None]] = []

    async def busy(self, *names: str) -> None:
        """Take all places of some engines, until the gate opens."""
        for name in names or ("nano",):
            for _ in range(PLACES):
                self.server.engine(name).script(self.gate, "busy")
                self.comes("busy", force_model=name)
            await until(lambda name=name: len(self.server.engine(name).running) == PLACES)  # type: ignore[misc]

    def comes(self, name: str, tenant: str = "", timeout: float = 30.0, **preferences: Any) -> asyncio.Task[None]:
        """Somebody asks; its name is noted when its answer has begun."""

        async def call() -> None:
            options = of(tenant) if tenant else {}
            await self.server.router.Execute(execute(**preferences), timeout=timeout, **options)
            self.order.append(name)

        task = asyncio.create_task(call())
        self.calls.append(task)
        return task

    async def waits(self, name: str, tenant: str = "", **preferences: Any) -> asyncio.Task[None]:
        """Somebody asks, and stands in the queue."""
        before = self.waiting
        task = self.comes(name, tenant, **preferences)
        await until(lambda: self.waiting == before + 1)
        return task

    @property
    def waiting(self) -> int:
        return sum(number for *_, number in self.server.process.queues.depths())

    async def served(self) -> list[str]:
        """Who was served after those who kept it busy, in order; one at a time, so that they are served as they are let in."""
        self.gate.set()
        await asyncio.gather(*self.calls)
        return [name for name in self.order if name != "busy"]


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    async with serving(narrow()) as server:
        yield Crowd(server)


async def test_who_finds_no_place_waits_and_is_answered(crowd: Crowd) -> None:
    await crowd.busy()
    await crowd.waits("one")
    assert len(crowd.server.engine().started) == PLACES
    assert await crowd.served() == ["one"]
    samples = await scrape(crowd.server)
    labels = {"deployment": "nano@nano", "lane": "normal"}
    assert value(samples, f"{semconv.QUEUE_WAIT_SECONDS}_count", **labels) == 1
    assert value(samples, semconv.QUEUE_DEPTH, **labels) == 0
    await crowd.server.until_idle()


async def test_the_metrics_say_how_many_wait_by_lane(crowd: Crowd) -> None:
    await crowd.busy()
    await crowd.waits("batch", priority=BATCH)
    await crowd.waits("batch", priority=BATCH)
    await crowd.waits("urgent", priority=INTERACTIVE)
    samples = await scrape(crowd.server)
    depths = {
        lane: value(samples, semconv.QUEUE_DEPTH, deployment="nano@nano", lane=lane)
        for lane in ("interactive", "normal", "batch")
    }
    assert depths == {"interactive": 1, "normal": 0, "batch": 2}
    await crowd.served()


def told(stats: rpc.GetStatsResponse) -> dict[str, tuple[int, int]]:
    """How many wait in each lane of the engine, and how many were shed, as GetStats tells it."""
    [standing] = stats.deployments
    return {pb.Priority.Name(lane.priority): (lane.waiting, lane.shed) for lane in standing.lanes}


async def test_get_stats_says_who_waits_and_who_was_shed_and_a_reset_forgets_the_latter() -> None:
    async with serving(narrow(waiting=2)) as server:
        crowd, admin = Crowd(server), AdminServiceStub(server.admin_channel)
        await crowd.busy()
        await crowd.waits("batch", priority=BATCH)
        await crowd.waits("urgent", priority=INTERACTIVE)
        await refused(server.router.Execute(execute(priority=BATCH)))
        lanes = {"PRIORITY_INTERACTIVE": (1, 0), "PRIORITY_NORMAL": (0, 0), "PRIORITY_BATCH": (1, 1)}
        assert told(await stats_of(server)) == lanes
        await admin.ResetStats(ResetStatsRequest())
        assert told(await stats_of(server)) == lanes | {"PRIORITY_BATCH": (1, 0)}
        held = await admin.SetBreaker(
            SetBreakerRequest(deployment="nano@nano", setting=BreakerSetting.BREAKER_SETTING_CLOSED)
        )
        assert [lane.waiting for lane in held.deployment.lanes] == [1, 0, 1]
        await crowd.served()


async def test_the_more_urgent_are_served_before_the_others(crowd: Crowd) -> None:
    await crowd.busy()
    for lane, priority in (("batch", BATCH), ("normal", NORMAL), ("interactive", INTERACTIVE)):
        for _ in range(3):
            await crowd.waits(lane, priority=priority)
    order = await crowd.served()
    assert order[:4].count("interactive") >= 2
    assert order[-1] == "batch"
    assert sorted(order) == sorted(["batch", "normal", "interactive"] * 3)


async def test_a_priority_of_the_metadata_counts_too(crowd: Crowd) -> None:
    await crowd.busy()
    crowd.calls.append(
        asyncio.ensure_future(
            crowd.server.router.Execute(execute(), timeout=30, metadata=(("tierway-priority", "batch"),))
        )
    )
    await until(lambda: crowd.waiting == 1)
    assert ("nano@nano", "batch", 1) in list(crowd.server.process.queues.depths())
    await crowd.served()


async def test_a_tenant_that_floods_the_queue_leaves_the_others_their_turns(crowd: Crowd) -> None:
    await crowd.busy()
    for _ in range(10):
        await crowd.waits("flood", tenant="flood")
    for _ in range(3):
        await crowd.waits("quiet", tenant="quiet")
    order = await crowd.served()
    # Turn by turn: the quiet one's are through when as many of the other's are, give or take the two that are under way at once.
    assert max(place for place, name in enumerate(order) if name == "quiet") <= 7


async def test_who_leaves_while_it_waits_leaves_nothing(crowd: Crowd) -> None:
    await crowd.busy()
    leaver = await crowd.waits("leaves")
    await crowd.waits("stays")
    leaver.cancel()
    await until(lambda: crowd.waiting == 1)
    crowd.calls.remove(leaver)
    assert await crowd.served() == ["stays"]
    await crowd.server.until_idle()


class TestRefusals:
    """Who is refused hears that it was the queue, and when to come again."""

    @pytest.fixture
    async def crowd(self) -> AsyncIterator[Crowd]:
        async with serving(narrow(waiting=1)) as server:
            yield Crowd(server)

    async def test_a_full_queue_refuses(self, crowd: Crowd) -> None:
        await crowd.busy()
        await crowd.waits("one")
        refusal = await refused(crowd.server.router.Execute(execute()))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "QUEUE_FULL")
        assert refusal.info.metadata["shed"] == "full"
        assert refusal.retry_delay_s
        assert refusal.trailers["grpc-retry-pushback-ms"] == str(round(refusal.retry_delay_s * 1000))
        samples = await scrape(crowd.server)
        assert value(samples, semconv.QUEUE_SHED, deployment="nano@nano", lane="normal", reason="full") == 1
        await crowd.served()

    async def test_who_waits_makes_room_for_the_more_urgent(self, crowd: Crowd) -> None:
        await crowd.busy()
        call = crowd.server.router.Execute(execute(priority=BATCH))
        await until(lambda: crowd.waiting == 1)
        crowd.comes("urgent", priority=INTERACTIVE)
        refusal = await refused(call)
        assert (refusal.reason, refusal.info.metadata["shed"]) == ("QUEUE_FULL", "displaced")
        assert await crowd.served() == ["urgent"]

    async def test_what_cannot_be_answered_in_time_any_more_is_refused_at_once(self, serve: Serve) -> None:
        document = narrow()
        document["models"][0]["deployments"][0]["expected_latency_s"] = 20
        crowd = Crowd(await serve(document))
        await crowd.busy()
        refusal = await refused(crowd.server.router.Execute(execute(), timeout=25))
        assert (refusal.reason, refusal.info.metadata["shed"]) == ("QUEUE_FULL", "deadline")
        # Two places, each held for twenty seconds.
        assert float(refusal.info.metadata["predicted_wait_seconds"]) == pytest.approx(10)
        assert refusal.retry_delay_s == pytest.approx(10)
        assert len(crowd.server.engine().started) == PLACES
        await crowd.served()

    @pytest.mark.parametrize(("priority", "lane"), [(INTERACTIVE, "interactive"), (NORMAL, "normal"), (BATCH, "batch")])
    async def test_who_has_waited_for_as_long_as_its_lane_may_is_refused(
        self, serve: Serve, priority: pb.Priority, lane: str
    ) -> None:
        longest = dict.fromkeys(("interactive", "normal", "batch"), 60.0) | {lane: 0.01}
        crowd = Crowd(await serve(narrow(max_wait_s=longest)))
        await crowd.busy()
        refusal = await refused(crowd.server.router.Execute(execute(priority=priority)))
        assert (refusal.reason, refusal.info.metadata["shed"]) == ("QUEUE_FULL", "age")
        await crowd.served()


class TestChain:
    """Whether to wait for the first choice or to go on."""

    async def asked(self, serve: Serve, patience_s: float, *busy: str) -> tuple[Crowd, asyncio.Task[Any]]:
        patience = dict.fromkeys(("interactive", "normal", "batch"), patience_s)
        crowd = Crowd(await serve(narrow("nano", "fast", first_choice_wait_s=patience)))
        await crowd.busy(*busy)
        return crowd, asyncio.ensure_future(crowd.server.router.Execute(execute(), timeout=30))

    async def test_it_goes_on_to_another_that_has_a_place(self, serve: Serve) -> None:
        crowd, asked = await self.asked(serve, 0.0, "nano")
        reply = await asked
        assert [(each.model, each.reason) for each in reply.attempts] == [("nano", "QUEUE_FULL"), ("fast", "")]
        await crowd.served()

    async def test_it_waits_where_the_wait_is_short(self, serve: Serve) -> None:
        crowd, asked = await self.asked(serve, 60.0, "nano")
        await until(lambda: crowd.waiting == 1)
        await crowd.served()
        assert [each.model for each in (await asked).attempts] == ["nano"]

    async def test_it_waits_where_no_other_has_a_place(self, serve: Serve) -> None:
        crowd, asked = await self.asked(serve, 0.0, "nano", "fast")
        await until(lambda: crowd.waiting == 1)
        await crowd.served()
        assert [each.model for each in (await asked).attempts] == ["nano"]


async def test_an_engine_that_dies_sends_those_away_who_wait_for_it(crowd: Crowd) -> None:
    await crowd.busy()
    call = crowd.server.router.Execute(execute())
    await until(lambda: crowd.waiting == 1)
    crowd.server.engine().death.set()
    refusal = await refused(call)
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "NOT_READY")
    await asyncio.gather(*crowd.calls, return_exceptions=True)
    await until(lambda: crowd.waiting == 0 and crowd.server.in_flight == 0)

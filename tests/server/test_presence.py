"""Whether a server is there that asks for no credential."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.upstream import End, Reply, document, upstream
from tierway_server.backends import presence
from tierway_server.backends.base import Availability
from tierway_server.backends.http_pool import PoolLimits, http_pool

LIMITS = PoolLimits(connect_timeout_s=1.0, idle_timeout_s=1.0, max_connections=2, http2=False)


class Watching:
    """A watch, and what it tells; it sleeps until it is told to wake."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Availability] = asyncio.Queue()
        self.slept_s: list[float] = []
        self.wake = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await self.wake.wait()
        self.wake.clear()

    async def again(self) -> Availability:
        """What the next question comes to."""
        self.wake.set()
        return await self.told.get()


@pytest.fixture
async def provider():
    async with upstream(document({"data": []})) as provider:
        yield provider


@pytest.fixture
async def watching(provider):
    watching = Watching()
    base_url = f"{provider.base_url}/v1"
    async with http_pool(base_url, LIMITS).client as client:
        task = asyncio.create_task(presence.watch_server(client, base_url, watching.told.put, watching.sleep))
        yield watching
        task.cancel()
        await asyncio.wait((task,))


async def test_a_server_that_answers_is_there(watching, provider):
    assert await watching.told.get() == Availability(True)
    assert (provider.asked[0].method, provider.asked[0].path) == ("GET", "/v1/models")


@pytest.mark.parametrize("status", [200, 401, 404])
async def test_any_answer_will_do(watching, provider, status):
    await watching.told.get()
    provider.answer = lambda _: document({}, status)
    assert (await watching.again()).is_available


async def test_a_server_that_loads_its_model_is_not_ready(watching, provider):
    await watching.told.get()
    provider.answer = lambda _: document({"error": "Loading model"}, 503)
    assert await watching.again() == Availability(False, f"no server: {provider.base_url}/v1 is not ready (503)")


async def test_a_server_that_goes_and_comes_back_is_asked_more_and_more_seldom_meanwhile(watching, provider):
    await watching.told.get()
    good = provider.answer
    provider.answer = lambda _: Reply(before=(End.CUT,))
    for _ in range(8):
        assert await watching.again() == Availability(False, f"no server: nothing answers at {provider.base_url}/v1")
    provider.answer = good
    assert await watching.again() == Availability(True)
    assert watching.slept_s[:9] == [15.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


async def test_a_server_that_is_silent_is_not_there(watching, provider, monkeypatch):
    await watching.told.get()
    monkeypatch.setattr(presence, "_ANSWER_S", 0.02)
    provider.answer = lambda _: Reply(before=(End.HANG,))
    assert await watching.again() == Availability(False, f"no server: {provider.base_url}/v1 does not answer")

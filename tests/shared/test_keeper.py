import asyncio
import logging
import os
import signal
from collections.abc import Callable

import pytest

from tests.shared.redis_server import RedisServer
from tests.shared.replicas import Replica, fail, replicas, table


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110  # what is waited for is a state, which nobody announces
            await asyncio.sleep(0.001)


async def until_lost(*all_: Replica) -> None:
    async with asyncio.timeout(10):
        while not all(replica.keeper.is_lost for replica in all_):
            for replica in all_:
                await replica.keeper.round()


async def test_a_redis_that_hangs_is_lost_in_bounded_time(server: RedisServer):
    async with replicas(server.url, table(), 1) as [replica]:
        await replica.answered_round()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await until_lost(replica)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert replica.keeper.rounds["answered"] == 1


async def test_rounds_that_a_hung_redis_runs_after_later_ones_change_nothing(server: RedisServer):
    async with replicas(server.url, table(), 1) as [replica]:
        os.kill(server.pid, signal.SIGSTOP)
        for _ in range(3):  # each on a connection of its own, and none is answered
            assert not await replica.keeper.round()
        os.kill(server.pid, signal.SIGCONT)
        async with asyncio.timeout(10):
            while not replica.holds_lease:
                await replica.keeper.round()
        assert replica.keeper.replicas == 1


async def test_losing_redis_is_said_once_and_its_return_once(server: RedisServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    async with replicas(server.url, table(), 1) as [replica]:
        await replica.answered_round()
        assert replica.keeper.degraded == ""
        server.kill()
        await until_lost(replica)
        await replica.keeper.round()
        assert replica.keeper.degraded.startswith("shared state: Redis has not answered for ")
        server.start()
        await replica.answered_round()
        await replica.answered_round()
        assert replica.keeper.degraded == ""
    said = [record.getMessage() for record in caplog.records if record.name.startswith("tierway")]
    assert said == ["Redis is lost: going on with leases and a share of each limit", "Redis is back"]


async def test_what_cannot_be_given_back_is_said(server: RedisServer, caplog: pytest.LogCaptureFixture):
    async with replicas(server.url, table(), 1) as [replica]:
        await replica.answered_round()
        server.kill()
    assert "leases could not be given back: they count as spent" in caplog.text
    assert replica.keeper.rounds["answered"] == 1


async def test_a_url_is_never_told(server: RedisServer, caplog: pytest.LogCaptureFixture):
    server.kill()
    async with replicas("redis://someone:secret@127.0.0.1:1", table(), 1) as [replica]:
        await until_lost(replica)
        told = replica.keeper.degraded + caplog.text
    assert "secret" not in told
    assert "someone" not in told


async def test_scripts_that_redis_forgot_are_loaded_again(server: RedisServer):
    async with replicas(server.url, table(), 1) as [replica]:
        await replica.answered_round()
        with server.client() as client:
            client.script_flush()
        assert not await replica.keeper.round()
        await replica.answered_round()


async def test_the_replicas_that_are_alive_are_counted(server: RedisServer):
    async with replicas(server.url, table(), 3) as [one, *others]:
        async with asyncio.timeout(10):
            while one.keeper.replicas < 3:
                for replica in (*others, one):
                    await replica.keeper.round()
            while one.keeper.replicas > 1:
                await one.keeper.round()


async def test_running_keeps_in_step_until_cancelled(server: RedisServer):
    async with replicas(server.url, table(), 1) as [replica]:
        running = asyncio.create_task(replica.keeper.run())
        await until(lambda: replica.holds_lease)
        server.kill()
        await until(lambda: replica.keeper.is_lost)
        server.start()
        await until(lambda: not replica.keeper.is_lost)
        running.cancel()
        assert [type(each) for each in await asyncio.gather(running, return_exceptions=True)] == [
            asyncio.CancelledError
        ]


async def test_keys_that_nobody_writes_any_more_go_but_for_money_without_a_period(server: RedisServer):
    async with replicas(server.url, table(), 1) as [replica]:
        fail(replica)
        await replica.answered_round()
        with server.client() as client:
            ttls = {key: client.ttl(key) for key in client.scan_iter()}
    assert ttls.pop("{test}:budget:b") == -1
    assert sorted(ttls) == [
        "{test}:breakers",
        "{test}:limit:l",
        "{test}:limit:provider:p",
        "{test}:replicas",
        "{test}:usage",
    ]
    assert all(0 < ttl <= 86_400 for ttl in ttls.values())


def test_a_url_that_is_none_is_refused_at_once():
    shared = table()
    with pytest.raises(ValueError, match="scheme"):
        Replica("localhost:6379", shared)

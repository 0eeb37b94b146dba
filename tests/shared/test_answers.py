"""Kept answers in a real Redis: for all replicas, for their time, and never waited for when it does not answer."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.server.asking import execute
from tests.server.fleet import Document, five_tiers, only
from tests.server.granting import sharing_by
from tests.server.running import serving
from tests.shared.redis_server import RedisServer
from tierway_server.app import Process
from tierway_server.config import ConfigError, parse
from tierway_server.shared.answers import REST_S, RedisAnswers
from tierway_server.telemetry.families import collect
from tierway_server.telemetry.metrics import Metrics

KEY = bytes(range(32))


@asynccontextmanager
async def answers(
    url: str,
    metrics: Metrics | None = None,
    *,
    namespace: str = "n",
    timeout_s: float = 10.0,
    clock: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[RedisAnswers]:
    store = RedisAnswers(url, namespace, timeout_s, metrics or Metrics(), clock)
    try:
        yield store
    finally:
        await store.close()


def failures(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["operation"]: sample.value
        for family in collect([metrics.registry])
        for sample in family.samples
        if sample.name == "tierway_cache_failures_total"
    }


async def test_what_one_replica_keeps_the_others_find_and_other_namespaces_do_not(server: RedisServer) -> None:
    async with (
        answers(server.url) as one,
        answers(server.url) as other,
        answers(server.url, namespace="m") as stranger,
    ):
        assert await other.get(KEY) is None
        await one.put(KEY, b"\x00entry\xff", 60.0)
        assert await other.get(KEY) == b"\x00entry\xff"
        assert await stranger.get(KEY) is None


async def test_redis_itself_forgets_an_answer_when_its_time_is_over(server: RedisServer) -> None:
    async with answers(server.url) as store:
        await store.put(KEY, b"entry", 60.0)
    with redis.Redis.from_url(server.url) as client:
        [name] = client.keys()
        assert 30_000 < client.pttl(name) <= 60_000


async def test_an_answer_that_does_not_come_in_time_is_not_kept_and_redis_is_left_alone_for_a_while(
    server: RedisServer,
) -> None:
    now_s, metrics = 0.0, Metrics()
    async with answers(server.url, metrics, timeout_s=0.02, clock=lambda: now_s) as store:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert await store.get(KEY) is None
            assert await store.get(KEY) is None
            await store.put(KEY, b"entry", 60.0)
            assert failures(metrics) == {"get": 1}
            now_s = REST_S
            await store.put(KEY, b"entry", 60.0)
            assert failures(metrics) == {"get": 1, "put": 1}
        finally:
            os.kill(server.pid, signal.SIGCONT)


async def test_a_redis_that_was_lost_is_used_again_when_it_is_back(server: RedisServer) -> None:
    now_s, metrics = 0.0, Metrics()
    async with answers(server.url, metrics, clock=lambda: now_s) as store:
        await store.put(KEY, b"entry", 60.0)
        server.kill()
        assert await store.get(KEY) is None
        server.start()
        now_s = REST_S
        assert await store.get(KEY) == b"entry"
        assert failures(metrics) == {"get": 1}


def caching(folder: Path, url: str, **cache: Any) -> Document:
    """A server of one tier that keeps all answers in Redis."""
    document = sharing_by(only(five_tiers(), "nano"), folder, url)
    return document | {"cache": {"enabled": True, "where": "redis", "default_age_s": 60.0, "timeout_s": 10, **cache}}


async def test_two_servers_of_one_configuration_share_their_answers(server: RedisServer, tmp_path: Path) -> None:
    document = caching(tmp_path, server.url)
    async with serving(document) as one, serving(document) as other:
        first, second = await one.router.Execute(execute()), await other.router.Execute(execute())
        assert (first.cached, second.cached) == (False, True)
        assert first.text == second.text
        assert not other.engine().started


async def test_a_server_of_another_configuration_does_not_take_its_answers(server: RedisServer, tmp_path: Path) -> None:
    document = caching(tmp_path, server.url)
    changed = caching(tmp_path, server.url)
    changed["routing"]["default_max_tokens"] = 64
    async with serving(document) as one, serving(changed) as other:
        await one.router.Execute(execute())
        assert not (await other.router.Execute(execute())).cached


async def test_without_redis_answers_come_all_the_same(server: RedisServer, tmp_path: Path) -> None:
    async with serving(caching(tmp_path, server.url)) as one:
        server.kill()
        replies = [await one.router.Execute(execute()) for _ in range(2)]
        assert [reply.cached for reply in replies] == [False, False]
        assert all(reply.text for reply in replies)


def test_redis_needs_the_section_that_says_where_it_is() -> None:
    document = only(five_tiers(), "nano") | {"cache": {"enabled": True, "where": "redis"}}
    with pytest.raises(ConfigError, match=r"cache\.where.*shared_state"):
        Process(parse(document), {})

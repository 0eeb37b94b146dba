"""What failures leave behind in a server: nothing. Cancellation reaches the provider's connection."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import grpc

from tests.faults import openai_events as events
from tests.faults.faulty import Faulty, Row, good
from tests.faults.matrix import configuration
from tests.faults.upstream import Asked, End, Reply, upstream
from tests.server.running import serving, until
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2

ROUNDS = 6


def failing() -> itertools.cycle[Reply]:
    """One failure after another."""
    first = tuple(itertools.islice(events.events(), 2))
    replies = (
        events.stream(),
        events.error(500, "server_error"),
        Reply(steps=(*first, End.CUT)),
        Reply(steps=(*first, End.RESET)),
        Reply(steps=(*first, b"data: {\n\n")),
        Reply(content_type="text/html", steps=(b"<html>",)),
        Reply(steps=()),
    )
    return itertools.cycle(replies)


def asking(number: int) -> rpc.StreamRequest:
    query = types_pb2.Query(prompt=f"{number}: which town is the capital of France?")
    return rpc.StreamRequest(query=query, sampling=types_pb2.Sampling(max_tokens=8))


async def test_no_task_and_no_slot_is_left_of_answers_that_failed(tmp_path: Path) -> None:
    replies = failing()
    row = Row(name="all of them", when="", wires={})
    async with upstream(lambda _: next(replies)) as bad, upstream(good) as well:
        document = configuration(tmp_path, Faulty(f"{bad.base_url}/v1", lambda: 0), row, f"{well.base_url}/v1")
        document["breaker"] = {"enabled": False}
        async with serving(document) as server:
            await server.stream(asking(0))
            await server.until_idle()

            def of_the_server() -> int:
                # A connection that a pool keeps has a task here, in the provider.
                return len(asyncio.all_tasks()) - bad.living - well.living

            before = of_the_server()
            for number in range(ROUNDS):
                await asyncio.gather(*(server.stream(asking(number)) for _ in range(7)))
            await server.until_idle()
            await until(lambda: of_the_server() <= before)


async def test_a_caller_that_leaves_ends_the_providers_connection(tmp_path: Path) -> None:
    def endless(_: Asked) -> Reply:
        return Reply(steps=(*itertools.islice(events.events(), 2), End.HANG))

    row = Row(name="hangs", when="", wires={})
    async with upstream(endless) as provider:
        document = configuration(tmp_path, Faulty(f"{provider.base_url}/v1", lambda: 0), row, None)
        async with serving(document) as server:
            call = server.router.Stream(asking(0))
            async for event in call:
                if event.HasField("delta"):
                    break
            assert provider.living == 1
            call.cancel()
            await until(lambda: provider.living == 0)
            assert provider.hung_up == 1
            await server.until_idle()
            assert await call.code() is grpc.StatusCode.CANCELLED

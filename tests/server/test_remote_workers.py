"""Remote models behind several processes: each asks for itself."""

from __future__ import annotations

from typing import Any

import grpc

from tests.faults import openai_events as openai
from tests.faults.upstream import document, upstream
from tests.server.asking import execute
from tests.server.remote import remote_fleet
from tests.server.several import WORKERS, serving, total, until
from tierway_server.config import parse
from tierway_server.telemetry import semconv


async def test_remote_models_are_asked_by_every_worker_itself() -> None:
    async with upstream(lambda asked: openai.good(asked) if asked.body else document({"data": []})) as provider:
        fleet = remote_fleet(f"{provider.base_url}/v1", kind="llamacpp", api_key=None)
        fleet["server"]["workers"] = WORKERS
        async with serving(parse(fleet)) as server:
            for client in await server.routers():
                await until(lambda client=client: _answers(client))  # each worker finds out by itself who is there
            counted = [total(await server.counts(worker), semconv.ANSWERS) for worker in range(WORKERS)]
            assert min(counted) > 0


async def _answers(client: Any) -> bool:
    try:
        reply = await client.Execute(execute())
    except grpc.aio.AioRpcError:
        return False
    return bool(reply.text == "Paris it is.")

"""Remote models behind several processes: each asks for itself."""

from __future__ import annotations

import os
import signal
from typing import Any

import grpc
import pytest

from tests.faults import openai_events as openai
from tests.faults.upstream import document, upstream
from tests.server.asking import execute
from tests.server.config.vault_server import running_vault
from tests.server.remote import KEY, remote_fleet
from tests.server.several import WORKERS, lives, serving, total, until
from tierway_server.config import parse
from tierway_server.telemetry import semconv


async def test_remote_models_are_asked_by_every_worker_itself() -> None:
    async with upstream(lambda asked: openai.good(asked) if asked.body else document({"data": []})) as provider:
        fleet = remote_fleet(f"{provider.base_url}/v1", kind="llamacpp", api_key=None)
        fleet["server"]["workers"] = WORKERS
        async with serving(parse(fleet)) as server:
            for client in await server.routers():
                # The supervisor has found out who is there, which is enough for workers that have not yet.
                assert await _answers(client)
            counted = [total(await server.counts(worker), semconv.ANSWERS) for worker in range(WORKERS)]
            assert min(counted) > 0


async def test_vault_is_asked_once_and_not_again_by_a_worker_that_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_vault() as vault:
        vault.secrets["kv/upstream"] = {"key": KEY}
        for name, value in vault.environ.items():
            monkeypatch.setenv(name, value)
        async with upstream(openai.good) as provider:
            fleet = remote_fleet(f"{provider.base_url}/v1", api_key="vault:kv/upstream#key")
            fleet["server"]["workers"] = WORKERS
            async with serving(parse(fleet)) as server:
                vault.status = 503
                life = lives(server, 0)
                os.kill(server.pid("worker 0"), signal.SIGKILL)
                await until(lambda: lives(server, 0) > life)
                await server.until_served()
                for client in await server.routers():
                    assert await _answers(client)
            assert {asked.headers["authorization"] for asked in provider.asked} == {f"Bearer {KEY}"}
        assert vault.asked == ["sys/internal/ui/mounts/kv/upstream", "kv/upstream"]


async def _answers(client: Any) -> bool:
    try:
        reply = await client.Execute(execute())
    except grpc.aio.AioRpcError:
        return False
    return bool(reply.text == "Paris it is.")

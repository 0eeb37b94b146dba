"""An engine whose process is there and does nothing: stopped here, as a driver or a collective operation that never returns would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.e2e.conftest import one_tier
from tests.e2e.serving import Server, eventually
from tierway_client import AsyncClient, Delta, InternalError, Sampling, Started

ENDLESS = Sampling(max_tokens=8000, temperature=0.0)
IDLE_TIMEOUT_S = 8.0


@pytest.fixture
def server(tiny_folder: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of one tiny engine that may be silent for seconds only."""
    path = tmp_path / "tierway.yaml"
    path.write_text(yaml.safe_dump(one_tier(tiny_folder, {"idle_timeout_s": IDLE_TIMEOUT_S})))
    server = Server.start(path, tmp_path / "log")
    try:
        yield server
    finally:
        server.kill()


async def test_an_engine_that_hangs_is_ended_and_started_again(server: Server) -> None:
    before = server.engine_processes()
    [core] = server.engine_processes("VLLM::EngineCore")
    async with AsyncClient(server.target, max_attempts=1) as client:
        async with client.stream("Say something.", sampling=ENDLESS) as events:
            assert isinstance(await anext(events), Started)
            assert isinstance(await anext(events), Delta)
            core.suspend()
            with pytest.raises(InternalError):
                async for _ in events:
                    pass
        await eventually(lambda: _starts_again(server))
    assert '"reason": "hung"' in server.printed
    assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


async def _starts_again(server: Server) -> bool:
    return server.printed.count('"message": "engine starting"') == 2  # as after any death, which other tests wait for

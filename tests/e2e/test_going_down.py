"""How a server ends: signals, kill -9, a taken port. Whatever happens, no process is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.e2e.conftest import one_tier, two_tiers
from tests.e2e.serving import Server, eventually
from tierway_client import AsyncClient, Delta, Sampling, Started, TierwayError, UnavailableError

_STREAMS = 32
ENDLESS = Sampling(max_tokens=8000, temperature=0.0)


@pytest.fixture
def grace_s() -> float:
    """How long a drain may take."""
    return 2.5


@pytest.fixture
def config(tiny_folder: Path, tmp_path: Path, grace_s: float) -> Path:
    """One tiny engine that runs 64 requests at a time."""
    path = tmp_path / "tierway.yaml"
    path.write_text(yaml.safe_dump(one_tier(tiny_folder, {"max_num_seqs": 64}, drain_grace_s=grace_s)))
    return path


@pytest.fixture
def own_server(config: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, which it may end."""
    server = Server.start(config, tmp_path / "log")
    try:
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("to", ["the process", "the whole process group, as a terminal's Ctrl-C does"])
async def test_a_signal_drains_finishes_what_it_can_and_aborts_the_rest(own_server: Server, to: str) -> None:
    engines = own_server.engine_processes()
    assert len(engines) == 2
    async with AsyncClient(own_server.target, max_attempts=1) as client:
        begun = [asyncio.Event() for _ in range(_STREAMS)]
        # Half of them are over within the grace of 2.5 s, half would take minutes.
        lengths = [20 if index % 2 else 8000 for index in range(_STREAMS)]
        streams = [
            asyncio.create_task(_outcome(client, length, event)) for length, event in zip(lengths, begun, strict=True)
        ]
        await asyncio.gather(*(event.wait() for event in begun))

        if to == "the process":
            own_server.process.send_signal(signal.SIGTERM)
        else:
            os.killpg(own_server.process.pid, signal.SIGINT)
        await eventually(lambda: _is_draining(own_server))
        with pytest.raises(UnavailableError) as refused:
            await client.execute("Too late")
        assert refused.value.reason == "DRAINING"
        outcomes = await asyncio.gather(*streams)

    assert [outcome for outcome, length in zip(outcomes, lengths, strict=True) if length == 20] == ["finished"] * 16
    assert [outcome for outcome, length in zip(outcomes, lengths, strict=True) if length == 8000] == ["DRAINING"] * 16
    assert await asyncio.to_thread(own_server.process.wait, 30) == 0
    assert '"aborted": 16' in own_server.printed
    await eventually(lambda: _are_gone(engines))


@pytest.mark.parametrize("grace_s", [3600])
async def test_a_second_signal_ends_at_once(own_server: Server) -> None:
    engines = own_server.engine_processes()
    async with AsyncClient(own_server.target, max_attempts=1) as client:
        begun = asyncio.Event()
        stream = asyncio.create_task(_outcome(client, 8000, begun))
        await begun.wait()
        own_server.process.send_signal(signal.SIGTERM)
        await eventually(lambda: _is_draining(own_server))
        own_server.process.send_signal(signal.SIGTERM)
        assert await stream == "DRAINING"
    assert await asyncio.to_thread(own_server.process.wait, 30) == 0
    await eventually(lambda: _are_gone(engines))


async def test_a_killed_server_leaves_no_engine_behind(own_server: Server) -> None:
    engines = own_server.engine_processes()
    assert len(engines) == 2
    own_server.process.kill()
    own_server.process.wait()
    await eventually(lambda: _are_gone(engines))


def test_a_second_server_on_the_port_is_refused_and_leaves_nothing_running(
    server: Server, tiny_folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "tierway.yaml"
    config.write_text(yaml.safe_dump(two_tiers(tiny_folder)))
    before = set(psutil.Process().children(recursive=True))

    with pytest.raises(RuntimeError, match=f"cannot listen on {server.target}: the port is taken"):
        Server.start(config, tmp_path / "log", listen=server.target)

    assert set(psutil.Process().children(recursive=True)) <= before


async def _outcome(client: AsyncClient, tokens: int, begun: asyncio.Event) -> str:
    """Stream an answer; how it ended: `finished`, or the error's reason."""
    try:
        async with client.stream("Say something.", sampling=Sampling(max_tokens=tokens, temperature=0.0)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    begun.set()
                assert begun.is_set() or isinstance(event, Started)
    except TierwayError as error:
        return error.reason
    return "finished"


async def _is_draining(server: Server) -> bool:
    return '"message": "draining"' in server.printed


async def _are_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)

"""Two front ends and a real engine in a process of its own: whoever is killed, the engine is freed, and all is served again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.e2e.conftest import one_tier
from tests.e2e.serving import START_S, Server, eventually
from tierway_client import AsyncClient, Delta, Sampling, TierwayError

LONG = Sampling(max_tokens=2000, temperature=0.0)
SHORT = Sampling(max_tokens=3, temperature=0.0)
_STREAMS = 8


@pytest.fixture
def own_server(tiny_folder: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of two front ends and one tiny engine, which the test may hurt."""
    config = tmp_path / "tierway.yaml"
    config.write_text(yaml.safe_dump(one_tier(tiny_folder, workers=2)))
    server = Server.start(config, tmp_path / "log")
    try:
        yield server
    finally:
        server.kill()


async def test_a_worker_and_then_the_engines_process_are_killed_and_all_is_served_again(own_server: Server) -> None:
    workers = processes(own_server, "workers.worker")
    assert len(workers) == 2
    async with AsyncClient(own_server.target, max_attempts=1, timeout_s=60) as client:
        begun = [asyncio.Event() for _ in range(_STREAMS)]
        streams = [asyncio.create_task(_outcome(client, event)) for event in begun]
        await _all_begun(begun, streams)
        # One channel, one connection, one worker: whichever it is, the streams end with it.
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
        assert set(await asyncio.gather(*streams)) == {"UNAVAILABLE"}
    await eventually(lambda: own_server.is_idle("many"))
    await eventually(own_server.ready)
    assert len(own_server.engine_processes()) == 2  # the same engine still

    async with AsyncClient(own_server.target, max_attempts=1, timeout_s=60) as client:
        assert (await client.execute("Hi", sampling=SHORT)).usage.output_tokens == 3
        begun = [asyncio.Event()]
        stream = asyncio.create_task(_outcome(client, begun[0]))
        await _all_begun(begun, [stream])
        engines = own_server.engine_processes()
        [host] = processes(own_server, "workers.host")
        host.send_signal(signal.SIGKILL)
        assert await stream == "ENGINE_LOST"
        await eventually(lambda: _is_down(own_server))
        await eventually(lambda: _are_gone(engines))
        await eventually(own_server.ready, within_s=START_S)
        assert (await client.execute("Hi", sampling=SHORT)).usage.output_tokens == 3
    assert await own_server.stop() == 0


async def test_a_killed_supervisor_takes_everything_along(own_server: Server) -> None:
    family = psutil.Process(own_server.process.pid).children(recursive=True)
    assert len(processes(own_server, "workers.")) == 3
    assert len(own_server.engine_processes()) == 2
    own_server.process.kill()
    own_server.process.wait()
    await eventually(lambda: _are_gone(family))


def processes(server: Server, module: str) -> list[psutil.Process]:
    """The server's own processes that run such a module."""
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if f"tierway_server.{module}" in " ".join(child.cmdline())]


async def _all_begun(events: list[asyncio.Event], streams: list[asyncio.Task[str]]) -> None:
    """Return when every stream has delivered a token; fail when one ends before."""
    begun = asyncio.gather(*(event.wait() for event in events))
    done, _ = await asyncio.wait((begun, *streams), return_when=asyncio.FIRST_COMPLETED)
    assert begun in done, [stream.result() for stream in done]


async def _outcome(client: AsyncClient, begun: asyncio.Event) -> str:
    try:
        async with client.stream("Say something.", sampling=LONG) as events:
            async for event in events:
                if isinstance(event, Delta):
                    begun.set()
    except TierwayError as error:
        return error.reason or error.code.name
    return "finished"


async def _is_down(server: Server) -> bool:
    return not await server.ready()


async def _are_gone(family: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)

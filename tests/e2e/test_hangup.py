"""SIGHUP loads the calibration of a running process; without one configured it ends the process, as it ends any other."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.serving import Server, eventually
from tests.server.fleet import five_tiers, learned, only
from tests.server.judging import write_calibration, write_weights
from tierway_core.weights import Weights

Start = Callable[..., Server]


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    return write_weights(tmp_path / "sure.weights")


@pytest.fixture
def start(tmp_path: Path, weights: Weights) -> Iterator[Start]:
    """Starts a server whose one engine has no weights: who decides needs none."""
    servers = []

    def started(**classifier: object) -> Server:
        document = learned(only(five_tiers(), "fast"), weights=str(tmp_path / "sure.weights"), **classifier)
        document["engines"]["fast"]["model"] = "/nowhere"
        path = tmp_path / "tierway.yaml"
        path.write_text(yaml.safe_dump(document))
        servers.append(Server.start(path, tmp_path / "log"))
        return servers[-1]

    yield started
    for server in servers:
        server.kill()


async def test_it_loads_the_calibration_that_is_there_now(start: Start, weights: Weights, tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    write_calibration(file, weights, abilities={"fast": 1.0})
    server = start(calibration=str(file), calibration_check_s=3_600.0)
    newer = write_calibration(file, weights, abilities={"fast": 2.0})

    server.process.send_signal(signal.SIGHUP)

    async def newer_decides() -> bool:
        return await server.metric("tierway_calibration_info", calibration=newer.identity) == 1

    await eventually(newer_decides)
    assert await server.metric("tierway_calibration_loads_total", outcome="loaded") == 1
    assert await server.stop() == 0


async def test_without_a_calibration_it_ends_the_process(start: Start) -> None:
    assert await start().stop(signal.SIGHUP) == -signal.SIGHUP


def test_a_calibration_that_cannot_be_used_ends_the_start_with_one_line(start: Start, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"tierway: routing\.classifier\.calibration: /.*/absent cannot be read"):
        start(calibration=str(tmp_path / "absent"))

"""Calibrations: loaded at the start, loaded again when the file changes or somebody asks, refused when they are not valid."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.server.asking import explain, route
from tests.server.conftest import Serve
from tests.server.fleet import Document, learned
from tests.server.judging import HARD, write_calibration, write_weights
from tests.server.running import RunningServer, until
from tierway.v1 import router_service_pb2 as rpc
from tierway_core.weights import Weights
from tierway_server.app import Process
from tierway_server.config import ConfigError, parse

BEST = 1.0  # the dial


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    return write_weights(tmp_path / "sure.weights")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calibration.json"


@pytest.fixture
def document(tmp_path: Path, weights: Weights, file: Path) -> Document:
    """Five tiers by weights of the test, with a calibration that has `fast` for the best of all."""
    write_calibration(file, weights, abilities={"fast": 9.0})
    return learned(
        weights=str(tmp_path / "sure.weights"), calibration="${FOLDER}/calibration.json", calibration_check_s=0.01
    )


def expanded(document: Document, folder: Path) -> Document:
    """The same with the variable replaced: these servers have an empty environment."""
    return json.loads(json.dumps(document).replace("${FOLDER}", str(folder)))  # type: ignore[no-any-return]


def write_whole(file: Path, text: str) -> None:
    """As `save` does: whoever looks meanwhile sees no part of it, which would be another change."""
    draft = file.with_name("draft")
    draft.write_text(text)
    draft.replace(file)


async def best_for(server: RunningServer, prompt: str = HARD) -> str:
    reply = await server.router.Route(route(prompt, cost_quality=BEST))
    return str(reply.decision.model)


async def active(server: RunningServer) -> str:
    stats = await server.router.GetStats(rpc.GetStatsRequest())
    return str(stats.classifier.calibration)


async def loads(server: RunningServer, outcome: str) -> float:
    text = (await server.http.get("/metrics")).text
    [line] = [
        each for each in text.splitlines() if each.startswith(f'tierway_calibration_loads_total{{outcome="{outcome}"')
    ]
    return float(line.split()[-1])


async def until_loaded(server: RunningServer, outcome: str, count: int = 1) -> None:
    counter = server.process.metrics._calibration_loads.labels(outcome)
    await until(lambda: counter._value.get() >= count)


async def test_a_calibration_decides_from_the_start_and_is_named(
    serve: Serve, document: Document, file: Path, weights: Weights, tmp_path: Path
) -> None:
    calibration = write_calibration(file, weights, abilities={"fast": 9.0})
    server = await serve(expanded(document, tmp_path))
    assert await best_for(server) == "fast"
    assert await active(server) == calibration.identity
    metrics = (await server.http.get("/metrics")).text
    assert f'\ntierway_calibration_info{{calibration="{calibration.identity}"}} 1.0\n' in metrics
    assert await loads(server, "loaded") == await loads(server, "refused") == 0


async def test_a_changed_file_takes_over_while_serving(
    serve: Serve, document: Document, file: Path, weights: Weights, tmp_path: Path
) -> None:
    server = await serve(expanded(document, tmp_path))
    newer = write_calibration(file, weights, abilities={"balanced": 9.0})
    await until_loaded(server, "loaded")
    assert await best_for(server) == "balanced"
    assert await active(server) == newer.identity


async def test_the_gain_of_a_pair_takes_part_and_is_explained(
    serve: Serve, document: Document, file: Path, weights: Weights, tmp_path: Path
) -> None:
    server = await serve(expanded(document, tmp_path))
    write_calibration(file, weights, abilities={}, gain=-0.25)
    await until_loaded(server, "loaded")
    explained = await server.router.Explain(explain("Hello there"))
    quality = {each.model: each.expected_quality for each in explained.candidates}
    assert explained.assessment.gain == pytest.approx(-0.25)
    assert quality["expert"] == pytest.approx(quality["nano"] - 0.25)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: write_whole(file, "{"),
        lambda file: write_whole(file, file.read_text().replace('"version": 1', '"version": 99')),
        lambda file: write_whole(file, file.read_text().replace('"weights": "', '"weights": "0')),
        lambda file: write_whole(file, file.read_text().replace('"domains": {}', '"domains": {"alchemy": 1.0}')),
        lambda file: file.unlink(),
    ],
    ids=["no JSON", "another version", "other weights", "an unknown domain", "gone"],
)
async def test_a_file_that_is_not_valid_is_refused_and_the_one_before_stays(
    serve: Serve, document: Document, file: Path, weights: Weights, tmp_path: Path, damage: Any, caplog: Any
) -> None:
    server = await serve(expanded(document, tmp_path))
    before = await active(server)
    damage(file)
    await until_loaded(server, "refused")
    assert await best_for(server) == "fast"
    assert await active(server) == before
    [refused] = [record for record in caplog.records if record.message.startswith("calibration refused")]
    assert str(file) in refused.why
    # It is looked at, and not complained about, again and again; what is good again takes over.
    newer = write_calibration(file, weights, abilities={"premium": 9.0})
    await until_loaded(server, "loaded")
    assert await active(server) == newer.identity
    assert await loads(server, "refused") == 1


async def test_asking_loads_at_once_without_a_change(serve: Serve, document: Document, tmp_path: Path) -> None:
    document["routing"]["classifier"]["calibration_check_s"] = 3_600.0
    server = await serve(expanded(document, tmp_path))
    assert server.process.calibrator is not None
    server.process.calibrator.ask()
    await until_loaded(server, "loaded")


async def test_a_file_is_not_looked_at_more_often_than_configured(
    serve: Serve, document: Document, file: Path, weights: Weights, tmp_path: Path
) -> None:
    document["routing"]["classifier"]["calibration_check_s"] = 3_600.0
    server = await serve(expanded(document, tmp_path))
    before = await active(server)
    write_calibration(file, weights, abilities={"balanced": 9.0})
    for _ in range(20):
        await best_for(server)
    assert await active(server) == before


async def test_no_decision_is_made_with_parts_of_two(
    serve: Serve, document: Document, file: Path, weights: Weights, tmp_path: Path
) -> None:
    """Two calibrations that turn fast and balanced around: a mixture would have both of them bad, or both good."""
    document["routing"]["classifier"]["calibration_check_s"] = 3_600.0
    turns = [{"fast": 9.0, "balanced": -9.0}, {"fast": -9.0, "balanced": 9.0}]
    write_calibration(file, weights, abilities=turns[0])
    server = await serve(expanded(document, tmp_path))
    assert server.process.calibrator is not None

    seen = set()
    for turn in range(1, 30):
        write_calibration(file, weights, abilities=turns[turn % 2])
        server.process.calibrator.ask()
        while server.process.metrics._calibration_loads.labels("loaded")._value.get() < turn:
            explained = await server.router.Explain(explain(HARD))
            quality = {each.model: each.expected_quality for each in explained.candidates}
            seen.add((round(quality["fast"]), round(quality["balanced"])))
            await asyncio.sleep(0)
    assert seen <= {(1, 0), (0, 1)}


async def test_models_that_are_not_configured_are_mentioned(
    serve: Serve, document: Document, file: Path, weights: Weights, tmp_path: Path, caplog: Any
) -> None:
    write_calibration(file, weights, abilities={"fast": 1.0, "gpt-0": 1.0})
    await serve(expanded(document, tmp_path))
    [said] = [record for record in caplog.records if "not configured" in record.message]
    assert said.models == ["gpt-0"]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda file: file.unlink(), "cannot be read: No such file or directory"),
        (lambda file: write_whole(file, "{"), "not JSON"),
    ],
    ids=["absent", "not valid"],
)
async def test_without_one_to_begin_with_the_server_does_not_start(
    document: Document, file: Path, tmp_path: Path, damage: Any, complaint: str
) -> None:
    damage(file)
    with pytest.raises(ConfigError) as caught:
        Process(parse(expanded(document, tmp_path)), {})
    assert str(caught.value).startswith(f"routing.classifier.calibration: {file}")
    assert complaint in str(caught.value)


async def test_variables_in_its_path_are_those_of_the_environment(document: Document, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"routing\.classifier\.calibration: FOLDER is not set"):
        Process(parse(document), {})
    assert Process(parse(document), {"FOLDER": str(tmp_path)}).calibrator is not None


async def test_weights_that_are_not_there_or_not_valid_are_named(tmp_path: Path) -> None:
    for name, content in (("absent", None), ("wrong", b"TIERWAY?")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            Process(parse(learned(weights=str(path))), os.environ)
        assert str(caught.value).startswith(f"routing.classifier.weights: {path}")

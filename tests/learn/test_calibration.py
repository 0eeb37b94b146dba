import base64
import json

import pytest

from tierway_core.calibration import Ability, Calibration, Gain, Pair, load, parse, save, to_json
from tierway_core.errors import CalibrationError
from tierway_core.signals import BUCKETS

GAIN = Gain(bias=0.1, dense=(0.5, -0.25), column=bytes(range(256)) * (BUCKETS // 256), factors=(0.1, 0.2, 0.3))
CALIBRATION = Calibration(
    weights="0123456789abcdef",
    created="2026-11-20T12:00:00+00:00",
    labels=1500,
    abilities={"b": Ability(overall=1), "a": Ability(overall=-0.5, domains={"code": 0.25})},
    pair=Pair(strong="a", weak="b", gain=GAIN),
)


def test_file_gives_back_what_was_saved(tmp_path) -> None:
    path = tmp_path / "calibration.json"
    save(path, CALIBRATION)
    loaded = load(path, "0123456789abcdef")
    assert loaded == CALIBRATION
    assert loaded.identity == CALIBRATION.identity
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_identity_tells_calibrations_apart() -> None:
    document = json.loads(to_json(CALIBRATION))
    document["abilities"]["a"]["overall"] = 0.0
    assert parse(json.dumps(document).encode()).identity != CALIBRATION.identity


def test_calibration_for_other_weights_is_refused(tmp_path) -> None:
    path = tmp_path / "calibration.json"
    save(path, CALIBRATION)
    with pytest.raises(CalibrationError, match="made for the weights 0123456789abcdef, these are ffff") as caught:
        load(path, "ffff")
    assert caught.value.path == "weights"


def broken(path: str, value: object) -> bytes:
    """The file with the value at the path replaced; taken out if it is `...`."""
    document = json.loads(to_json(CALIBRATION))
    at = document
    *steps, last = path.split("/")
    for step in steps:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("at", "value", "path", "message"),
    [
        ("version", 2, "version", "is 2; this release reads 1"),
        ("version", True, "version", "whole number"),
        ("weights", "", "weights", "must not be empty"),
        ("created", "yesterday", "created", "ISO 8601"),
        ("created", "2026-11-20T12:00:00", "created", "offset"),
        ("labels", -1, "labels", "must not be negative"),
        ("labels", ..., "", "the field 'labels' is missing"),
        ("lables", 1, "", "there is no field 'lables'"),
        ("abilities", [], "abilities", "must be an object"),
        ("abilities/a/overall", "high", "abilities['a'].overall", "must be a number"),
        ("abilities/a/overall", float("nan"), "abilities['a'].overall", "must be finite"),
        ("abilities/a/domains/code", float("inf"), "abilities['a'].domains['code']", "must be finite"),
        ("pair/weak", "a", "pair.weak", "another model"),
        ("pair/strong", "", "pair.strong", "must not be empty"),
        ("pair/gain/dense/1", None, "pair.gain.dense[1]", "must be a number"),
        ("pair/gain/factors", [1, 2], "pair.gain.factors", "list of 3 numbers"),
        ("pair/gain/column", "AA==", "pair.gain.column", "must have 65536 bytes"),
        ("pair/gain/column", "not base64!", "pair.gain.column", "must be base64"),
        ("pair/gain/bias", 10**400, "pair.gain.bias", "must be finite"),
    ],
)
def test_bad_field_is_refused_by_its_path(at, value, path, message) -> None:
    item = at.removesuffix("/1")
    content = broken(item, value if item == at else [0.5, value])
    with pytest.raises(CalibrationError, match=message) as caught:
        parse(content)
    assert caught.value.path == path


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'"calibration"'])
def test_what_is_no_calibration_is_refused(content) -> None:
    with pytest.raises(CalibrationError):
        parse(content)


def test_calibration_must_say_something() -> None:
    with pytest.raises(CalibrationError, match="neither an ability nor a pair"):
        Calibration(weights="w", created="2026-11-20T12:00:00+00:00", labels=0)


def test_column_is_small_in_the_file() -> None:
    assert len(base64.b64encode(GAIN.column)) < 90_000

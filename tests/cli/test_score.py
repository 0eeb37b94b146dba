"""`tierway score`: rows in, scores out, without a server."""

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.core.networks import make_calibration, make_header, make_tensors
from tierway_cli import _rows
from tierway_core.calibration import save
from tierway_core.weights import Weights, dump

ROWS = [
    {"id": "a", "prompt": "What is 2 + 2?"},
    {"id": 7, "prompt": "Plan the migration step by step and write the code in Python", "more": "is left alone"},
    {"id": "ü", "prompt": "证明根号二是无理数。"},
    {"id": "empty", "prompt": ""},
    {"id": "picture", "prompt": "What is in this picture?"},
]
FIELDS = ["id", "score", "tier", "p", "label", "domain", "complexity", "confidence"]


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "random.weights"
    path.write_bytes(dump(make_header(), make_tensors()))
    return path


@pytest.fixture
def score(run, tmp_path: Path, weights: Path) -> Callable[..., object]:
    """Scores the bytes of a file by random weights."""

    def scored(content: bytes, *options: str, name: str = "rows.jsonl") -> object:
        file = tmp_path / name
        file.write_bytes(content)
        return run("score", str(file), "--weights", str(weights), *options)

    return scored


def test_each_row_gets_one_object_of_these_fields_in_order(score) -> None:
    result = score(lines(*ROWS))
    assert (result.exit_code, result.stderr) == (0, "")
    scored = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["id"] for each in scored] == [row["id"] for row in ROWS]
    for each in scored:
        assert list(each) == FIELDS
        assert each["tier"] in range(1, 6)
        assert each["p"] == sorted(each["p"])
        assert len(each["p"]) == 5
        assert all(0 <= share <= 1 for share in [*each["p"], each["confidence"]])
        assert each["label"] in {"SIMPLE", "MEDIUM", "COMPLEX", "REASONING"}
    assert [each["complexity"] for each in scored] == ["TRIVIAL", "COMPLEX", "TRIVIAL", "TRIVIAL", "VISION"]


def test_the_same_rows_get_the_same_bytes(score) -> None:
    assert score(lines(*ROWS)).stdout == score(lines(*ROWS)).stdout


def test_gzip_is_known_by_its_bytes_whatever_the_name(score) -> None:
    plain = score(lines(*ROWS)).stdout
    assert score(gzip.compress(lines(*ROWS)), name="rows.jsonl.gz").stdout == plain
    assert score(gzip.compress(lines(*ROWS)), name="rows").stdout == plain


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_dash_is_standard_input(run, score, weights, pack) -> None:
    result = run("score", "-", "--weights", str(weights), input=pack(lines(*ROWS)))
    assert result.stdout == score(lines(*ROWS)).stdout


def test_blank_lines_are_passed_over_and_none_is_nothing(score) -> None:
    assert len(score(b"\n" + lines(ROWS[0]) + b"  \n\n").stdout.splitlines()) == 1
    assert (score(b"").exit_code, score(b"").stdout) == (0, "")


def test_a_calibration_with_a_pair_makes_the_score_its_gain(score, weights, tmp_path) -> None:
    calibration = make_calibration(Weights.load(weights))
    save(tmp_path / "calibration.json", calibration)
    plain = [json.loads(line) for line in score(lines(*ROWS)).stdout.splitlines()]
    calibrated = score(lines(*ROWS), "--calibration", str(tmp_path / "calibration.json"))
    scored = [json.loads(line) for line in calibrated.stdout.splitlines()]
    assert [each["score"] for each in scored] != [each["score"] for each in plain]
    assert [each | {"score": 0} for each in scored] == [each | {"score": 0} for each in plain]


def test_output_goes_to_a_file_that_is_whole_or_not_there(score, tmp_path) -> None:
    output = tmp_path / "scores.jsonl"
    assert score(lines(*ROWS), "--output", str(output)).stdout == ""
    whole = output.read_text()
    assert whole == score(lines(*ROWS)).stdout
    assert score(lines(ROWS[0], {"id": "b"}), "--output", str(output)).exit_code == 1
    assert output.read_text() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["random.weights", "rows.jsonl", "scores.jsonl"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "must be an object with id and prompt"),
        (b'{"prompt": "x"}', "has no id"),
        (b'{"id": 1}', "has no prompt"),
        (b'{"id": null, "prompt": "x"}', "id must be text or a whole number"),
        (b'{"id": true, "prompt": "x"}', "id must be text or a whole number"),
        (b'{"id": 1, "prompt": ["x"]}', "prompt must be text"),
        (b'{"id": 1, "prompt": "\\ud800"}', "prompt has no UTF-8"),
        (b'{"id": 1, "prompt": "\xff"}', "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_row_is_told_with_its_line_and_ends_it(score, tmp_path, line, complaint) -> None:
    result = score(lines(ROWS[0]) + b"\n" + line + b"\n" + lines(ROWS[1]))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path / 'rows.jsonl'}, line 3: {complaint}")
    assert result.stderr.count("\n") == 1
    assert len(result.stdout.splitlines()) == 1


def test_a_gzip_that_breaks_off_is_told_with_its_line(score) -> None:
    noise = random.Random(1).randbytes(200_000).hex()
    packed = gzip.compress(lines(ROWS[0], {"id": "noise", "prompt": noise}))
    result = score(packed[: len(packed) // 2])
    assert result.exit_code == 1
    assert "line 2: cannot be read" in result.stderr


def test_a_line_too_long_to_hold_is_refused(score, monkeypatch) -> None:
    monkeypatch.setattr(_rows, "_MOST_BYTES", 1_000)
    result = score(lines(ROWS[0], {"id": "long", "prompt": "x" * 1_000}))
    assert "line 2: is longer than 1000 bytes" in result.stderr


def test_rows_are_read_one_at_a_time() -> None:
    read = 0

    def endless(_: int) -> bytes:
        nonlocal read
        read += 1
        return lines(ROWS[0])

    stream = SimpleNamespace(readline=endless)
    rows = _rows.read_rows(stream, "endless")
    assert [next(rows).line for _ in range(3)] == [1, 2, 3]
    assert read == 3
    assert [row.id for row in _rows.read_rows(io.BytesIO(lines(ROWS[0])), "short")] == ["a"]


@pytest.mark.parametrize("option", ["--weights", "--calibration"])
def test_files_that_are_not_there_or_not_what_they_should_be_are_named(run, weights, tmp_path, option) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines(ROWS[0]))
    (tmp_path / "wrong").write_bytes(b"{}")
    others = ["--weights", str(weights)] if option == "--calibration" else []
    for name in ("absent", "wrong"):
        result = run("score", str(tmp_path / "rows.jsonl"), option, str(tmp_path / name), *others)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: {tmp_path / name}: ")


def test_a_file_of_rows_that_is_not_there_is_named(run, weights, tmp_path) -> None:
    result = run("score", str(tmp_path / "absent"), "--weights", str(weights))
    assert result.stderr == f"Error: {tmp_path / 'absent'}: No such file or directory\n"

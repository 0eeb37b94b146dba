import gzip
import json

import pytest

from tests.learn.outcomes import make_rows, write_rows
from tierway_learn import DataError, read_data_set

ROW = {"id": "1", "prompt": "What is 2 + 2?"}


def read_one(tmp_path, models=None, fields=(), **changes):
    if models is not None:
        (tmp_path / "models.json").write_text(json.dumps(models))
    path = write_rows(tmp_path / "traffic.jsonl", [ROW | changes])
    return read_data_set(path, fields=fields).rows[0]


def test_reads_outcomes_in_every_form(tmp_path) -> None:
    models = {"traffic": ["a", "b"]}
    assert read_one(tmp_path, outcomes={"a": 1, "b": 0.5, "c": None}).outcomes == {"a": 1.0, "b": 0.5}
    assert read_one(tmp_path, models, correct=[True, None]).outcomes == {"a": 1.0}
    assert read_one(tmp_path, strong_correct=1, weak_correct=0).outcomes == {"strong_correct": 1.0, "weak_correct": 0.0}
    assert read_one(tmp_path, fields=("judge",), judge=0.25).outcomes == {"judge": 0.25}


def test_number_is_an_id_too(tmp_path) -> None:
    assert read_one(tmp_path, id=7).id == "7"


def test_group_is_the_prompt_unless_stated(tmp_path) -> None:
    assert read_one(tmp_path, group="g").group == "g"
    assert read_one(tmp_path).group == read_one(tmp_path, id="2").group != read_one(tmp_path, prompt="Why?").group


def test_reads_gzip_whatever_its_name(tmp_path) -> None:
    rows = make_rows(10)
    path = tmp_path / "traffic"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert [row.id for row in read_data_set(path).rows] == [row["id"] for row in rows]


def test_labels_costs_and_bands_are_read(tmp_path) -> None:
    row = read_one(
        tmp_path, {"traffic": ["a"]}, correct=[1], cost_usd=[2.5], tier="MEDIUM", band_pass=[0, 0.1, 0.2, 0.3, 1]
    )
    assert (row.label, row.costs_usd, row.band_pass) == ("MEDIUM", {"a": 2.5}, (0.0, 0.1, 0.2, 0.3, 1.0))


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"id": None}, "id", "is missing"),
        ({"id": True}, "id", "must be a string"),
        ({"prompt": 3}, "prompt", "must be a string"),
        ({"prompt": "\ud800"}, "prompt", "lone surrogate at index 0"),
        ({"outcomes": []}, "outcomes", "must be an object"),
        ({"outcomes": {"a": 2}}, "outcomes.a", "from 0 to 1"),
        ({"outcomes": {"a": float("nan")}}, "outcomes.a", "from 0 to 1"),
        ({"weak_correct": "yes"}, "weak_correct", "from 0 to 1"),
        ({"correct": [1, 0]}, "correct", "has 2 values for 1 models"),
        ({"correct": 1}, "correct", "must be a list"),
        ({"tier": "HUGE"}, "tier", "must be one of SIMPLE, MEDIUM, COMPLEX, REASONING"),
        ({"band_pass": [1, 1]}, "band_pass", "list of 5"),
    ],
)
def test_bad_row_is_refused_by_line_and_field(tmp_path, changes, field, message) -> None:
    (tmp_path / "models.json").write_text('{"traffic": ["a"]}')
    path = write_rows(tmp_path / "traffic.jsonl", [ROW, ROW | changes])
    with pytest.raises(DataError, match=message) as caught:
        read_data_set(path)
    assert (caught.value.path, caught.value.line, caught.value.field) == (path, 2, field)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no row"),
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        (b'{"id": "\xff"}', "not UTF-8"),
        (gzip.compress(b"{}" * 1000)[:-20], "broken gzip"),
    ],
)
def test_broken_file_is_refused(tmp_path, content, message) -> None:
    path = tmp_path / "traffic.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_data_set(path)


def test_list_of_results_needs_the_names_of_the_models(tmp_path) -> None:
    with pytest.raises(DataError, match=r"models\.json: is missing"):
        read_one(tmp_path, correct=[1])
    with pytest.raises(DataError, match=r"models\.json: traffic: must be a list"):
        read_one(tmp_path, {"other": ["a"]}, correct=[1])

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierway_bench.report import Machine, Spread, percentile, ratios, table, write_json

TIMES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=300)


@pytest.mark.parametrize("percent", [0, -1, 100.1])
def test_percentile_of_an_impossible_share_is_refused(percent):
    with pytest.raises(ValueError, match="percentile"):
        percentile([1.0], percent)


def test_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="percentile"):
        percentile([], 50)


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_percentile_is_the_nearest_rank(percent, value):
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


@given(values=TIMES, percent=st.floats(min_value=0.1, max_value=100))
def test_percentile_is_a_value_that_occurred_and_covers_its_share(values, percent):
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9


def test_spread_is_the_median_and_the_range():
    assert Spread.of([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0)


def test_ratios_pair_the_rounds():
    assert ratios([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == Spread(2.0, 1.0, 3.0)


def test_ratios_of_unequal_numbers_of_rounds_are_refused():
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_table_aligns_names_left_and_figures_right():
    assert table(["", "x"], [["one", "1"], ["three", "12"]]) == "        x\n-----  --\none     1\nthree  12"


def test_json_report_names_command_and_machine(tmp_path):
    path = tmp_path / "report.json"
    machine = Machine(cores=2, load_average=0.5, python="3.11.7", system="here")
    write_json(path, machine, ["bench", "--x"], {"rate": Spread(1.0, 0.5, 2.0)})
    assert json.loads(path.read_text()) == {
        "command": ["bench", "--x"],
        "machine": {"cores": 2, "load_average": 0.5, "python": "3.11.7", "system": "here"},
        "rate": {"median": 1.0, "low": 0.5, "high": 2.0},
    }

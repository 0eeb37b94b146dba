from dataclasses import replace

import pytest

from tests.sim.fleets import asked_at, make_fleet, placed
from tierway_sim import FaultKind, parse_fault, summarise
from tierway_sim import replay as replay_of
from tierway_sim.plots import draw_curve, draw_shares, shares_over_time
from tierway_sim.report import cheapest_near_best, curve_lines, figure_lines, part_lines, shift_lines, to_json_object


@pytest.fixture
def run():
    fleet = make_fleet(placed("cheap", "x", 1_000_000, fallback=("dear",)), placed("dear", "y", 9_000_000))
    traffic = asked_at(*range(0, 100, 10), outcomes={"cheap": 0.5, "dear": 1.0})
    return replay_of(fleet, traffic, [parse_fault(FaultKind.FAIL, "x:1@50..")], spread=0)


@pytest.fixture
def summary(run):
    return summarise(run, [parse_fault(FaultKind.FAIL, "x:1@50..")])


def test_figures_stand_side_by_side(summary):
    lines = {name: cells for name, *cells in figure_lines([summary, replace(summary, name="other", failed=2)])}
    assert lines["answered"] == ["10 (100.0%)", "10 (100.0%)"]
    assert lines["by another than the chosen"] == ["5 (50.0%)", "5 (50.0%)"]
    assert lines["failed"] == ["0 (0.0%)", "2 (20.0%)"]
    assert lines["saving"][0] == "44.4%"  # 1 - (5 * 1 + 5 * 9) / (10 * 9)
    assert lines["quality"][0] == "0.750 (strong: 1.000)"
    assert lines["expected quality"][0] == "-"
    assert lines["first token P50, P95, P99"][0] == "1.00, 2.00, 2.00 s"


def test_who_had_nothing_in_any_run_is_left_out(summary):
    assert [line[0] for line in part_lines([summary], lambda one: one.by_model)] == ["cheap", "dear"]
    alone = replace(summary, by_model=(replace(summary.by_model[0], requests=0), summary.by_model[1]))
    assert [line[0] for line in part_lines([alone], lambda one: one.by_model)] == ["dear"]


def test_a_shift_is_told_in_requests(summary):
    [line] = shift_lines([summary])
    assert line[:5] == ("fleet", "fail x:1@50..", "cheap@x", "100.0%", "100.0%")
    assert line[5:] == ("no", "no")  # nothing here has a breaker


def test_the_cheapest_near_the_best_is_found_where_outcomes_are_known(summary):
    curve = [
        replace(summary, dial=dial, cost_usd=cost_usd, quality=quality, known_outcomes=10)
        for dial, cost_usd, quality in ((0.0, 1.0, 0.5), (0.5, 2.0, 0.95), (0.8, 3.0, 0.96), (1.0, 9.0, 1.0))
    ]
    assert cheapest_near_best(curve).dial == 0.5
    assert cheapest_near_best([*curve, replace(summary, quality=None)]) is None
    assert cheapest_near_best([replace(one, known_outcomes=9) for one in curve]) is None
    assert [line[1] for line in curve_lines(curve)] == ["0", "0.5", "0.8", "1"]


def test_json_has_the_fields_by_name(summary):
    found = to_json_object(summary)
    assert (found["answered"], found["strong"]["model"]) == (10, "dear")
    assert found["by_model"][0]["name"] == "cheap"
    assert found["shifts"][0]["left_after_requests"] is None


def test_shares_over_time_make_one_in_each_slice(run):
    shares = shares_over_time(run, slices=5)
    assert list(shares) == ["cheap@x"]  # who answered in its place was not chosen
    assert shares["cheap@x"] == (pytest.approx([9.0, 27.0, 45.0, 63.0, 81.0]), [1.0] * 5)


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_pictures_are_drawn(run, summary, tmp_path, suffix):
    begins = {".png": b"\x89PNG", ".html": b"<!doctype html>"}[suffix]
    shares, curve = tmp_path / f"shares{suffix}", tmp_path / f"curve{suffix}"
    draw_shares([run, run], shares)
    draw_curve([summary, replace(summary, name="other", quality=0.9)], curve)
    assert shares.read_bytes().startswith(begins)
    assert curve.read_bytes().startswith(begins)

from tierway_bench.cancel_storm import GAUGES, Held, delays_s
from tierway_bench.scrape import total

IDLE = Held(dict.fromkeys(GAUGES, 0.0), descriptors=30, threads=10)


def test_storm_repeats_with_its_seed():
    assert delays_s(100, 7) == delays_s(100, 7) != delays_s(100, 8)


def test_some_streams_are_left_at_once_and_some_late():
    delays = delays_s(1_000, 1)
    assert sum(delay == 0 for delay in delays) > 200
    assert sum(delay > 0.02 for delay in delays) > 200


def test_idle_server_has_leaked_nothing():
    assert IDLE.leaked_since(IDLE) == []


def test_fewer_descriptors_than_before_are_no_leak():
    assert Held(IDLE.gauges, descriptors=29, threads=9).leaked_since(IDLE) == []


def test_whatever_is_kept_is_named():
    kept = Held(IDLE.gauges | {"tierway_in_flight": 2.0}, descriptors=33, threads=10)
    assert kept.leaked_since(IDLE) == ["tierway_in_flight is 2", "3 more descriptors"]


def test_gauges_of_several_engines_are_summed():
    page = '# TYPE g gauge\ng{engine="a",kind="x"} 1\ng{engine="b",kind="x"} 2\ng{engine="b",kind="y"} 4\n'
    assert total(page, "g") == 7
    assert total(page, "g", kind="x") == 3
    assert total(page, "h") is None

from collections import Counter

import pytest

from tierway_sim import Query, TrafficError, arriving, as_logged, synthetic
from tierway_sim.synthetic import MIX


def test_logged_traffic_comes_when_it_came_from_zero_on():
    traffic = as_logged([Query(prompt=name, at_s=at_s) for name, at_s in (("b", 12.5), ("a", 10.0), ("c", 12.5))])
    assert [traffic.pool[place].prompt for place in traffic.order] == ["a", "b", "c"]
    assert list(traffic.at_ns) == [0, 2_500_000_000, 2_500_000_000]


@pytest.mark.parametrize("pool", [[], [Query(prompt="a", at_s=1.0), Query(prompt="b")]])
def test_a_log_without_times_is_refused(pool):
    with pytest.raises(TrafficError, match="a rate is needed"):
        as_logged(pool)


def test_arrivals_go_round_the_pool_at_the_stated_rate():
    pool = [Query(prompt=str(number)) for number in range(7)]
    traffic = arriving(pool, requests=10_000, rate=50.0, seed=3)
    assert set(Counter(traffic.order).values()) == {1428, 1429}
    assert list(traffic.at_ns) == sorted(traffic.at_ns)
    assert traffic.at_ns[-1] / 1e9 == pytest.approx(10_000 / 50.0, rel=0.05)


def test_the_same_seed_gives_the_same_arrivals():
    pool = [Query(prompt="a"), Query(prompt="b")]
    one, same, other = (arriving(pool, requests=100, rate=1.0, seed=seed) for seed in (1, 1, 2))
    assert (one.order, one.at_ns) == (same.order, same.at_ns)
    assert one.at_ns != other.at_ns


def test_nothing_cannot_be_asked():
    with pytest.raises(TrafficError):
        arriving([], requests=1, rate=1.0)


def test_made_up_traffic_has_the_load_mix():
    pool = synthetic(20_000, seed=1)
    about_governance = sum("governance" in query.prompt for query in pool)
    in_one_line = sum(len(query.prompt.split()) < 13 for query in pool)
    assert about_governance / len(pool) == pytest.approx(MIX[4] / 100, abs=0.01)
    assert in_one_line / len(pool) == pytest.approx(MIX[0] / 100, abs=0.02)

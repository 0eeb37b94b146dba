import pytest

from tierway_bench.knee import find_knee


@pytest.mark.parametrize("capacity", [450, 1_000, 7_777])
def test_knee_is_found_from_below(capacity):
    knee = find_knee(lambda rate: rate <= capacity, start=400, limit=20_000)
    assert 0.96 * capacity <= knee <= capacity


def test_server_that_sustains_nothing_has_no_knee():
    assert find_knee(lambda _rate: False, start=400, limit=20_000) == 0


def test_no_rate_above_the_limit_is_tried():
    tried = []
    knee = find_knee(lambda rate: not tried.append(rate), start=400, limit=1_000)
    assert max(tried) <= 1_000
    assert knee == pytest.approx(1_000, rel=0.05)


def test_rate_that_fails_once_is_tried_again():
    failed = set()

    def sustains(rate):
        if rate not in failed:
            failed.add(rate)
            return False
        return rate <= 1_000

    assert find_knee(sustains, start=400, limit=20_000) >= 960

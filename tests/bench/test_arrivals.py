from itertools import pairwise

import pytest

from tierway_bench.arrivals import arrivals_s


def test_fixed_arrivals_have_equal_gaps():
    assert list(arrivals_s("fixed", per_second=4, seconds=1, seed=0)) == [0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_repeat_with_the_seed_and_only_with_it():
    first, again, other = (list(arrivals_s("poisson", per_second=50, seconds=2, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_poisson_arrivals_ascend_within_the_time_at_about_the_rate():
    times_s = list(arrivals_s("poisson", per_second=100, seconds=100, seed=3))
    assert all(earlier < later for earlier, later in pairwise(times_s))
    assert times_s[0] >= 0
    assert times_s[-1] < 100
    assert len(times_s) == pytest.approx(10_000, rel=0.05)


@pytest.mark.parametrize("kind", ["fixed", "poisson"])
def test_rate_of_zero_is_refused(kind):
    with pytest.raises(ValueError, match="above 0"):
        next(arrivals_s(kind, per_second=0, seconds=1, seed=0))

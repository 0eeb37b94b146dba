import pytest

from tierway_core import Prefixes
from tierway_core.chance import mix


def test_who_was_sent_a_prefix_since_when():
    prefixes = Prefixes()
    prefixes.remember(7, 3, 100)
    prefixes.remember(7, 1, 200)
    prefixes.remember(8, 2, 200)
    assert prefixes.holders(7, 0) == (1, 3)
    assert prefixes.holders(7, 150) == (1,)
    assert prefixes.holders(9, 0) == ()


def test_the_same_again_is_one_sighting():
    prefixes = Prefixes()
    for now_ns in range(20):
        prefixes.remember(7, 3, now_ns)
    assert prefixes.holders(7, 19) == (3,)


def test_no_prefix_is_never_held():
    prefixes = Prefixes()
    prefixes.remember(0, 3, 100)
    assert prefixes.holders(0, 0) == ()


def test_the_oldest_makes_room():
    prefixes = Prefixes(8)
    for deployment in range(9):
        prefixes.remember(7, deployment, deployment)
    assert prefixes.holders(7, 0) == tuple(range(1, 9))
    for key in range(100, 108):
        prefixes.remember(mix(key), 0, 1000 + key)
    assert prefixes.holders(7, 0) == ()


@pytest.mark.parametrize("slots", [0, 4, 12, 2**25])
def test_slots_are_a_power_of_two(slots):
    with pytest.raises(ValueError, match="power of two"):
        Prefixes(slots)


def test_a_deployment_is_not_negative():
    with pytest.raises(IndexError):
        Prefixes().remember(7, -1, 0)

"""What moved the difficulty: all shares together are the difficulty, and each is named by what is in the text."""

import pytest

from tests.core.networks import floats, make_header, make_tensors, make_weights
from tierway_core import InvalidTextError, Weights, assess, contributions
from tierway_core.signals import COUNTERS
from tierway_core.weights import dump

TEXT = "What is 7 + 5?\nA) 12 字 B) the capital, the capital"


def test_all_shares_and_the_start_are_the_difficulty():
    """Without hidden units that work, what every text starts from is the output's own number."""
    weights = Weights.parse(dump(make_header(), make_tensors(b1=floats(-1e9, -1e9, -1e9))))
    start = weights.tensors["b2"].numbers()[0]
    shares = contributions(weights, TEXT, most=10**6)
    assert start + sum(share.weight for share in shares) == pytest.approx(assess(weights, TEXT).difficulty)


def test_hidden_units_that_are_on_count():
    always_on = make_tensors(b1=floats(1e3, 1e3, 1e3))
    weights = Weights.parse(dump(make_header(), always_on))
    b1, b2, w2 = (weights.tensors[name].numbers() for name in ("b1", "b2", "w2"))
    start = b2[0] + sum(b1[unit] * w2[unit * weights.outputs] for unit in range(3))
    shares = contributions(weights, TEXT, most=10**6)
    assert start + sum(share.weight for share in shares) == pytest.approx(assess(weights, TEXT).difficulty)


def test_shares_are_named_by_what_is_in_the_text():
    shares = contributions(make_weights(), TEXT, most=10**6)
    names = {kind: {share.name for share in shares if share.kind == kind} for kind in ("word", "pair", "characters")}
    assert names["word"] == {"what", "is", "0", "a", "00", "字", "b", "the", "capital"}
    assert {"what", "what is", "字 b", "the capital", "capital the"} <= names["pair"]
    assert {" wh", "capit", "00 字", "al "} <= names["characters"]
    assert {share.name for share in shares if share.kind == "counter"} <= set(COUNTERS)


def test_the_furthest_come_first_and_no_more_than_asked():
    shares = contributions(make_weights(), TEXT, most=7)
    assert len(shares) == 7
    assert [abs(share.weight) for share in shares] == sorted((abs(share.weight) for share in shares), reverse=True)
    assert shares == contributions(make_weights(), TEXT, most=10**6)[:7]


def test_nothing_in_an_empty_text_has_a_word():
    assert {share.kind for share in contributions(make_weights(), "", most=10**6)} == {"counter"}


def test_a_lone_surrogate_is_an_error():
    with pytest.raises(InvalidTextError):
        contributions(make_weights(), "\ud800")

"""What the classifier says of a text: the compiled one and its twin say the same of anything."""

import math
from dataclasses import astuple

import pytest
from hypothesis import given, settings

from tests.core.networks import (
    DOMAINS,
    certain,
    certain_tensors,
    constant_gain,
    floats,
    make_calibration,
    make_classifier,
    make_gain,
    make_header,
    make_weights,
)
from tests.core.test_signals import MIXED
from tierway_core import CalibrationError, Classifier, InvalidTextError, Weights, signals
from tierway_core.assessment import assess, vector
from tierway_core.weights import LABELS, Tensor, dump

TEXTS = {
    "nothing": "",
    "one word": "hello",
    "spaces": " \n\t ",
    "one emoji": "😀",
    "emoji": "😀👍🏽👨‍👩‍👧 🎉",
    "Chinese": "请证明素数有无穷多个。",
    "Japanese": "富士山の高さは何メートルですか？",  # noqa: RUF001
    "Korean": "서울의 인구는 얼마입니까?",
    "Arabic": "ما هي عاصمة فرنسا؟",
    "Thai": "เมืองหลวงของประเทศไทยคืออะไร",
    "code": "def f(xs):\n    return [x ** 2 for x in xs if x != 0]\n" * 3,
    "controls": "".join(map(chr, range(32))),
    "200 KB": "All work and no play makes Jack a dull boy. " * 4700,
    "200 KB of one letter": "a" * 200_000,
    "200 KB of Han": "字" * 70_000,
}

GAINED = make_weights(2, columns=3)
CLASSIFIER = Classifier(GAINED, make_calibration(GAINED))


def assert_same(content: str, classifier: Classifier) -> None:
    gain = make_gain(classifier.weights) if classifier.calibration else None
    found, expected = classifier.assess(content), assess(classifier.weights, content, gain)
    assert (found.domain, found.label, found.tier) == (expected.domain, expected.label, expected.tier)
    for one, other in zip(astuple(found), astuple(expected), strict=True):
        assert one == (other if isinstance(other, str | None) else pytest.approx(other, abs=1e-6))


@given(MIXED)
@settings(max_examples=150)
def test_both_say_the_same_of_any_text(content):
    assert_same(content, CLASSIFIER)
    assert CLASSIFIER.vector(content) == pytest.approx(vector(GAINED, content), abs=1e-6)


@pytest.mark.parametrize("name", TEXTS)
def test_both_say_the_same_of_what_is_odd(name):
    assert_same(TEXTS[name], CLASSIFIER)


@pytest.mark.parametrize(("columns", "hidden"), [(1, 1), (16, 32), (17, 5), (64, 128)])
def test_both_say_the_same_with_networks_of_any_size(columns, hidden):
    assert_same(TEXTS["code"], make_classifier(columns=columns, hidden=hidden))


@pytest.mark.parametrize("name", TEXTS)
def test_every_number_is_within_its_range(name):
    found = CLASSIFIER.assess(TEXTS[name])
    assert math.isfinite(found.difficulty)
    assert found.sigma > 0.0
    assert list(found.bands) == sorted(found.bands)
    assert 0.0 <= found.bands[0] <= found.bands[-1] <= 1.0
    assert found.domain in DOMAINS
    assert found.label in LABELS
    assert sum(found.label_probabilities) == pytest.approx(1.0)
    assert 0.0 < found.domain_probability <= 1.0
    assert 0.0 <= found.familiarity <= 1.0
    assert 0.0 < found.confidence < 1.0
    assert 1 <= found.tier <= 5


@pytest.mark.parametrize("name", TEXTS)
def test_the_same_bytes_get_the_same_score(name):
    """However the text came to be, and whoever asks."""
    again = TEXTS[name].encode().decode()
    assert Classifier(GAINED, CLASSIFIER.calibration).assess(again) == CLASSIFIER.assess(TEXTS[name])
    assert CLASSIFIER.assess(again) == CLASSIFIER.assess(TEXTS[name])


def test_weights_beyond_all_reason_give_numbers_all_the_same():
    tensors = certain_tensors()
    changed = {name: floats(*[3e38] * tensors[name].shape[0]) for name in ("b2", "b1", "confidence")}
    weights = Weights.parse(dump(make_header(), tensors | changed))
    for content in ("", "hello"):
        found = Classifier(weights).assess(content)
        assert found == assess(weights, content)
        assert all(map(math.isfinite, (found.difficulty, found.sigma, found.confidence, *found.bands)))


def test_without_a_pair_there_is_no_gain():
    assert make_classifier().assess("hello").gain is None


def test_a_pair_s_gain_is_what_it_says():
    weights = make_weights()
    gained = Classifier(weights, make_calibration(weights, gain=constant_gain(weights, 0.25)))
    assert gained.assess("hello").gain == 0.25


def test_confidence_falls_with_words_that_training_has_not_seen():
    words, _, _ = make_classifier().buckets("what is the capital of france")
    seen = bytearray(signals.BUCKETS // 8)
    for bucket in words:
        seen[bucket >> 3] |= 1 << (bucket & 7)
    tensors = certain_tensors(confidence=0.2, familiarity=4.0)
    tensors["seen"] = Tensor(dtype="u1", shape=(len(seen),), data=bytes(seen))
    classifier = Classifier(Weights.parse(dump(make_header(), tensors)))
    known, half, unknown = map(
        classifier.assess, ("the capital of France", "the capital of Xyzzyland", "qwrtz plgh vbnm xyzzy")
    )
    assert (known.familiarity, unknown.familiarity) == (1.0, 0.0)
    assert known.confidence > 0.9 > half.confidence > 0.3 > unknown.confidence
    assert classifier.assess("").familiarity == 0.0


def test_a_calibration_of_other_weights_is_refused():
    with pytest.raises(CalibrationError) as caught:
        Classifier(make_weights(1), make_calibration(make_weights(2)))
    assert caught.value.path == "weights"


def test_a_gain_for_another_network_is_refused():
    small, large = make_weights(hidden=1), make_weights(columns=5)
    calibration = make_calibration(small, gain=make_gain(large))
    with pytest.raises(CalibrationError) as caught:
        Classifier(small, calibration)
    assert caught.value.path == "pair.gain.dense"


def test_a_lone_surrogate_is_an_error_that_says_where():
    for ask in (CLASSIFIER.assess, CLASSIFIER.vector, CLASSIFIER.buckets, CLASSIFIER.counters):
        with pytest.raises(InvalidTextError) as caught:
            ask("ab\udfff")
        assert caught.value.position == 2


def test_a_certain_network_is_certain():
    found = certain(difficulty=1.5, sigma=2.0, domain="code", confidence=0.75).assess("anything")
    assert (found.difficulty, found.domain, found.label) == (1.5, "code", "SIMPLE")
    assert (found.sigma, found.confidence) == pytest.approx((2.0, 0.75))

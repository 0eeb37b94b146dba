"""The weights that are shipped: sound, small, and unsure of what is like nothing that they were trained on."""

import base64
import random
from pathlib import Path

import pytest

import tierway_core
from tests.core.fleets import five_tiers, make_state, make_table
from tests.core.test_classifier import TEXTS
from tierway_core import Classifier, ReasonCode, Request, Router, Weights, assess

FILE = Path(tierway_core.__file__).with_name("data") / "classifier.weights"
CHANCE = random.Random(7)
STRANGE = {
    "keys mashed": "qwrtz plgh vbnm xyzzy zzkq jjwv hhtr pqow",
    "controls": "\x00\x01\x02" * 40,
    "code points at random": "".join(chr(CHANCE.randrange(0x300, 0xD800)) for _ in range(300)),
    "base64": base64.b64encode(CHANCE.randbytes(300)).decode(),
    "hexadecimal": " ".join(CHANCE.randbytes(16).hex() for _ in range(20)),
    "Georgian": "რა არის საქართველოს დედაქალაქი და რამდენი ადამიანი ცხოვრობს იქ?",
    "nothing": "",
    "one emoji": "😀",
}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(Weights.default())


def test_they_are_small():
    assert FILE.stat().st_size < 3_000_000


def test_their_card_is_in_the_header():
    header = Weights.default().header
    assert header["trained"]
    assert header["data"]
    assert header["note"]


@pytest.mark.parametrize("name", TEXTS)
def test_the_twin_says_the_same(classifier, name):
    found, expected = classifier.assess(TEXTS[name]), assess(classifier.weights, TEXTS[name])
    assert found.difficulty == pytest.approx(expected.difficulty, abs=1e-6)
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-6)
    assert (found.tier, found.label, found.domain) == (expected.tier, expected.label, expected.domain)


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_strange_is_left_to_the_rules_of_the_class(classifier, name):
    table = make_table(*five_tiers(), classifier=True)
    decision = Router(table, make_state(table), classifier).decide(Request(STRANGE[name]))
    assert not decision.is_sure
    assert [reason.code for reason in decision.reasons[:3]] == [
        ReasonCode.ASSESSED,
        ReasonCode.UNSURE,
        ReasonCode.COMPLEXITY_FLOOR,
    ]

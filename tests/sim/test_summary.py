from array import array

import pytest

from tests.core.networks import make_weights
from tests.sim.fleets import NS, asked_at, make_fleet, placed
from tierway_core import Classifier, UnknownModelError, estimate_tokens
from tierway_core.quality import qualities
from tierway_sim import FaultKind, Query, Traffic, parse_fault, replay, summarise

CHEAP, DEAR = 1_000_000, 10_000_000  # pico-USD a token: 1 and 10 USD a million


@pytest.fixture
def fleet():
    """The cheap one answers, unless it fails: then the dear one does."""
    return make_fleet(placed("cheap", "x", CHEAP, fallback=("dear",)), placed("dear", "y", DEAR, tier=3))


def fail(text):
    return parse_fault(FaultKind.FAIL, text)


def test_costs_are_tokens_by_prices_of_who_answered(fleet):
    traffic = asked_at(0.0, 10.0, 20.0, output_tokens=100)
    faults = [fail("x:1@15..")]
    summary = summarise(replay(fleet, traffic, faults), faults)
    tokens = estimate_tokens("hi") + 100
    assert summary.cost_usd == pytest.approx((2 * CHEAP + DEAR) * tokens * 1e-12)
    assert (summary.strong.model, summary.strong.cost_usd) == ("dear", pytest.approx(3 * DEAR * tokens * 1e-12))
    assert summary.saving == pytest.approx(0.6)
    assert summary.throughput_per_usd_ratio == pytest.approx(2.5)
    assert summary.requests_per_usd == pytest.approx(3 / summary.cost_usd)


def test_every_request_is_in_one_count(fleet):
    faults = [fail("x:1@5..15"), fail("y:1@12..")]
    run = replay(fleet, asked_at(0.0, 10.0, 14.0, 20.0), faults)
    summary = summarise(run, faults)
    assert (summary.requests, summary.answered, summary.failed, summary.fell_back) == (4, 3, 1, 1)
    assert summary.refused == {}


def test_who_answered_how_much_adds_up_by_model_tier_and_provider(fleet):
    faults = [fail("x:1@15..")]
    summary = summarise(replay(fleet, asked_at(0.0, 10.0, 20.0, 30.0), faults), faults)
    for parts, names in (
        (summary.by_model, ["cheap", "dear"]),
        (summary.by_tier, ["1", "3"]),
        (summary.by_provider, ["x", "y"]),
    ):
        assert [(part.name, part.requests, part.share) for part in parts] == [(name, 2, 0.5) for name in names]
        assert sum(part.cost_usd for part in parts) == pytest.approx(summary.cost_usd)


def test_quality_is_the_mean_over_known_outcomes_beside_the_strong_models(fleet):
    pool = [
        Query(prompt="a", outcomes={"cheap": 1.0, "dear": 1.0}),
        Query(prompt="b", outcomes={"cheap": 0.5, "dear": 1.0}),
        Query(prompt="c", outcomes={"cheap": 0.0}),  # nothing to compare with
    ]
    traffic = Traffic(pool=pool, order=array("i", [0, 1, 1, 2]), at_ns=array("q", [0, NS, 2 * NS, 3 * NS]))
    summary = summarise(replay(fleet, traffic))
    assert summary.known_outcomes == 3
    assert (summary.quality, summary.strong.quality) == (pytest.approx(2 / 3), 1.0)


def test_without_outcomes_and_classifier_no_quality_is_told(fleet):
    summary = summarise(replay(fleet, asked_at(0.0)))
    assert (summary.quality, summary.expected_quality, summary.strong.quality) == (None, None, None)


def test_expected_quality_is_the_cores():
    classifier = Classifier(make_weights())
    models = (placed("cheap", "x", CHEAP, ability=-1.0), placed("dear", "y", DEAR, ability=2.0))
    fleet = make_fleet(*models, classifier=classifier)
    summary = summarise(replay(fleet, asked_at(0.0, 1.0, prompt="what is it")))
    cheap, dear = qualities(models, classifier.assess("what is it"), None)
    assert (summary.expected_quality, summary.strong.expected_quality) == (pytest.approx(cheap), pytest.approx(dear))


def test_percentiles_are_times_that_occurred(fleet):
    slow = parse_fault(FaultKind.SLOW, "x:3x@960..")
    run = replay(fleet, asked_at(*range(0, 1000, 10)), [slow], spread=0)
    summary = summarise(run, [slow])
    assert (summary.first_token.p50_s, summary.first_token.p95_s, summary.first_token.p99_s) == (1.0, 1.0, 3.0)
    assert summary.latency.p99_s == pytest.approx(6.0)


def test_any_model_can_be_what_is_compared_with(fleet):
    run = replay(fleet, asked_at(0.0))
    assert summarise(run, strong="cheap").saving == 0.0
    with pytest.raises(UnknownModelError):
        summarise(run, strong="nobody")

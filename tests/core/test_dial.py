"""Decisions with the classifier: expected quality against price, by the dial; and when it is not sure."""

import pytest

from tests.core.fleets import five_tiers, make_deployment, make_model, make_routing, make_state, make_table
from tests.core.networks import certain, constant_gain, make_calibration, make_classifier
from tests.core.test_classifier import TEXTS
from tierway_core import CalibrationError, NoClassifierError, ReasonCode, Request, Router, Table, TableError
from tierway_core.calibration import Ability
from tierway_core.reference import ReferenceRouter

COMPLEX = "python roadmap"


def fleet(**routing):
    """Three models, the abler the dearer: 0.1, 0.5 and 0.9 of a right answer at difficulty 0 and no spread."""
    models = (
        make_model("cheap", 1, 1000, ability=-2.0),
        make_model("middle", 3, 10_000, ability=0.5),
        make_model("dear", 5, 100_000, ability=2.5, vision=True),
    )
    return make_table(*models, **{"classifier": True} | routing)


def codes(decision):
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize(
    ("dial", "name"), [(0.0, "cheap"), (0.02, "cheap"), (0.3, "middle"), (0.5, "middle"), (0.95, "dear"), (1.0, "dear")]
)
def test_the_dial_goes_from_the_cheapest_to_the_best(decide, dial, name):
    decision = decide("hi", fleet(), classifier=certain(), cost_quality=dial)
    assert (decision.model.name, decision.cost_quality) == (name, dial)


def test_the_dial_in_the_middle_pays_for_what_is_difficult_only(decide):
    easy, hard = (decide("hi", fleet(), classifier=certain(difficulty=b, sigma=0.1)) for b in (-6.0, 1.5))
    assert (easy.model.name, hard.model.name) == ("cheap", "middle")
    assert easy.expected_quality > 0.95


def test_at_0_the_cheapest_answers_whatever_its_quality(decide):
    table = make_table(make_model("a", 3, 7, ability=9.0), make_model("b", 5, 6, ability=-9.0), classifier=True)
    assert decide("hi", table, classifier=certain(), cost_quality=0.0).model.name == "b"


def test_at_1_the_best_answers_whatever_its_price(decide):
    table = make_table(make_model("a", 3, 1, ability=1.0), make_model("b", 1, 2**62, ability=1.01), classifier=True)
    assert decide("hi", table, classifier=certain(), cost_quality=1.0).model.name == "b"


def test_of_equals_the_cheaper_then_the_lower_tier_then_the_less_busy_is_chosen(decide):
    cheaper = make_table(make_model("a", 1, 2), make_model("b", 1, 1), classifier=True)
    assert decide("hi", cheaper, classifier=certain(), cost_quality=1.0).model.name == "b"
    lower = make_table(make_model("a", 2), make_model("b", 1), classifier=True)
    assert decide("hi", lower, classifier=certain(), in_flight={1: 5}).model.name == "b"
    busy = make_table(make_model("m", 1, places=("x", "y", "z")), classifier=True)
    assert decide("hi", busy, classifier=certain(), in_flight={0: 2, 1: 1, 2: 1}).deployment == 1


def test_without_prices_quality_decides(decide):
    table = make_table(make_model("a", 1, 0), make_model("b", 5, 0, ability=1.0), classifier=True)
    assert decide("hi", table, classifier=certain(), cost_quality=0.1).model.name == "b"


def test_the_table_s_dial_holds_where_the_request_states_none(decide):
    assert decide("hi", fleet(cost_quality=0.0), classifier=certain()).model.name == "cheap"
    assert decide("hi", fleet(cost_quality=0.0), classifier=certain(), cost_quality=1.0).model.name == "dear"


def test_expected_quality_is_ability_against_difficulty(decide):
    table = make_table(make_model("m", 1, ability=1.0), classifier=True)
    equal, harder, vague = (
        decide("hi", table, classifier=certain(difficulty=b, sigma=s)).expected_quality
        for b, s in ((1.0, 0.1), (2.0, 0.001), (2.0, 3.0))
    )
    assert equal == pytest.approx(0.5)
    assert harder == pytest.approx(0.26894, abs=1e-4)
    assert harder < vague < 0.5


def test_ability_by_domain_comes_before_ability(decide):
    table = make_table(make_model("m", 1, ability=0.0, ability_by_domain={"code": 3.0}), classifier=True)
    coded, other = (decide("hi", table, classifier=certain(domain=d)).expected_quality for d in ("code", "chat"))
    assert other == pytest.approx(0.5)
    assert coded > 0.9


def test_a_calibration_s_abilities_come_before_the_table_s(decide):
    abilities = {"cheap": Ability(overall=5.0, domains={"code": -5.0})}
    for domain, expected in (("chat", 0.99), ("code", 0.01)):
        classifier = certain(lambda w: make_calibration(w, pair=None, abilities=abilities), domain=domain, sigma=0.1)
        quality = decide("hi", fleet(), classifier=classifier, force_model="cheap").expected_quality
        assert quality == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("gain", "name"), [(0.02, "cheap"), (0.9, "dear"), (-0.5, "cheap")])
def test_a_pair_s_gain_decides_between_the_two(decide, gain, name):
    def calibration(weights):
        return make_calibration(weights, pair=("dear", "cheap"), abilities={}, gain=constant_gain(weights, gain))

    table = make_table(make_model("cheap", 1, 1000), make_model("dear", 5, 100_000), classifier=True)
    decision = decide("hi", table, classifier=certain(calibration), cost_quality=0.8)
    cheap, dear = decision.candidates
    assert decision.model.name == name
    assert dear.expected_quality == pytest.approx(min(max(cheap.expected_quality + gain, 0.0), 1.0))


def test_a_pair_that_is_not_whole_in_the_table_is_left_alone(decide):
    def calibration(weights):
        return make_calibration(weights, pair=("dear", "absent"), abilities={}, gain=constant_gain(weights, -1.0))

    assert decide("hi", fleet(), classifier=certain(calibration), cost_quality=1.0).model.name == "dear"


# ---- floors, pins, filters --------------------------------------------------------------------------------------------


def test_sure_of_itself_it_needs_no_floor_of_the_class(decide):
    decision = decide(COMPLEX, fleet(), classifier=certain(confidence=0.9), cost_quality=0.0)
    assert (decision.model.name, decision.floor, decision.is_sure) == ("cheap", 1, True)
    assert codes(decision) == [ReasonCode.ASSESSED, ReasonCode.COST_QUALITY]


def test_not_sure_it_plays_safe_by_the_floor_of_the_class_and_says_so(decide):
    decision = decide(COMPLEX, fleet(), classifier=certain(confidence=0.4), cost_quality=0.0)
    assert (decision.model.name, decision.floor, decision.is_sure) == ("dear", 4, False)
    assert codes(decision) == [
        ReasonCode.ASSESSED,
        ReasonCode.UNSURE,
        ReasonCode.COMPLEXITY_FLOOR,
        ReasonCode.COST_QUALITY,
    ]
    assert "0.40 is less than 0.5" in decision.reasons[1].detail


def test_how_sure_it_must_be_is_configured(decide):
    assert decide(COMPLEX, fleet(min_confidence=0.3), classifier=certain(confidence=0.4)).is_sure
    assert not decide(COMPLEX, fleet(min_confidence=0.95), classifier=certain(confidence=0.9)).is_sure


@pytest.mark.parametrize("confidence", [0.1, 0.9])
def test_task_types_and_pins_hold_however_sure_it_is(decide, confidence):
    classifier = certain(confidence=confidence)
    table = make_table(*five_tiers(), classifier=True)
    asked = {"table": table, "classifier": classifier, "cost_quality": 0.0}
    assert decide("hi", task_type="legal", **asked).tier == 4
    assert decide("hi", agent="security_agent", **asked).tier == 4
    assert decide("the constitution", **asked).tier == 5
    assert decide("what is an image?", **asked).tier == 4
    assert decide("hi", force_model="t3", **asked).tier == 3


def test_not_sure_it_takes_the_cheapest_at_the_floor_unless_the_request_states_a_dial(decide):
    table = make_table(
        make_model("weak", 1, 1, ability=-3.0), make_model("able", 1, 1001, ability=3.0), make_model("dear", 5, 10**6),
        classifier=True, cost_quality=0.9,
    )  # fmt: skip
    unsure = certain(confidence=0.4)
    decision = decide("hi", table, classifier=unsure)
    assert (decision.model.name, decision.cost_quality) == ("weak", 0.0)
    assert decide("hi", table, classifier=unsure, cost_quality=0.9).model.name == "able"
    assert decide("hi", table, classifier=certain(confidence=0.9)).model.name == "able"


def test_filters_strike_before_the_dial_weighs(decide):
    decision = decide("hi", fleet(), classifier=certain(), cost_quality=1.0, unavailable=[2])
    assert decision.model.name == "middle"
    assert decide("hi", fleet(), classifier=certain(), cost_quality=1.0, max_tier=1).model.name == "cheap"


def test_what_was_struck_still_sets_the_scale_of_prices(decide):
    one, other = (decide("hi", fleet(), classifier=certain(), unavailable=down) for down in ([], [2]))
    assert [c.utility for c in one.candidates] == [c.utility for c in other.candidates]


@pytest.mark.parametrize("name", TEXTS)
def test_whatever_the_text_someone_answers(decide, name):
    roomy = (make_deployment("m@x", context_tokens=2**31 - 1),)
    table = make_table(make_model("m", 1, deployments=roomy), classifier=True)
    decision = decide(TEXTS[name], table, classifier=make_classifier())
    assert decision.model.name == "m"
    assert 0.0 <= decision.expected_quality <= 1.0


# ---- off ------------------------------------------------------------------------------------------------------------------


def test_off_it_is_not_asked_even_if_there_is_one(decide):
    decision = decide(COMPLEX, fleet(classifier=False), classifier=certain())
    assert (decision.floor, decision.assessment, decision.classifier) == (4, None, None)
    assert (decision.confidence, decision.expected_quality, decision.cost_quality) == (None, None, None)
    assert codes(decision) == [ReasonCode.COMPLEXITY_FLOOR, ReasonCode.CHEAPEST]


@pytest.mark.parametrize("classifier", [None, certain()])
def test_off_a_stated_dial_is_refused(decide, classifier):
    with pytest.raises(NoClassifierError, match="cost_quality needs the learned classifier") as caught:
        decide("hi", fleet(classifier=False), classifier=classifier, cost_quality=0.5)
    assert caught.value.name == "cost_quality"


@pytest.mark.parametrize("router_type", [Router, ReferenceRouter])
def test_rules_that_want_a_classifier_need_one(router_type):
    with pytest.raises(ValueError, match="want a classifier"):
        router_type(fleet(), make_state(fleet()))


@pytest.mark.parametrize("dial", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_dial_beyond_its_ends_is_a_value_error(dial):
    with pytest.raises(ValueError, match="cost_quality must be 0 to 1"):
        Request("hi", cost_quality=dial)


def test_a_request_shows_its_dial():
    assert Request("hi").cost_quality is None
    assert Request("hi", cost_quality=0.0).cost_quality == 0.0


@pytest.mark.parametrize("router_type", [Router, ReferenceRouter])
def test_a_domain_that_the_weights_do_not_know_is_refused_by_its_path(router_type):
    table = Table([make_model("m", 1, ability_by_domain={"cooking": 1.0})], make_routing(classifier=True))
    with pytest.raises(TableError) as caught:
        router_type(table, make_state(table), certain())
    assert caught.value.path == "models[0].ability_by_domain.cooking"
    assert "mathematics, code, chat" in caught.value.message

    abilities = {"cheap": Ability(overall=1.0, domains={"cooking": 1.0})}
    classifier = certain(lambda weights: make_calibration(weights, pair=None, abilities=abilities))
    with pytest.raises(CalibrationError) as refused:
        router_type(fleet(), make_state(fleet()), classifier)
    assert refused.value.path == "abilities['cheap'].domains['cooking']"


# ---- what is said ---------------------------------------------------------------------------------------------------------


def test_the_reasons_tell_difficulty_domain_confidence_quality_and_price(decide):
    decision = decide("hi", fleet(), classifier=certain(difficulty=1.25, domain="code", confidence=0.8))
    assessed, choice = decision.reasons
    assert assessed.subject == "code"
    for figure in ("1.25", "code (99%)", "0.80"):
        assert figure in assessed.detail
    assert choice.subject == "middle@x"
    for figure in ("the dial at 0.5", f"{decision.expected_quality:.2f}", "USD"):
        assert figure in choice.detail


def test_candidates_are_ranked_by_utility_and_the_chosen_one_is_first(decide):
    decision = decide("hi", fleet(), classifier=certain(difficulty=-1.0), cost_quality=0.4)
    assert [candidate.deployment for candidate in decision.candidates] == [0, 1, 2]
    ranked = sorted(decision.candidates, key=lambda candidate: candidate.rank)
    assert ranked[0].deployment == decision.deployment
    assert [candidate.rank for candidate in ranked] == [1, 2, 3]
    assert [c.utility for c in ranked] == sorted((c.utility for c in ranked), reverse=True)
    assert ranked[0].expected_quality == decision.expected_quality
    assert ranked[0].cost_picousd == decision.estimated_cost_picousd


def test_candidates_that_are_out_say_why(decide):
    table = make_table(*five_tiers(), classifier=True)
    decision = decide(
        "what is an image?", table, classifier=certain(), task_type="legal", unavailable=[4], cost_quality=0.0
    )
    out = {candidate.deployment: candidate for candidate in decision.candidates if candidate.rank == 0}
    assert {place: candidate.code for place, candidate in out.items()} == {
        0: ReasonCode.TASK_TYPE_FLOOR,
        1: ReasonCode.TASK_TYPE_FLOOR,
        2: ReasonCode.TASK_TYPE_FLOOR,
        4: ReasonCode.FILTERED_UNAVAILABLE,
    }
    assert out[0].detail == "t1@x is of tier 1, below the floor of 4."
    assert out[4].detail == "t5@x is left out: it is unavailable."


def test_candidates_below_the_floor_of_the_class_say_so(decide):
    decision = decide(COMPLEX, fleet(), classifier=certain(confidence=0.1))
    assert [candidate.code for candidate in decision.candidates] == [ReasonCode.COMPLEXITY_FLOOR] * 2 + [None]


def test_candidates_that_do_not_see_give_way_to_one_that_does(decide):
    decision = decide("what is an image?", fleet(), classifier=certain(), cost_quality=0.0)
    assert [candidate.code for candidate in decision.candidates] == [ReasonCode.PREFER_VISION] * 2 + [None]


def test_by_the_rules_of_the_class_candidates_are_ranked_by_price(decide):
    decision = decide("hi", fleet(classifier=False))
    assert [candidate.rank for candidate in decision.candidates] == [1, 2, 3]
    assert {(candidate.utility, candidate.expected_quality) for candidate in decision.candidates} == {(None, None)}

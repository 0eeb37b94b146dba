import pytest

from tests.core.fleets import five_tiers, make_model, make_table
from tierway_core import ReasonCode, Request, UnknownModelError, UnknownTaskTypeError

COMPLEX = "python roadmap"
INT64_MAX = 2**63 - 1


def codes(decision):
    return [reason.code for reason in decision.reasons]


def test_an_unknown_task_type_is_an_error_that_lists_the_known_ones(decide):
    with pytest.raises(UnknownTaskTypeError) as caught:
        decide("hi", task_type="leagl")
    assert (caught.value.name, caught.value.known) == ("leagl", ("legal",))


def test_an_unknown_forced_model_is_an_error_that_names_it(decide):
    with pytest.raises(UnknownModelError) as caught:
        decide("hi", force_model="t9")
    assert caught.value.name == "t9"


@pytest.mark.parametrize("name", ["extra_input_tokens", "max_tokens", "latency_budget_s", "min_compliance"])
def test_a_request_with_a_negative_limit_is_a_value_error(name):
    with pytest.raises(ValueError, match="0 or more"):
        Request("hi", **{name: -1})


@pytest.mark.parametrize("name", ["latency_budget_s", "min_compliance"])
def test_a_request_with_a_limit_that_is_no_number_is_a_value_error(name):
    with pytest.raises(ValueError, match="0 or more"):
        Request("hi", **{name: float("nan")})


def test_a_count_beyond_64_bits_is_an_overflow_error():
    with pytest.raises(OverflowError):
        Request("hi", max_tokens=2**63)


def test_a_request_needs_a_text():
    with pytest.raises(TypeError):
        Request(None)


def test_a_request_cannot_be_changed():
    with pytest.raises(AttributeError):
        Request("hi").text = "ho"


def test_the_cheapest_at_or_above_the_floor_is_chosen(decide):
    table = make_table(
        make_model("below", 1, 1), make_model("dear", 2, 9), make_model("cheap", 3, 3), make_model("mid", 5, 4)
    )
    decision = decide("word " * 10, table)
    assert decision.model.name == "cheap"
    assert codes(decision) == [ReasonCode.COMPLEXITY_FLOOR, ReasonCode.CHEAPEST]


def test_the_estimate_takes_input_and_expected_output(decide):
    decision = decide("abcdefgh", make_table(make_model("m", 1, input_picousd=7, output_picousd=11)))
    assert (decision.input_tokens, decision.output_tokens, decision.estimated_cost_picousd) == (
        2,
        100,
        2 * 7 + 100 * 11,
    )


def test_a_stated_maximum_replaces_the_expected_output(decide):
    decision = decide("abcdefgh", make_table(make_model("m", 1, input_picousd=7, output_picousd=11)), max_tokens=3)
    assert (decision.output_tokens, decision.estimated_cost_picousd) == (3, 2 * 7 + 3 * 11)


def test_cheapest_depends_on_the_mix_of_input_and_output(decide):
    table = make_table(
        make_model("reads", 1, output_picousd=9000),
        make_model("writes", 1, input_picousd=9000),
    )
    assert decide("x" * 40, table, max_tokens=1).model.name == "reads"
    assert decide("x", table, max_tokens=100).model.name == "writes"


def test_a_cost_beyond_64_bits_saturates(decide):
    decision = decide("hi there", make_table(make_model("m", 1, INT64_MAX)))
    assert decision.estimated_cost_picousd == INT64_MAX


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_cost_the_lower_tier_is_chosen_however_busy(decide, order):
    models = [make_model("high", 3), make_model("low", 2)][::order]
    decision = decide("hi", make_table(*models), in_flight={0: 1, 1: 1})
    assert decision.model.name == "low"
    busy = decision.deployment
    assert decide("hi", make_table(*models), in_flight={busy: 2}).model.name == "low"


def test_of_equal_cost_and_tier_the_less_busy_is_chosen(decide):
    table = make_table(make_model("m", 1, places=("a", "b", "c")))
    assert decide("hi", table, in_flight={0: 2, 1: 1, 2: 1}).deployment == 1


def test_of_equals_the_first_is_chosen(decide):
    assert decide("hi", make_table(make_model("m", 1, places=("a", "b")), make_model("n", 1))).deployment == 0


def test_with_nothing_at_the_floor_the_best_tier_below_serves_and_says_so(decide):
    table = make_table(make_model("t1", 1, 1), make_model("t3", 3, 9), make_model("t3b", 3, 5))
    decision = decide(COMPLEX, table)
    assert (decision.model.name, decision.floor) == ("t3b", 4)
    assert codes(decision) == [ReasonCode.COMPLEXITY_FLOOR, ReasonCode.FLOOR_DEGRADED, ReasonCode.CHEAPEST]


def test_a_task_type_raises_the_floor(decide):
    decision = decide("hi", task_type="legal")
    assert (decision.floor, decision.tier) == (4, 4)
    assert decision.reasons[1][:2] == (ReasonCode.TASK_TYPE_FLOOR, "legal")


def test_a_task_type_does_not_lower_the_floor(decide):
    table = make_table(*five_tiers(), task_types={"chat": 1})
    decision = decide(COMPLEX, table, task_type="chat")
    assert (decision.floor, codes(decision)) == (4, [ReasonCode.COMPLEXITY_FLOOR, ReasonCode.CHEAPEST])


def test_speaking_of_images_prefers_models_that_see(decide):
    decision = decide("what is an image?")
    assert decision.tier == 4
    assert codes(decision) == [ReasonCode.COMPLEXITY_FLOOR, ReasonCode.PREFER_VISION, ReasonCode.CHEAPEST]


def test_speaking_of_images_has_an_answer_where_nothing_sees(decide):
    decision = decide("what is an image?", make_table(make_model("blind", 1)))
    assert codes(decision) == [ReasonCode.COMPLEXITY_FLOOR, ReasonCode.CHEAPEST]


def test_the_floor_counts_more_than_seeing(decide):
    table = make_table(make_model("seeing", 1, vision=True), make_model("able", 4))
    assert decide(f"image {COMPLEX}", table).model.name == "able"


def test_reading_a_decision_twice_gives_the_same(decide):
    decision = decide("hi")
    assert decision.reasons == decision.reasons
    assert decision.features == decision.features


def test_every_reason_is_one_sentence(decide):
    table = make_table(*five_tiers(), task_types={"legal": 3})
    decision = decide("an image", table, agent="security_agent", task_type="legal", unavailable=[4])
    assert len(decision.reasons) == 8
    for reason in decision.reasons:
        assert reason.detail.endswith(".")
        assert "\n" not in reason.detail

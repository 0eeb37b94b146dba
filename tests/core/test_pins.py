from tests.core.fleets import five_tiers, make_model, make_table
from tierway_core import ReasonCode

COMPLEX = "python roadmap"


def codes(decision):
    return [reason.code for reason in decision.reasons]


def struck(decision):
    return {
        decision.table.deployments[i].model.name: ReasonCode(code) for i, code in enumerate(decision.filtered) if code
    }


def test_a_critical_agent_gets_the_accurate_tier(decide):
    decision = decide("hi", agent="security_agent")
    assert (decision.tier, decision.pin, decision.floor) == (4, 4, 1)
    assert decision.reasons[1][:2] == (ReasonCode.PIN_AGENT, "security_agent")
    assert struck(decision) == dict.fromkeys(["t1", "t2", "t3"], ReasonCode.FILTERED_TIER)


def test_any_other_agent_is_not_pinned(decide):
    assert decide("hi", agent="Security_Agent").tier == 1


def test_a_governance_query_gets_the_governance_tier(decide):
    decision = decide("What does the constitution say?")
    assert (decision.tier, decision.pin) == (5, 5)
    assert ReasonCode.PIN_GOVERNANCE in codes(decision)


def test_the_higher_of_two_pins_holds(decide):
    assert decide("the constitution", agent="security_agent").pin == 5
    table = make_table(*five_tiers(), governance_tier=2)
    assert decide("the constitution", table, agent="security_agent").pin == 4


def test_an_image_needs_a_model_that_sees(decide):
    decision = decide("hi", has_image=True)
    assert (decision.tier, codes(decision)[1]) == (4, ReasonCode.PIN_VISION)
    assert struck(decision) == dict.fromkeys(["t1", "t2", "t3"], ReasonCode.FILTERED_VISION)


def test_an_image_needs_no_preference_beside_the_pin(decide):
    assert ReasonCode.PREFER_VISION not in codes(decide("look at this picture", has_image=True))


def test_a_forced_model_overrides_floor_and_pins(decide):
    decision = decide(f"the constitution, {COMPLEX}", agent="security_agent", task_type="legal", force_model="t2")
    assert (decision.model.name, decision.floor, decision.pin) == ("t2", 1, 1)
    assert codes(decision)[0] == ReasonCode.FORCED_MODEL
    assert set(struck(decision).values()) == {ReasonCode.FILTERED_FORCED_MODEL}
    assert ReasonCode.FLOOR_DEGRADED not in codes(decision)


def test_a_forced_model_has_no_fallback_but_its_own_deployments(decide):
    table = make_table(make_model("a", 1, places=("x", "y"), fallback=("b",)), make_model("b", 1))
    assert decide("hi", table, force_model="a").fallback == (1,)

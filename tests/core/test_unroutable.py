"""What is said when nothing may answer: the kind, and the field at fault."""

import pytest

from tests.core.fleets import five_tiers, make_deployment, make_model, make_table
from tierway_core import Feature, ReasonCode, UnroutableKind

PIN, NONE, LONG, DOWN = (
    UnroutableKind.PIN_UNSATISFIABLE,
    UnroutableKind.NO_CANDIDATE,
    UnroutableKind.CONTEXT_TOO_LONG,
    UnroutableKind.NO_DEPLOYMENT_AVAILABLE,
)

SMALL = [make_model("t1", 1), make_model("t2", 2)]


@pytest.mark.parametrize(
    ("request_fields", "kind", "field"),
    [
        ({"has_image": True}, PIN, "query.messages"),
        ({"agent": "security_agent"}, PIN, "preferences.agent"),
        ({"agent": "security_agent", "max_tier": 3}, PIN, "preferences.max_tier"),
        ({"min_tier": 3}, NONE, "preferences.min_tier"),
        ({"min_tier": 3, "max_tier": 4}, NONE, "preferences.min_tier"),
        ({"max_tier": 0}, NONE, "preferences.max_tier"),
        ({"min_compliance": 0.95}, NONE, "preferences.min_compliance"),
        ({"max_tokens": 9000}, LONG, "query"),
        ({"max_cost_picousd": 1}, NONE, "preferences.max_cost_usd"),
        ({"latency_budget_s": 0.01}, NONE, "preferences.latency_budget"),
        ({"unavailable": [0, 1]}, DOWN, ""),
        ({"force_model": "t1", "has_image": True}, PIN, "query.messages"),
        ({"force_model": "t1", "min_tier": 2}, PIN, "preferences.min_tier"),
        ({"force_model": "t2", "max_tier": 1}, PIN, "preferences.max_tier"),
        ({"force_model": "t1", "min_compliance": 0.95}, PIN, "preferences.min_compliance"),
        ({"force_model": "t1", "max_tokens": 9000}, PIN, "query"),
        ({"force_model": "t1", "max_cost_picousd": 1}, PIN, "preferences.max_cost_usd"),
        ({"force_model": "t1", "latency_budget_s": 0.01}, PIN, "preferences.latency_budget"),
        ({"force_model": "t1", "unavailable": [0]}, DOWN, ""),
    ],
)
def test_each_cause_has_its_kind_and_its_field(refuse, request_fields, kind, field):
    error = refuse("hi", make_table(*SMALL), **request_fields)
    assert (error.kind, error.field) == (kind, field)
    assert error.message == str(error) != ""


@pytest.mark.parametrize(
    ("request_fields", "kind", "field"),
    [
        ({"needs_response_format": True}, NONE, "query.response_format"),
        ({"needs_logprobs": True}, NONE, "sampling.top_logprobs"),
        ({"force_model": "t1", "needs_response_format": True}, PIN, "query.response_format"),
        ({"force_model": "t1", "needs_logprobs": True}, PIN, "sampling.top_logprobs"),
    ],
)
def test_a_missing_capability_has_its_kind_and_its_field(refuse, request_fields, kind, field):
    error = refuse("hi", make_table(make_model("t1", 1, response_format=False, logprobs=False)), **request_fields)
    assert (error.kind, error.field) == (kind, field)


@pytest.mark.parametrize(
    ("lacks", "needs", "field"),
    [
        (Feature.TOOLS, Feature.TOOLS | Feature.SEED, "query.tools"),
        (Feature.PARALLEL_TOOLS, Feature.TOOLS | Feature.PARALLEL_TOOLS, "query.tool_choice"),
        (Feature.IMAGE_URI, Feature.IMAGE_URI | Feature.IMAGE_DATA, "query.messages"),
        (Feature.TOP_K, Feature.TOP_K, "sampling.top_k"),
    ],
)
def test_what_a_deployment_lacks_blames_the_field_that_needs_it(refuse, lacks, needs, field):
    table = make_table(make_model("t1", 1, deployments=(make_deployment("t1@x", lacks=lacks),)))
    error = refuse("hi", table, needs=needs)
    assert (error.kind, error.field) == (NONE, field)
    forced = refuse("hi", table, needs=needs, force_model="t1")
    assert (forced.kind, forced.field) == (PIN, field)
    assert forced.message.startswith("the forced model t1 can not ")


def test_the_one_thing_that_most_deployments_lack_is_blamed(refuse):
    lacking = (Feature.TOP_K, Feature.SEED, Feature.SEED | Feature.HIGH_TEMPERATURE)
    places = tuple(make_deployment(f"m@{place}", lacks=lacks) for place, lacks in enumerate(lacking))
    error = refuse("hi", make_table(make_model("m", 1, deployments=places)), needs=~Feature(0))
    assert (error.field, error.message) == ("sampling.seed", "no model that is otherwise fit can take a seed")


def test_a_governance_query_without_its_tier_blames_the_query(refuse):
    error = refuse("the constitution", make_table(*SMALL))
    assert (error.kind, error.field) == (PIN, "query")
    assert "tier 5" in error.message


def test_the_policy_s_own_compliance_floor_blames_no_field(refuse):
    error = refuse("hi", make_table(*SMALL, min_compliance=0.95))
    assert (error.kind, error.field) == (NONE, "")


def test_a_forced_model_below_the_policy_s_compliance_blames_the_forcing(refuse):
    table = make_table(*SMALL, make_model("t5", 5, compliance=1.0), min_compliance=0.95)
    error = refuse("hi", table, force_model="t1")
    assert (error.kind, error.field) == (PIN, "preferences.force_model")


def test_one_that_is_merely_unavailable_decides_for_unavailable(refuse):
    error = refuse("hi", make_table(*SMALL), max_tier=1, unavailable=[0])
    assert error.kind is DOWN


def test_the_furthest_filter_decides(refuse):
    small = make_model("small", 1, deployments=(make_deployment("small@x", context_tokens=10),))
    dear = make_model("dear", 1, 10**6)
    error = refuse("hi", make_table(small, dear), max_cost_picousd=1, max_tokens=100)
    assert error.field == "preferences.max_cost_usd"


def test_the_error_says_what_struck_each_deployment(refuse):
    error = refuse("hi", make_table(*five_tiers()), max_tier=1, unavailable=[0])
    assert [(reason.code, reason.subject) for reason in error.reasons] == [
        (ReasonCode.COMPLEXITY_FLOOR, ""),
        (ReasonCode.FILTERED_UNAVAILABLE, "t1@x"),
        *((ReasonCode.FILTERED_TIER, f"t{tier}@x") for tier in range(2, 6)),
    ]

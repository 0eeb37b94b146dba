"""Each filter, at its boundary, and their order."""

import pytest

from tests.core.fleets import make_deployment, make_model, make_table
from tierway_core import Feature, ReasonCode, UnroutableKind

F = ReasonCode
LIMITED = make_deployment("broken@x", lacks=Feature.TOP_K | Feature.TOOLS)


def fit(**changes):
    """A model that no test here strikes, dear so that it is the second choice."""
    place = make_deployment("fit@x", context_tokens=2**31 - 1, expected_latency_s=0.0)
    return make_model("fit", 3, 0, **{"vision": True, "compliance": 1.0, "deployments": (place,)} | changes)


@pytest.mark.parametrize(
    ("model", "request_fields", "code"),
    [
        ({}, {"force_model": "fit"}, F.FILTERED_FORCED_MODEL),
        ({}, {"has_image": True}, F.FILTERED_VISION),
        ({"response_format": False}, {"needs_response_format": True}, F.FILTERED_RESPONSE_FORMAT),
        ({"logprobs": False}, {"needs_logprobs": True}, F.FILTERED_LOGPROBS),
        ({"deployments": (LIMITED,)}, {"needs": Feature.SEED | Feature.TOP_K}, F.FILTERED_UNSUPPORTED),
        ({"tier": 2}, {"min_tier": 3}, F.FILTERED_TIER),
        ({"tier": 4}, {"max_tier": 3}, F.FILTERED_TIER),
        ({"compliance": 0.84}, {"min_compliance": 0.85}, F.FILTERED_COMPLIANCE),
        ({}, {"max_tokens": 8192}, F.FILTERED_CONTEXT),
        ({}, {"extra_input_tokens": 8191}, F.FILTERED_CONTEXT),
        ({}, {"max_cost_picousd": 100_999}, F.FILTERED_COST),
        ({}, {"max_cost_picousd": 0}, F.FILTERED_COST),
        ({}, {"latency_budget_s": 0.0999}, F.FILTERED_LATENCY),
    ],
)
def test_what_breaks_a_limit_is_left_out_and_named(decide, model, request_fields, code):
    table = make_table(make_model("broken", **{"tier": 1} | model), fit())
    decision = decide("hi", table, **request_fields)
    assert (decision.model.name, decision.filtered) == ("fit", bytes([code, 0]))
    assert [reason.subject for reason in decision.reasons if reason.code is code] == ["broken@x"]


@pytest.mark.parametrize(
    "request_fields",
    [
        {"force_model": "m"},
        {"min_tier": 2, "max_tier": 2},
        {"min_compliance": 0.9},
        {"max_tokens": 8191},
        {"extra_input_tokens": 8190},
        {"max_cost_picousd": 101_000},
        {"latency_budget_s": 0.1},
        {"needs_response_format": True, "needs_logprobs": True},
        {"needs": ~Feature(0)},
    ],
)
def test_what_just_meets_a_limit_is_left(decide, request_fields):
    assert decide("hi", make_table(make_model("m", 2, 1000)), **request_fields).filtered == b"\x00"


def test_the_unavailable_is_left_out_and_named(decide):
    decision = decide("hi", make_table(make_model("m", 1, places=("a", "b"))), unavailable=[0])
    assert (decision.deployment, decision.filtered) == (1, bytes([F.FILTERED_UNAVAILABLE, 0]))


@pytest.mark.parametrize(
    ("lacks", "needs", "what"),
    [
        (Feature.TOP_K, Feature.TOP_K, "take top_k"),
        (Feature.TOP_K, ~Feature.TOOLS, "take top_k"),
        (Feature.TOOLS | Feature.TOP_K, Feature.TOP_K | Feature.TOOLS, "call functions or take top_k"),
        (
            Feature.TOOLS | Feature.SEED | Feature.TOP_K,
            ~Feature.PENALTIES,
            "call functions, take top_k or take a seed",
        ),
    ],
)
def test_the_reason_names_what_is_lacking_of_what_is_needed(decide, lacks, needs, what):
    broken = make_model("broken", 1, deployments=(make_deployment("broken@x", lacks=lacks),))
    decision = decide("hi", make_table(broken, fit()), needs=needs)
    details = [reason.detail for reason in decision.reasons if reason.code is F.FILTERED_UNSUPPORTED]
    assert details == [f"broken@x is left out: it cannot {what}."]


@pytest.mark.parametrize("feature", Feature)
def test_every_feature_can_be_lacking_and_told(decide, refuse, feature):
    broken = make_model("broken", 1, deployments=(make_deployment("broken@x", lacks=feature),))
    assert decide("hi", make_table(broken), needs=~feature).filtered == b"\x00"
    error = refuse("hi", make_table(broken), needs=feature)
    assert (error.kind, bool(error.field)) == (UnroutableKind.NO_CANDIDATE, True)
    assert error.message.startswith("no model that is otherwise fit can ")


def test_deployments_of_one_model_that_differ_in_what_they_lack_are_told_apart(decide):
    places = (make_deployment("m@x", lacks=Feature.TOOLS), make_deployment("m@y"))
    decision = decide("hi", make_table(make_model("m", 1, deployments=places)), needs=Feature.TOOLS)
    assert decision.filtered == bytes([F.FILTERED_UNSUPPORTED, 0])


def test_the_policy_s_compliance_holds_beside_the_request_s(decide):
    table = make_table(make_model("m", 1, compliance=0.8), fit(), min_compliance=0.85)
    assert decide("hi", table, min_compliance=0.1).filtered == bytes([F.FILTERED_COMPLIANCE, 0])


def test_an_input_beyond_64_bits_saturates_and_fits_nowhere(refuse):
    assert refuse("hi there", make_table(fit()), extra_input_tokens=2**63 - 1, max_tokens=2**63 - 1).field == "query"


def test_only_the_first_filter_that_strikes_is_recorded(decide):
    """All at once, then one less each time: the order is the specification's."""
    broken = make_model(
        "broken", 1, 10**9, compliance=0.1, response_format=False, logprobs=False, deployments=(LIMITED,)
    )
    limits = {
        F.FILTERED_FORCED_MODEL: {"force_model": "fit"},
        F.FILTERED_VISION: {"has_image": True},
        F.FILTERED_RESPONSE_FORMAT: {"needs_response_format": True},
        F.FILTERED_LOGPROBS: {"needs_logprobs": True},
        F.FILTERED_UNSUPPORTED: {"needs": Feature.TOP_K},
        F.FILTERED_TIER: {"min_tier": 2},
        F.FILTERED_COMPLIANCE: {"min_compliance": 0.5},
        F.FILTERED_CONTEXT: {"max_tokens": 10_000},
        F.FILTERED_COST: {"max_cost_picousd": 10},
        F.FILTERED_LATENCY: {"latency_budget_s": 0.01},
        F.FILTERED_UNAVAILABLE: {},
    }
    found = []
    remaining = list(limits.values())
    while remaining:
        request_fields = {name: value for limit in remaining for name, value in limit.items()}
        found.append(F(decide("hi", make_table(broken, fit()), unavailable=[0], **request_fields).filtered[0]))
        remaining.pop(0)
    assert found == list(limits)

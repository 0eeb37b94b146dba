"""Rules, tenants, experiments and budgets: what they make of a decision; on the compiled core and on its twin."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.fleets import five_tiers, make_deployment, make_model, make_table
from tests.core.networks import make_classifier
from tierway_core import (
    ArmSpec,
    BudgetSpec,
    Complexity,
    ExperimentSpec,
    LimitSpec,
    ReasonCode,
    Request,
    Router,
    RuleSpec,
    State,
    TenantSpec,
    UnroutableError,
    UnroutableKind,
)
from tierway_core.chance import mix
from tierway_core.reference import ReferenceRouter

NOW_NS = 10**12
CLASSIFIER = make_classifier()
BUDGET = BudgetSpec(name="all", limit_picousd=10**9, low_share=0.5)


@pytest.fixture
def router(implementation: str) -> Callable[..., Any]:
    """router(*models, spent=(), **routing): everything is up; of each budget so much is reserved."""
    router_type: Any = Router if implementation == "compiled" else ReferenceRouter

    def router(*models: Any, spent: Any = (), **routing: Any) -> Any:
        table = make_table(*(models or five_tiers()), **routing)
        state = State(len(table.deployments), limits=len(table.limits), budgets=len(table.budgets))
        for deployment in table.deployments:
            state.set_available(deployment.index, True)
        for place, budget in enumerate(table.budgets):
            state.set_budget(place, budget.limit_picousd)
            assert state.reserve(place, NOW_NS, spent[place])
        return router_type(table, state, CLASSIFIER)

    return router


def decide(router: Any, text: str = "hi", draw: int = 0, **request: Any) -> Any:
    return router.decide(Request(text, **request), NOW_NS, draw)


def refuse(router: Any, **request: Any) -> UnroutableError:
    with pytest.raises(UnroutableError) as caught:
        decide(router, **request)
    return caught.value


def codes(decision: Any) -> list[ReasonCode]:
    return [reason.code for reason in decision.reasons]


# ---- rules ------------------------------------------------------------------------------------------------------------


def test_the_first_rule_that_matches_holds(router):
    made = router(
        rules=(
            RuleSpec(name="others", agents=frozenset({"other"})),
            RuleSpec(name="simple", classes=frozenset({Complexity.SIMPLE})),
            RuleSpec(name="mine", agents=frozenset({"me"}), strategy="least_busy"),
            RuleSpec(name="late", agents=frozenset({"me"})),
        )
    )
    decision = decide(made, agent="me")
    assert (decision.rule, decision.strategy) == ("mine", "least_busy")
    assert ReasonCode.RULE in codes(decision)
    assert decide(made).rule == ""
    assert decide(made, "word " * 20, agent="me").rule == "simple"


def test_the_hundredth_rule_is_found(router):
    idle = [RuleSpec(name=f"r{place}", agents=frozenset({f"agent {place}"})) for place in range(99)]
    made = router(rules=(*idle, RuleSpec(name="last", agents=frozenset({"me"}))))
    assert decide(made, agent="me").rule == "last"
    assert decide(made, agent="agent 64").rule == "r64"


def test_the_caller_s_strategy_comes_before_the_rule_s(router):
    made = router(rules=(RuleSpec(name="all", strategy="least_busy"),), strategy="weighted")
    assert decide(made, strategy="usage_based").strategy == "usage_based"
    assert decide(made).strategy == "least_busy"
    assert decide(router(strategy="weighted")).strategy == "weighted"


def test_a_pin_stands_above_a_rule_s_tiers(router):
    made = router(rules=(RuleSpec(name="cheap", max_tier=1),))
    assert decide(made).tier == 1
    assert decide(made, agent="security_agent").tier == 4
    assert decide(made, force_model="t5").tier == 5


def test_a_rule_that_leaves_nothing_is_named(router):
    made = router(make_model("t3", 3), rules=(RuleSpec(name="cheap", max_tier=2),))
    error = refuse(made)
    assert (error.kind, error.field) == (UnroutableKind.NO_CANDIDATE, "")
    assert "the rule cheap allows tiers 1 to 2" in error.message


# ---- tenants ----------------------------------------------------------------------------------------------------------


def test_a_tenant_gets_what_it_may_use(router):
    made = router(tenants=(TenantSpec(name="acme", models=frozenset({"t2", "t3"}), max_tier=2),))
    decision = decide(made, tenant="acme")
    assert decision.model.name == "t2"
    assert decision.filtered == bytes([23, 0, 23, 23, 23])
    assert decide(made).tier == decide(made, tenant="unknown").tier == 1


def test_whoever_is_unknown_is_the_default_tenant(router):
    made = router(tenants=(TenantSpec(name="default", min_tier=3), TenantSpec(name="acme")))
    assert decide(made, tenant="unknown").tier == decide(made).tier == 3
    assert decide(made, tenant="acme").tier == 1


def test_a_tenant_s_restriction_stands_above_a_forced_model(router):
    made = router(tenants=(TenantSpec(name="acme", max_tier=2),))
    error = refuse(made, tenant="acme", force_model="t3")
    assert error.kind is UnroutableKind.TENANT_RESTRICTED
    assert error.message == "the forced model t3 is not allowed to the tenant"


def test_regions_of_request_and_tenant_both_hold(router):
    places = [make_deployment(region or "nowhere", region=region) for region in ("", "eu", "us")]
    model = make_model("m", 1, deployments=tuple(places))
    made = router(model, tenants=(TenantSpec(name="acme", regions=frozenset({"eu", "us"})),))
    assert decide(made, tenant="acme").filtered == bytes([24, 0, 0])
    assert decide(made, tenant="acme", regions=frozenset({"us", "asia"})).filtered == bytes([24, 24, 0])
    error = refuse(made, regions=frozenset({"asia"}))
    assert (error.kind, error.field) == (UnroutableKind.NO_CANDIDATE, "preferences.regions")


# ---- experiments --------------------------------------------------------------------------------------------------------


def experiment(*, shadow: bool) -> dict[str, Any]:
    arms = (ArmSpec(name="a", share=0.25, strategy="least_busy"), ArmSpec(name="b", share=0.25, strategy="weighted"))
    return {
        "experiments": (ExperimentSpec(name="try", arms=arms, shadow=shadow),),
        "rules": (RuleSpec(name="all", experiment="try"),),
    }


def test_an_experiment_s_arms_get_their_shares(router):
    made = router(**experiment(shadow=False))
    arms = Counter((d.arm, d.strategy) for d in (decide(made, draw=mix(number)) for number in range(2000)))
    assert set(arms) == {("a", "least_busy"), ("b", "weighted"), ("", "cheapest")}
    assert arms["a", "least_busy"] == pytest.approx(500, abs=80)
    assert arms["b", "weighted"] == pytest.approx(500, abs=80)


def test_a_sticky_key_keeps_its_arm(router):
    made = router(**experiment(shadow=False))
    arms = {key: {decide(made, draw=draw, sticky_key=key).arm for draw in range(20)} for key in "abcdefgh"}
    assert all(len(seen) == 1 for seen in arms.values())
    assert len(set.union(*arms.values())) > 1


def test_a_shadow_is_told_and_not_executed(router):
    made = router(make_model("m", 1, places=("x", "y", "z")), **experiment(shadow=True))
    shadows = [d for d in (decide(made, draw=mix(number)) for number in range(400)) if d.arm == "b"]
    assert {(d.strategy, d.deployment) for d in shadows} == {("cheapest", 0)}
    assert {d.shadow_deployment for d in shadows} == {0, 1, 2}
    assert all(
        "would have chosen" in reason.detail
        for d in shadows
        for reason in d.reasons
        if reason.code == ReasonCode.EXPERIMENT
    )


def test_who_states_a_strategy_takes_no_part(router):
    made = router(**experiment(shadow=False))
    assert {decide(made, draw=mix(number), strategy="cheapest").experiment for number in range(50)} == {""}


# ---- budgets, limits, deadlines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "factor"), [(0, 1.0), (5 * 10**8, 1.0), (75 * 10**7, 0.5), (875 * 10**6, 0.15625), (10**9, 0.0)]
)
def test_the_dial_falls_smoothly_as_a_budget_runs_low(router, spent, factor):
    made = router(
        budgets=(BudgetSpec(name="all", limit_picousd=10**9, low_share=0.5, hard=False),),
        tenants=(TenantSpec(name="acme", budget="all"),),
        classifier=True,
        min_confidence=0.0,
        cost_quality=0.8,
        strategy="least_busy",
        spent=[spent],
    )
    decision = decide(made, tenant="acme")
    assert decision.budget_factor == factor
    assert decision.cost_quality == pytest.approx(0.8 * factor)
    assert decision.full_cost_quality == 0.8
    assert decision.strategy == ("least_busy" if factor == 1.0 else "cost_quality")
    assert (ReasonCode.BUDGET_LOW in codes(decision)) == (factor < 1.0)
    assert decide(made).budget_factor == 1.0


def test_a_hard_budget_strikes_what_costs_more_than_is_left(router):
    made = router(
        make_model("cheap", 1, 10),
        make_model("dear", 2, 1000),
        budgets=(BUDGET,),
        agent_budgets={"me": "all"},
        spent=[10**9 - 5000],
    )
    decision = decide(made, agent="me")
    assert decision.filtered == bytes([0, 27])
    assert decision.budgets == (0,)
    assert refuse(made, agent="me", force_model="dear").kind is UnroutableKind.BUDGET_EXHAUSTED


def test_a_tenant_s_and_an_agent_s_budget_both_count(router):
    made = router(
        budgets=(BUDGET, BudgetSpec(name="mine", limit_picousd=10**9)),
        tenants=(TenantSpec(name="acme", budget="all"),),
        agent_budgets={"me": "mine", "you": "all"},
        spent=[0, 10**9],
    )
    assert decide(made, tenant="acme").budgets == (0,)
    assert decide(made, tenant="acme", agent="you").budgets == (0,)
    assert refuse(made, tenant="acme", agent="me").kind is UnroutableKind.BUDGET_EXHAUSTED


def test_what_cannot_answer_in_time_is_struck(router):
    places = (make_deployment("fast", expected_token_s=0.01), make_deployment("slow", expected_token_s=0.1))
    made = router(make_model("m", 1, deployments=places))
    assert decide(made, max_tokens=100, deadline_s=2.0).filtered == bytes([0, 28])
    refused = refuse(made, max_tokens=100, deadline_s=0.5)
    assert refused.kind is UnroutableKind.DEADLINE_TOO_SHORT
    # The first token in 0.1 s, and 100 at 0.01 s each: the faster of the two.
    assert refused.predicted_s == pytest.approx(1.1)
    assert refuse(made, min_compliance=1.0, deadline_s=0.5).predicted_s is None


def test_a_used_up_limit_and_an_open_breaker_strike(implementation):
    from tierway_core import Breaker

    spec = LimitSpec(name="groq", requests=1, period_s=60.0)
    places = (make_deployment("limited", limits=("groq",)), make_deployment("broken"), make_deployment("fit"))
    table = make_table(make_model("m", 1, deployments=places), limits=(spec,))
    state = State(3, limits=1)
    for place in range(3):
        state.set_available(place, True)
    state.set_limit(0, increment_ns=spec.increment_ns, burst_ns=spec.burst_ns)
    made: Any = (Router if implementation == "compiled" else ReferenceRouter)(table, state)
    assert decide(made).filtered == bytes([0, 0, 0])
    assert state.take(0, NOW_NS) == 0
    state.force_breaker(1, Breaker.OPEN)
    assert decide(made).filtered == bytes([26, 25, 0])
    state.set_available(2, False)
    assert refuse(made).kind is UnroutableKind.RATE_LIMITED
    state.force_breaker(0, Breaker.OPEN)
    assert refuse(made).kind is UnroutableKind.NO_DEPLOYMENT_AVAILABLE


def test_strategies_that_do_not_weigh_quality_are_held_to_the_assessed_tier(router):
    made = router(classifier=True, min_confidence=0.0)
    assert decide(made).floor == 1
    decision = decide(made, strategy="least_busy")
    assert decision.floor == decision.assessment.tier

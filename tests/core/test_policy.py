"""What makes limits, budgets, breakers, tenants, rules and experiments unsound, by the path that is refused."""

from typing import Any

import pytest

from tests.core.fleets import five_tiers, make_deployment, make_model, make_table
from tierway_core import (
    ArmSpec,
    BreakerSpec,
    BudgetSpec,
    ExperimentSpec,
    LimitSpec,
    Router,
    RuleSpec,
    State,
    Table,
    TableError,
    TenantSpec,
)
from tierway_core.specs import DEPLOYMENTS_MOST, REGIONS_MOST

LIMIT = LimitSpec(name="groq", requests=60, period_s=60.0)
BUDGET = BudgetSpec(name="all", limit_picousd=1)
ARM = ArmSpec(name="a", share=0.5)


@pytest.mark.parametrize(
    ("routing", "path"),
    [
        ({"strategy": "fastest"}, "routing.strategy"),
        ({"strategy": "cost_quality"}, "routing.strategy"),
        ({"prefix_s": -1.0}, "routing.prefix_s"),
        ({"limits": (LIMIT, LIMIT)}, "routing.limits[1].name"),
        ({"limits": (LimitSpec(name="x", requests=0, period_s=1.0),)}, "routing.limits[0].requests"),
        ({"limits": (LimitSpec(name="x", requests=1, period_s=float("inf")),)}, "routing.limits[0].period_s"),
        ({"limits": (LimitSpec(name="x", requests=1, period_s=1e9, burst=9),)}, "routing.limits[0].burst"),
        ({"budgets": (BudgetSpec(name="", limit_picousd=1),)}, "routing.budgets[0].name"),
        ({"budgets": (BudgetSpec(name="x", limit_picousd=0),)}, "routing.budgets[0].limit_picousd"),
        ({"budgets": (BudgetSpec(name="x", limit_picousd=1, low_share=1.5),)}, "routing.budgets[0].low_share"),
        ({"agent_budgets": {"me": "all"}}, "routing.agent_budgets.me"),
        ({"tenants": (TenantSpec(name="x", min_tier=3, max_tier=2),)}, "routing.tenants[0].max_tier"),
        ({"tenants": (TenantSpec(name="x", models=frozenset({"t9"})),)}, "routing.tenants[0].models"),
        ({"tenants": (TenantSpec(name="x", limits=("groq",)),)}, "routing.tenants[0].limits[0]"),
        (
            {"limits": (LIMIT,), "tenants": (TenantSpec(name="x", limits=("groq", "groq")),)},
            "routing.tenants[0].limits",
        ),
        ({"tenants": (TenantSpec(name="x", budget="all"),)}, "routing.tenants[0].budget"),
        ({"tenants": (TenantSpec(name="x", cost_quality=2.0),)}, "routing.tenants[0].cost_quality"),
        ({"rules": (RuleSpec(name="x", tenants=frozenset({"acme"})),)}, "routing.rules[0].tenants"),
        ({"rules": (RuleSpec(name="x", agents=frozenset({""})),)}, "routing.rules[0].agents"),
        ({"rules": (RuleSpec(name="x", task_types=frozenset({"fun"})),)}, "routing.rules[0].task_types"),
        ({"rules": (RuleSpec(name="x", labels=frozenset({"HARD"})),)}, "routing.rules[0].labels"),
        ({"rules": (RuleSpec(name="x", domains=frozenset({"code"})),)}, "routing.rules[0].domains"),
        ({"rules": (RuleSpec(name="x", strategy="fastest"),)}, "routing.rules[0].strategy"),
        ({"rules": (RuleSpec(name="x", experiment="try"),)}, "routing.rules[0].experiment"),
        ({"experiments": (ExperimentSpec(name="x", arms=()),)}, "routing.experiments[0].arms"),
        ({"experiments": (ExperimentSpec(name="x", arms=(ARM, ARM)),)}, "routing.experiments[0].arms[1].name"),
        (
            {"experiments": (ExperimentSpec(name="x", arms=(ARM, ArmSpec(name="b", share=0.6))),)},
            "routing.experiments[0].arms",
        ),
    ],
)
def test_a_policy_that_is_not_sound_is_refused_by_its_path(routing, path):
    with pytest.raises(TableError) as caught:
        make_table(*five_tiers(), **routing)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"weight": 0.0}, "weight"),
        ({"availability": 1.1}, "availability"),
        ({"expected_token_s": -0.1}, "expected_token_s"),
        ({"limits": ("nothing",)}, "limits[0]"),
        ({"breaker": BreakerSpec(error_share=1.0)}, "breaker.error_share"),
        ({"breaker": BreakerSpec(probes=64)}, "breaker.probes"),
        ({"breaker": BreakerSpec(open_s=0.0)}, "breaker.open_s"),
    ],
)
def test_a_deployment_that_is_not_sound_is_refused_by_its_path(changes, path):
    model: Any = make_model("m", 1, deployments=(make_deployment("m@x", **changes),))
    with pytest.raises(TableError) as caught:
        make_table(model)
    assert caught.value.path == f"models[0].deployments[0].{path}"


def test_a_fleet_is_not_larger_than_a_decision_can_hold():
    with pytest.raises(TableError, match="4097 deployments are more than 4096"):
        make_table(make_model("m", 1, places=[str(place) for place in range(DEPLOYMENTS_MOST + 1)]))
    places = [make_deployment(str(place), region=str(place)) for place in range(REGIONS_MOST + 1)]
    with pytest.raises(TableError, match="65 regions are more than 64"):
        make_table(make_model("m", 1, deployments=tuple(places)))


def test_the_largest_fleet_is_decided_on():
    table = make_table(make_model("m", 1, places=[str(place) for place in range(DEPLOYMENTS_MOST)]))
    state = State(DEPLOYMENTS_MOST)
    state.set_available(DEPLOYMENTS_MOST - 1, True)
    from tierway_core import Request

    assert Router(table, state).decide(Request("hi")).deployment == DEPLOYMENTS_MOST - 1


def test_a_table_tells_places_of_limits_budgets_and_tenants():
    table = make_table(
        make_model("m", 1, deployments=(make_deployment("m@x", limits=("b", "a")),)),
        limits=(LimitSpec(name="a", requests=1, period_s=1.0), LimitSpec(name="b", requests=1, period_s=1.0)),
        budgets=(BUDGET, BudgetSpec(name="other", limit_picousd=1)),
        tenants=(TenantSpec(name="acme", budget="other", limits=("b",)),),
        agent_budgets={"me": "all", "you": "other"},
    )
    tenant = table.tenant("acme")
    assert tenant is not None
    assert (table.deployments[0].limits, tenant.limits, tenant.budget) == ((1, 0), (1,), 1)
    assert table.tenant("unknown") is None
    assert [table.budgets_of(tenant, agent) for agent in ("", "me", "you")] == [(1,), (1, 0), (1,)]
    assert table.budgets_of(None, "") == ()


def test_a_state_of_other_counts_is_refused():
    table: Table = make_table(*five_tiers(), limits=(LIMIT,), budgets=(BUDGET,))
    for counts, what in (({}, "0 limits, the table has 1"), ({"limits": 1}, "0 budgets, the table has 1")):
        with pytest.raises(ValueError, match=what):
            Router(table, State(5, **counts))


def test_a_limit_s_nanoseconds():
    assert (LIMIT.increment_ns, LIMIT.burst_ns) == (10**9, 10**9)
    spec = LimitSpec(name="x", requests=10, period_s=1.0, burst=5)
    assert (spec.increment_ns, spec.burst_ns) == (10**8, 5 * 10**8)

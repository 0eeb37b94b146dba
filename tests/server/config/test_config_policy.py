"""Limits, budgets, tenants, breakers, rules and experiments: what is refused, by the exact line, and what the core gets."""

import copy

import pytest

from tierway_core import BreakerSpec, Complexity
from tierway_server.config import build_table, parse

POLICY = {
    "limits": {"groq-rpm": {"requests": 30}, "free": {"requests": 0.5, "period_s": 1, "burst": 4}},
    "budgets": {
        "pool": {"limit_usd": 12.5, "period_s": 86_400},
        "tiny": {"limit_usd": 0.000000000001, "hard": False, "low_share": 0.5},
    },
    "tenants": {
        "default": {"max_tier": 2},
        "acme": {
            "min_tier": 1,
            "models": ["large"],
            "regions": ["eu"],
            "limits": ["free"],
            "budget": "pool",
            "cost_quality": 0.9,
        },
    },
    "routing": {
        "task_types": {"summary": 2},
        "agent_budgets": {"crawler": "tiny"},
        "rules": [
            {
                "name": "law",
                "tenants": ["acme"],
                "agents": ["crawler"],
                "task_types": ["summary"],
                "classes": ["complex", "vision"],
                "domains": ["law"],
                "labels": ["reasoning"],
                "cost_quality": 1,
                "min_tier": 2,
                "max_tier": 4,
                "experiment": "dial",
            }
        ],
        "experiments": [{"name": "dial", "shadow": True, "arms": [{"name": "up", "share": 0.1, "cost_quality": 0.8}]}],
    },
}


@pytest.fixture
def granting(small):
    """The small configuration with a policy."""
    document = small | copy.deepcopy(POLICY)
    document["models"][1]["deployments"][0] |= {"region": "eu", "weight": 2.5, "limits": ["groq-rpm"]}
    return document


def put(document, path, value):
    *parents, last = path
    for part in parents:
        document = document[part]
    document[last] = value


RULE, ARM = ("routing", "rules", 0), ("routing", "experiments", 0, "arms", 0)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("limits", "free", "requests"), 0, "limits.free.requests: must be above 0"),
        (("limits", "free", "burst"), 0, "limits.free.burst: must be at least 1"),
        (("limits", "free", "period"), 1, 'limits.free.period: unknown key; did you mean "period_s"?'),
        (("limits", "free"), {}, "limits.free.requests: is required"),
        (("budgets", "pool", "limit_usd"), 0, "budgets.pool.limit_usd: must be above 0"),
        (
            ("budgets", "pool", "limit_usd"),
            0.1234567890123,
            "budgets.pool.limit_usd: is finer than 1 pico-USD: at most 12 decimal places",
        ),
        (("budgets", "pool", "low_share"), 1.5, "budgets.pool.low_share: must be at most 1"),
        (("tenants", "acme", "min_tier"), 6, "tenants.acme.min_tier: must be at most 5"),
        (("tenants", "default", "min_tier"), 3, "tenants.default.max_tier: must be at least min_tier, which is 3"),
        (
            ("tenants", "acme", "models"),
            ["lage"],
            'tenants.acme.models[0]: unknown model "lage"; did you mean "large"?',
        ),
        (
            ("tenants", "acme", "limits"),
            ["free", "fre"],
            'tenants.acme.limits[1]: unknown limit "fre"; did you mean "free"?',
        ),
        (("tenants", "acme", "limits"), ["free", "free"], 'tenants.acme.limits[1]: "free" is listed twice'),
        (("tenants", "acme", "budget"), "pol", 'tenants.acme.budget: unknown budget "pol"; did you mean "pool"?'),
        (("breaker",), {"error_share": 1}, "breaker.error_share: must be below 1"),
        (("breaker",), {"probes": 64}, "breaker.probes: must be at most 63"),
        (
            ("models", 1, "deployments", 0, "limits"),
            ["groq"],
            'models[1].deployments[0].limits[0]: unknown limit "groq"; did you mean "groq-rpm"?',
        ),
        (
            ("models", 1, "deployments", 0, "breaker"),
            {"open_s": 0},
            "models[1].deployments[0].breaker.open_s: must be above 0",
        ),
        (("models", 1, "deployments", 0, "weight"), 0, "models[1].deployments[0].weight: must be above 0"),
        (
            ("routing", "agent_budgets", "crawler"),
            "poll",
            'routing.agent_budgets.crawler: unknown budget "poll"; did you mean "pool"?',
        ),
        (
            ("routing", "strategy"),
            "cheepest",
            'routing.strategy: unknown strategy "cheepest"; did you mean "cheapest"?',
        ),
        (
            (*RULE, "strategy"),
            "least_bussy",
            'routing.rules[0].strategy: unknown strategy "least_bussy"; did you mean "least_busy"?',
        ),
        (
            (*RULE, "tenants"),
            ["acm"],
            'routing.rules[0].tenants[0]: unknown tenant "acm"; did you mean "acme"?',
        ),
        (
            (*RULE, "task_types"),
            ["sumary"],
            'routing.rules[0].task_types[0]: unknown task type "sumary"; did you mean "summary"?',
        ),
        (
            (*RULE, "classes"),
            ["hard"],
            'routing.rules[0].classes[0]: must be one of "trivial", "simple", "moderate", "complex" or "vision"',
        ),
        ((*RULE, "domains"), ["lawn"], 'routing.rules[0].domains[0]: unknown domain "lawn"; did you mean "law"?'),
        ((*RULE, "max_tier"), 1, "routing.rules[0].max_tier: must be at least min_tier, which is 2"),
        (
            (*RULE, "experiment"),
            "dail",
            'routing.rules[0].experiment: unknown experiment "dail"; did you mean "dial"?',
        ),
        (("routing", "experiments", 0, "arms"), [], "routing.experiments[0].arms: must have at least 1 item"),
        ((*ARM, "share"), 0, "routing.experiments[0].arms[0].share: must be above 0"),
        (
            (*ARM, "strategy"),
            "weihgted",
            'routing.experiments[0].arms[0].strategy: unknown strategy "weihgted"; did you mean "weighted"?',
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path(granting, problems, path, value, problem):
    put(granting, path, value)
    assert problems(granting)[0] == problem


def test_what_only_the_table_can_tell_has_the_path_of_the_file(granting, problems):
    granting["limits"]["free"] = {"requests": 1e-9, "period_s": 300_000_000, "burst": 1_000_000}
    problem = problems(granting)[0]
    assert problem.startswith("limits.free.burst: ")


def test_conditions_of_the_classifier_need_it(granting, problems):
    granting["routing"]["classifier"] = {"enabled": False}
    problem = problems(granting)[0]
    assert problem.startswith("routing.rules[0].domains: ")


def test_the_policy_reaches_the_table(granting):
    table = build_table(parse(granting))
    groq, free, provider = table.limits
    assert (groq.name, groq.requests, groq.period_s, groq.burst) == ("groq-rpm", 30, 60, 30)
    assert (free.requests, free.period_s, free.burst) == (0.5, 1, 4)
    pool, tiny = table.budgets
    assert (pool.limit_picousd, pool.period_s, pool.hard, pool.low_share) == (12_500_000_000_000, 86_400, True, 0.2)
    assert (tiny.limit_picousd, tiny.period_s, tiny.hard, tiny.low_share) == (1, 0, False, 0.5)
    acme = table.tenant("acme")
    assert acme is not None
    assert (acme.spec.models, acme.spec.regions, acme.spec.cost_quality) == ({"large"}, {"eu"}, 0.9)
    assert (acme.limits, acme.budget) == ((1,), 0)
    assert table.tenant("stranger") is table.tenant("default")
    assert table.budgets_of(acme, "crawler") == (0, 1)
    [rule] = table.routing.rules
    assert (rule.classes, rule.labels) == ({Complexity.COMPLEX, Complexity.VISION}, {"REASONING"})
    assert (rule.tenants, rule.agents, rule.task_types, rule.domains) == ({"acme"}, {"crawler"}, {"summary"}, {"law"})
    assert (rule.cost_quality, rule.min_tier, rule.max_tier, rule.experiment) == (1, 2, 4, "dial")
    [experiment] = table.routing.experiments
    assert (experiment.shadow, [(arm.name, arm.share, arm.cost_quality) for arm in experiment.arms]) == (
        True,
        [("up", 0.1, 0.8)],
    )
    large = table.deployments[1]
    assert (large.spec.region, large.spec.weight, large.limits) == ("eu", 2.5, (0, 2))
    assert (provider.name, provider.provider) == ("provider:groq", "groq")


def test_a_limit_without_a_burst_lets_a_period_s_requests_come_at_once(granting):
    granting["limits"]["groq-rpm"] = {"requests": 2.5}
    assert build_table(parse(granting)).limits[0].burst == 3


def test_a_deployment_has_the_common_breaker_but_for_what_it_states(granting):
    granting["breaker"] = {"error_share": 0.5, "open_s": 5}
    granting["models"][0]["deployments"][0]["breaker"] = {"enabled": False}
    granting["models"][1]["deployments"][0]["breaker"] = {"open_s": 60, "probes": 1}
    small, large = (deployment.spec.breaker for deployment in build_table(parse(granting)).deployments)
    assert small is None
    assert large == BreakerSpec(error_share=0.5, min_requests=20, window_s=10, open_s=60, probes=1)


def test_a_breaker_setting_can_come_from_the_environment(load_small):
    assert load_small(environ={"TIERWAY_BREAKER__OPEN_S": "7.5"}).breaker.open_s == 7.5

"""Fleets in the middle of a busy day, by chance: where nearly always something is left to choose from, and every policy is at work."""

from random import Random
from typing import Any

from tests.core.fleets import make_deployment, make_model, make_routing
from tests.core.networks import DOMAINS
from tierway_core import (
    STRATEGIES,
    ArmSpec,
    BudgetSpec,
    Complexity,
    ExperimentSpec,
    Feature,
    LimitSpec,
    ModelSpec,
    Prefixes,
    Request,
    RuleSpec,
    State,
    Table,
    TenantSpec,
)
from tierway_core.weights import LABELS

NOW_NS = 10**13
AGENTS = ("", "someone", "other", "security_agent")
PREFIXES = (0, 1, 2**64 - 3)
REGIONS = ("", "eu", "us")
TEXTS = (
    "hi",
    "Summarise what the numbers say about wind, rain and tides along the coast since last spring.",
    "Plan the migration step by step, then write the code:\n```python\ndef main():\n    return 1\n```",
    "Look at the diagram and tell what the constitution says about it.",
    "words and more words " * 60,
)


def any_table(random: Random, *, classifier: bool) -> Table:
    """Up to six models, each in up to five places; tenants, rules, experiments, limits and budgets."""
    names = [f"m{index}" for index in range(random.randint(1, 6))]
    models = [_any_model(random, name) for name in names]
    routing: dict[str, Any] = {
        "classifier": classifier,
        "min_confidence": random.choice([0.0, 0.5, 1.0]),
        "cost_quality": random.choice([0.0, 0.25, 0.5, 1.0]),
        "strategy": _any_strategy(random, classifier=classifier),
        "accurate_tier": random.randint(1, 3),
        "governance_tier": random.randint(1, 3),
        "limits": tuple(LimitSpec(name=name, requests=1.0, period_s=1.0) for name in ("slow", "other")),
        "budgets": tuple(
            BudgetSpec(
                name=name, limit_picousd=10**15, hard=random.random() < 0.3, low_share=random.choice([0.2, 0.8, 1.0])
            )
            for name in ("small", "large")
        ),
        "agent_budgets": {"someone": random.choice(["small", "large"])},
        "tenants": tuple(_any_tenant(random, name, names) for name in ("default", "acme") if random.random() < 0.7),
        "experiments": tuple(_any_experiment(random, name, classifier=classifier) for name in ("first", "second")),
    }
    tenants = [tenant.name for tenant in routing["tenants"]]
    # The ones in between hold for nobody: what comes after the 64th must be found, too.
    idle = [
        RuleSpec(name=f"idle {place}", agents=frozenset({f"agent {place}"}))
        for place in range(random.choice([0, 0, 62, 64, 130]))
    ]
    rules = [
        _any_rule(random, f"rule {place}", tenants, classifier=classifier) for place in range(random.randint(0, 4))
    ]
    return Table(models, make_routing(**routing, rules=(*rules[:1], *idle, *rules[1:])))


def any_state(random: Random, table: Table) -> State:
    """Loads, breakers, measured times, limits and budgets at NOW_NS."""
    state = State(len(table.deployments), limits=len(table.limits), budgets=len(table.budgets), workers=2)
    for deployment in table.deployments:
        index = deployment.index
        state.set_available(index, random.random() < 0.9)
        for _ in range(random.choice([0, 0, 1, 2, 5])):
            state.begin(index)
        if random.random() < 0.1:
            state.set_breaker(index, error_share=0.0, min_requests=1, window_ns=10**9, open_ns=10**9, probes=1)
            state.observe(index, NOW_NS - random.choice([1, 2 * 10**9]), ok=False)  # open, or due for a probe
            if random.random() < 0.5:
                state.try_probe(index, NOW_NS)
        for _ in range(random.randint(0, 2)):
            seconds = random.choice([0.05, 0.5, 5.0])
            tokens = random.choice([0, 1, 1, 500])
            state.observe(index, NOW_NS - 1, ok=True, first_token_s=seconds, token_s=seconds / 10, tokens=tokens)
    for limit, spec in enumerate(table.limits):
        state.set_limit(limit, increment_ns=spec.increment_ns, burst_ns=spec.burst_ns)
        if random.random() < 0.5:
            state.take(limit, NOW_NS)
    for budget, spec in enumerate(table.budgets):
        state.set_budget(budget, spec.limit_picousd)
        state.reserve(budget, NOW_NS, int(random.choice([0.0, 0.5, 0.9, 1.0]) * spec.limit_picousd))
    return state


def any_prefixes(random: Random, table: Table) -> Prefixes:
    """Who was sent which prefix, some too long ago."""
    prefixes = Prefixes(8)
    for deployment in table.deployments:
        for prefix_key in PREFIXES[1:]:
            if random.random() < 0.4:
                prefixes.remember(prefix_key, deployment.index, NOW_NS - random.choice([0, 0, 10**9, 10**12]))
    return prefixes


def any_request(random: Random, *, classifier: bool) -> Request:
    """A request that is usually sound."""
    usual = {
        "extra_input_tokens": random.choice([0, 20, 2000]),
        "max_tokens": random.choice([0, 0, 10, 500]),
        "agent": random.choice(AGENTS),
        "tenant": random.choice(["", "acme", "unknown"]),
        "prefix_key": random.choice(PREFIXES),
        "sticky_key": random.choice(["", "someone", "é"]),
    }
    rare = {
        "task_type": "legal",
        "has_image": True,
        "min_tier": 2,
        "max_tier": 3,
        "max_cost_picousd": 10**8,
        "latency_budget_s": 0.1,
        "deadline_s": random.choice([1.0, 60.0]),
        "regions": frozenset(random.sample([*REGIONS, "nowhere"], 2)),
        "force_model": "m0",
        "needs": random.choice([Feature.TOOLS, Feature.TOP_K, Feature.TOOLS | Feature.SEED]),
    }
    stated = {name: value for name, value in rare.items() if random.random() < 0.06}
    if random.random() < 0.4:
        stated["strategy"] = _any_strategy(random, classifier=classifier)
    if classifier and random.random() < 0.3:
        stated["cost_quality"] = random.choice([0.0, 0.3, 0.9])
    return Request(random.choice(TEXTS), **(usual | stated))


def _any_strategy(random: Random, *, classifier: bool) -> str:
    return random.choice(["", *(name for name in STRATEGIES if classifier or name != "cost_quality")])


def _any_model(random: Random, name: str) -> ModelSpec:
    price = random.choice([0, 1000, 1000, 5000, 10**6])
    return make_model(
        name,
        random.randint(1, 5),
        price,
        cached_input_picousd=random.choice([0, price // 10, price * 2]),
        vision=random.random() < 0.5,
        ability=random.choice([-2.0, 0.0, 0.0, 1.5]),
        deployments=tuple(
            make_deployment(
                f"{name}@{place}",
                context_tokens=random.choice([8192, 8192, 2**31 - 1, 100]),
                expected_latency_s=random.choice([0.05, 0.1, 1.0]),
                region=random.choice(REGIONS),
                weight=random.choice([1.0, 1.0, 2.5]),
                lacks=random.choice([Feature(0), Feature(0), Feature.TOOLS, Feature.TOP_K | Feature.SEED]),
                limits=tuple(random.sample(["slow", "other"], random.choice([0, 0, 1, 2]))),
            )
            for place in range(random.randint(1, 5))
        ),
    )


def _any_tenant(random: Random, name: str, models: list[str]) -> TenantSpec:
    return TenantSpec(
        name=name,
        min_tier=random.choice([1, 1, 1, 2]),
        max_tier=random.choice([5, 5, 5, 3]),
        models=frozenset(random.sample(models, len(models) - len(models) // 4)) if random.random() < 0.3 else None,
        regions=frozenset({"eu", "us"}) if random.random() < 0.2 else None,
        budget=random.choice(["", "small", "large"]),
        cost_quality=random.choice([None, 0.1, 0.9]),
    )


def _any_experiment(random: Random, name: str, *, classifier: bool) -> ExperimentSpec:
    arms = [
        ArmSpec(
            name=arm,
            share=random.choice([0.3, 0.5]),
            strategy=_any_strategy(random, classifier=classifier),
            cost_quality=random.choice([None, 0.2]),
        )
        for arm in ("a", "b")
    ]
    return ExperimentSpec(name=name, arms=tuple(arms[: random.randint(1, 2)]), shadow=random.random() < 0.5)


def _any_rule(random: Random, name: str, tenants: list[str], *, classifier: bool) -> RuleSpec:
    def some(values: Any, share: float) -> frozenset[Any]:
        values = list(values)
        return frozenset(random.sample(values, (len(values) + 1) // 2)) if random.random() < share else frozenset()

    return RuleSpec(
        name=name,
        tenants=some(tenants, 0.3),
        agents=some(AGENTS[1:], 0.3),
        task_types=some(["legal"], 0.1),
        classes=some(Complexity, 0.3),
        domains=some(DOMAINS, 0.2) if classifier else frozenset(),
        labels=some(LABELS, 0.2) if classifier else frozenset(),
        strategy=_any_strategy(random, classifier=classifier),
        cost_quality=random.choice([None, 0.4]),
        min_tier=random.choice([1, 1, 1, 2]),
        max_tier=random.choice([5, 5, 5, 3]),
        experiment=random.choice(["", "first", "second"]),
    )

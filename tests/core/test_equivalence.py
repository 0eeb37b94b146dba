"""The compiled core and its twin agree on everything: any Unicode, any fleet, any request."""

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.fleets import make_deployment, make_model, make_routing
from tests.core.networks import DOMAINS, make_calibration, make_weights
from tierway_core import (
    STRATEGIES,
    ArmSpec,
    Breaker,
    BudgetSpec,
    Classifier,
    Complexity,
    CoreError,
    ExperimentSpec,
    Feature,
    Lexicon,
    LimitSpec,
    Prefixes,
    Request,
    Router,
    RuleSpec,
    State,
    Table,
    TenantSpec,
    estimate_tokens,
    text,
)
from tierway_core.calibration import Ability
from tierway_core.reference import ReferenceRouter
from tierway_core.terms import build_terms, parse_term
from tierway_core.vocabulary import BUILT_IN, Category
from tierway_core.weights import LABELS

INT64_MAX = 2**63 - 1
FEATURES = st.integers(0, (~Feature(0)).value).map(Feature)

EDGES = [
    edge
    for ranges in (text.UNSPACED, text.PUNCTUATION)
    for first, last in ranges
    for edge in (first - 1, first, last, last + 1)
]
SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from([chr(edge) for edge in EDGES]),
    st.sampled_from(SPACES),
    st.sampled_from("\x00aesSZ_09(){};:=!<>+-*&|/`~@[^\x7f"),
)
TERMS = [term for terms in BUILT_IN.values() for term in terms] + ["constitution", "Конституция", "憲法", "a a"]
PIECES = st.one_of(
    st.text(CHARACTERS, max_size=8),
    st.sampled_from(TERMS),
    st.sampled_from(["word ", "字", "word(", "==", "```", ";\n"]),
)
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=60),
    st.lists(PIECES, max_size=25).map("".join),
    st.lists(PIECES, max_size=25).map(" ".join),
    st.builds(lambda piece, times: piece * times, PIECES, st.sampled_from([1, 2, 9, 10, 11, 50, 51, 200, 201])),
)
GOVERNANCE = ("constitution", "Конституция", "憲法", "a a")

# Few, so that costs are often equal and ties are broken.
PRICES = st.sampled_from([(0, 0), (1, 1), (1, 1000), (1000, 1), (2**62, 3), (INT64_MAX, INT64_MAX)])
SMALL_OR_HUGE = st.one_of(st.just(0), st.integers(0, 100), st.sampled_from([2**31, INT64_MAX]))
TIERS = st.integers(1, 5)
ABILITIES = st.sampled_from([-2.0, 0.0, 0.0, 1.5, 10.0])
REGIONS = ["", "eu", "us"]
LIMITS = ["slow", "other"]
BUDGETS = ["small", "large"]
TENANTS = ["default", "acme"]
PREFIX = 2**64 - 3
NOW_NS = 10**13
DIALS = st.sampled_from([0.0, 5e-324, 0.25, 0.5, 1.0])

WEIGHTS = make_weights(columns=2, hidden=2)
CLASSIFIERS = (
    Classifier(WEIGHTS),
    Classifier(WEIGHTS, make_calibration(WEIGHTS, pair=("m1", "m0"), abilities={})),
    Classifier(
        WEIGHTS,
        make_calibration(WEIGHTS, pair=("m0", "absent"), abilities={"m2": Ability(overall=1.0, domains={"code": 2.0})}),
    ),
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    count = draw(st.integers(1, 4))
    models = []
    for index in range(count):
        input_picousd, output_picousd = draw(PRICES)
        later = [f"m{other}" for other in range(index + 1, count)]
        places = [
            make_deployment(
                f"m{index}@{place}",
                context_tokens=draw(st.sampled_from([1, 5, 100, 2**31 - 1])),
                expected_latency_s=draw(st.sampled_from([0.0, 0.1, 1.0])),
                expected_token_s=draw(st.sampled_from([0.0, 0.02])),
                region=draw(st.sampled_from(REGIONS)),
                weight=draw(st.sampled_from([1.0, 1.0, 2.5])),
                lacks=draw(rarely(FEATURES, Feature(0))),
                limits=tuple(draw(st.lists(st.sampled_from(LIMITS), unique=True, max_size=2))),
            )
            for place in range(draw(st.integers(1, 3)))
        ]
        models.append(
            make_model(
                f"m{index}",
                draw(TIERS),
                compliance=draw(st.sampled_from([0.0, 0.5, 1.0])),
                vision=draw(st.booleans()),
                response_format=draw(st.booleans()),
                logprobs=draw(st.booleans()),
                input_picousd=input_picousd,
                cached_input_picousd=draw(st.sampled_from([0, input_picousd, INT64_MAX])),
                output_picousd=output_picousd,
                ability=draw(ABILITIES),
                ability_by_domain=draw(st.dictionaries(st.sampled_from(DOMAINS), ABILITIES)),
                fallback=tuple(draw(st.lists(st.sampled_from(later), unique=True))) if later else (),
                deployments=tuple(places),
            )
        )
    classes = [complexity for complexity in Complexity if complexity is not Complexity.VISION]
    classifier = draw(st.booleans())
    routing = make_routing(
        floors={complexity: draw(TIERS) for complexity in classes},
        expected_output_tokens={complexity: draw(st.sampled_from([1, 7, INT64_MAX])) for complexity in classes},
        accurate_tier=draw(TIERS),
        governance_tier=draw(TIERS),
        governance_terms=GOVERNANCE,
        min_compliance=draw(st.sampled_from([0.0, 0.5, 0.7])),
        classifier=classifier,
        min_confidence=draw(st.sampled_from([0.0, 0.5, 1.0])),
        cost_quality=draw(DIALS),
        strategy=draw(strategies_of(classifier)),
        limits=tuple(LimitSpec(name=name, requests=1.0, period_s=1.0) for name in LIMITS),
        **draw(policies([model.name for model in models], classifier)),
    )
    return Table(models, routing)


def strategies_of(classifier: bool) -> st.SearchStrategy[str]:
    """Names of strategies, as far as they can be configured; empty: the table's own."""
    return st.sampled_from(["", *(name for name in STRATEGIES if classifier or name != "cost_quality")])


def subsets(names: Sequence[Any]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(names), max_size=2)


@st.composite
def policies(draw: st.DrawFn, models: list[str], classifier: bool) -> dict[str, Any]:
    """Budgets, tenants, rules and experiments, as `RoutingSpec` takes them."""
    dials = st.one_of(st.none(), DIALS)
    bounds = st.tuples(TIERS, TIERS).map(sorted)
    budgets = [
        BudgetSpec(
            name=name,
            limit_picousd=draw(st.sampled_from([1000, 2**62])),
            hard=draw(st.booleans()),
            low_share=draw(st.sampled_from([0.0, 0.5, 1.0])),
        )
        for name in BUDGETS
    ]
    tenants = []
    for name in draw(st.lists(st.sampled_from(TENANTS), unique=True)):
        least, most = draw(rarely(bounds, [1, 5]))
        tenants.append(
            TenantSpec(
                name=name,
                min_tier=least,
                max_tier=most,
                models=draw(rarely(subsets(models), None)),
                regions=draw(rarely(subsets(REGIONS[1:]), None)),
                budget=draw(st.sampled_from(["", *BUDGETS])),
                cost_quality=draw(dials),
            )
        )
    experiments = [
        ExperimentSpec(
            name=name,
            shadow=draw(st.booleans()),
            arms=tuple(
                ArmSpec(name=arm, share=0.5, strategy=draw(strategies_of(classifier)), cost_quality=draw(dials))
                for arm in ("a", "b")[: draw(st.integers(1, 2))]
            ),
        )
        for name in ("first", "second")
    ]
    names = [tenant.name for tenant in tenants]
    rules = []
    for place in range(draw(st.sampled_from([0, 1, 2, 70]))):
        least, most = draw(rarely(bounds, [1, 5]))
        rules.append(
            RuleSpec(
                name=f"r{place}",
                # So that a rule beyond the 64th is reached, too.
                agents=draw(subsets(["someone", "security_agent"])) if place != 1 else frozenset({"nobody"}),
                tenants=draw(rarely(subsets(names), frozenset())) if names else frozenset(),
                task_types=draw(rarely(subsets(["legal"]), frozenset())),
                classes=draw(rarely(subsets(list(Complexity)), frozenset())),
                domains=draw(rarely(subsets(DOMAINS), frozenset())) if classifier else frozenset(),
                labels=draw(rarely(subsets(LABELS), frozenset())) if classifier else frozenset(),
                strategy=draw(strategies_of(classifier)),
                cost_quality=draw(dials),
                min_tier=least,
                max_tier=most,
                experiment=draw(st.sampled_from(["", "first", "second"])),
            )
            if place < 3 or place == 69
            else RuleSpec(name=f"r{place}", agents=frozenset({f"agent {place}"}))
        )
    return {
        "budgets": tuple(budgets),
        "agent_budgets": draw(st.dictionaries(st.just("someone"), st.sampled_from(BUDGETS))),
        "tenants": tuple(tenants),
        "rules": tuple(rules),
        "experiments": tuple(experiments),
    }


@st.composite
def states(draw: st.DrawFn, table: Table) -> State:
    """A state in the middle of its life, at NOW_NS."""
    state = State(len(table.deployments), limits=len(table.limits), budgets=len(table.budgets), workers=2)
    for deployment in table.deployments:
        index = deployment.index
        state.set_available(index, draw(rarely(st.just(False), True)))
        for _ in range(draw(st.integers(0, 2))):
            state.begin(index)
        state.force_breaker(index, draw(rarely(st.sampled_from([Breaker.CLOSED, Breaker.OPEN]), None)))
        if failed_ns := draw(rarely(st.sampled_from([NOW_NS - 1, NOW_NS - 2 * 10**9]), 0)):  # open, or due for a probe
            state.set_breaker(index, error_share=0.0, min_requests=1, window_ns=10**9, open_ns=10**9, probes=1)
            state.observe(index, failed_ns, ok=False)
            if draw(st.booleans()):
                state.try_probe(index, NOW_NS)
        for seconds in draw(st.lists(st.sampled_from([0.05, 0.5, 5.0]), max_size=2)):
            state.observe(
                index, NOW_NS - 1, ok=True, first_token_s=seconds, token_s=seconds / 10, tokens=draw(st.integers(0, 2))
            )
    for limit, spec in enumerate(table.limits):
        state.set_limit(limit, increment_ns=spec.increment_ns, burst_ns=spec.burst_ns)
        if draw(rarely(st.just(True), False)):
            state.take(limit, NOW_NS)
    for budget, spec in enumerate(table.budgets):
        state.set_budget(budget, spec.limit_picousd)
        share = draw(st.sampled_from([0.0, 0.0, 0.7, 1.0]))
        state.reserve(budget, NOW_NS, int(share * spec.limit_picousd))
    return state


@st.composite
def sightings(draw: st.DrawFn, table: Table) -> Prefixes:
    """Who was sent PREFIX, before and within the table's time."""
    prefixes = Prefixes(8)
    for deployment in draw(st.lists(st.sampled_from(table.deployments), max_size=3)):
        prefixes.remember(PREFIX, deployment.index, draw(st.sampled_from([NOW_NS, NOW_NS - 10**12])))
    return prefixes


def rarely(values: st.SearchStrategy[Any], usual: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), values)


REQUESTS = st.fixed_dictionaries(
    {
        "extra_input_tokens": rarely(SMALL_OR_HUGE, 0),
        "has_image": rarely(st.booleans(), False),
        "needs_response_format": rarely(st.booleans(), False),
        "needs_logprobs": rarely(st.booleans(), False),
        "max_tokens": rarely(SMALL_OR_HUGE, 0),
        "agent": st.sampled_from(["", "someone", "security_agent"]),
        "task_type": rarely(st.sampled_from(["legal", "unknown"]), ""),
        "force_model": rarely(st.sampled_from(["m0", "m1", "m9"]), ""),
        "min_tier": rarely(st.integers(-1, 6), 1),
        "max_tier": rarely(st.integers(-1, 6), 5),
        "max_cost_picousd": rarely(st.sampled_from([-5, 0, 1, 100, INT64_MAX]), -1),
        "latency_budget_s": rarely(st.sampled_from([0.0, 0.1, 0.5]), float("inf")),
        "min_compliance": rarely(st.sampled_from([0.5, 0.6, 2.0]), 0.0),
        "allow_fallback": st.booleans(),
        "cost_quality": rarely(DIALS, None),
        "tenant": st.sampled_from(["", "acme", "unknown"]),
        "deadline_s": rarely(st.sampled_from([0.0, 1.0, 60.0]), float("inf")),
        "strategy": rarely(st.sampled_from([*STRATEGIES, "unknown"]), ""),
        "regions": rarely(st.frozensets(st.sampled_from([*REGIONS, "nowhere"]), max_size=2), frozenset()),
        "prefix_key": st.sampled_from([0, 1, PREFIX]),
        "sticky_key": st.sampled_from(["", "someone", "é"]),
        "needs": rarely(FEATURES, Feature(0)),
    }
)

READ = (
    "deployment", "model", "tier", "complexity", "base", "floor", "pin", "prefers_vision", "estimated_cost_picousd", "input_tokens",
    "output_tokens", "features", "reasons", "filtered", "fallback", "fallback_models", "classifier", "assessment", "is_sure",
    "figures", "is_about_governance", "confidence", "cost_quality", "expected_quality", "candidates",
    "difficulty", "domain", "label", "strategy", "figure", "tenant", "budgets", "rule", "experiment", "arm", "shadow_deployment",
    "full_cost_quality", "budget_factor",
)  # fmt: skip


def outcome(router: Router | ReferenceRouter, request: Request, now_ns: int, draw: int) -> object:
    """Everything that a caller can read of a decision, or of an error."""
    try:
        decision = router.decide(request, now_ns, draw)
    except CoreError as error:
        return type(error), str(error), vars(error)
    return {name: getattr(decision, name) for name in READ}


@given(TEXTS)
@example("\x00")
@example("\U0010ffff(" * 3)
@settings(max_examples=600)
def test_both_find_the_same_in_any_text(content):
    terms = build_terms(GOVERNANCE)
    found = Lexicon(terms).extract(content)
    assert found == text.extract(content, terms)
    assert found.input_tokens == estimate_tokens(content) == text.estimate_tokens(content)


@given(
    TEXTS,
    tables(),
    REQUESTS,
    st.sampled_from(CLASSIFIERS),
    st.sampled_from([0, 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15]),
    st.data(),
)
@settings(max_examples=600)
def test_both_decide_alike_on_any_fleet(content, table, fields, classifier, draw, data):
    state, prefixes = data.draw(states(table)), data.draw(sightings(table))
    request = Request(content, **fields)
    compiled = Router(table, state, classifier, prefixes)
    twin = ReferenceRouter(table, state, classifier, prefixes)
    assert outcome(compiled, request, NOW_NS, draw) == outcome(twin, request, NOW_NS, draw)


def test_both_class_code_points_alike():
    """Words, scripts and what parts tokens, over the two planes with rules of their own and the edges of the rest."""
    terms = {("a", "b"): Category.VISION, ("b",): Category.PLANNING}
    lexicon = Lexicon(terms)
    further = [0x2FF00, 0x3FF00, 0x40000, 0xE0000, 0xFFF00, 0x100000, 0x10FF00]
    for first in (*range(0, 0xD800, 256), *range(0xE000, 0x20100, 256), *further):
        content = " ".join(f"a{chr(point)}b {chr(point)}" for point in range(first, first + 256))
        assert lexicon.extract(content) == text.extract(content, terms), f"from U+{first:04X}"


def test_every_built_in_term_is_found_by_both():
    terms = build_terms()
    lexicon = Lexicon(terms)
    for listed in TERMS[: -len(GOVERNANCE)]:
        counts = lexicon.extract(listed)
        assert counts == text.extract(listed, terms)
        assert any((counts.code_score, counts.planning_terms, counts.math_terms, counts.vision_terms)), parse_term(
            listed
        )

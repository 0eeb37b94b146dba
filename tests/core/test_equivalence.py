"""The compiled core and its twin agree on everything: any Unicode, any fleet, any request."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.fleets import make_deployment, make_model, make_routing, make_state
from tests.core.networks import DOMAINS, make_calibration, make_weights
from tierway_core import Classifier, Complexity, CoreError, Lexicon, Request, Router, Table, estimate_tokens, text
from tierway_core.calibration import Ability
from tierway_core.reference import ReferenceRouter
from tierway_core.terms import build_terms, parse_term
from tierway_core.vocabulary import BUILT_IN, Category

INT64_MAX = 2**63 - 1

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
                output_picousd=output_picousd,
                ability=draw(ABILITIES),
                ability_by_domain=draw(st.dictionaries(st.sampled_from(DOMAINS), ABILITIES)),
                fallback=tuple(draw(st.lists(st.sampled_from(later), unique=True))) if later else (),
                deployments=tuple(places),
            )
        )
    classes = [complexity for complexity in Complexity if complexity is not Complexity.VISION]
    routing = make_routing(
        floors={complexity: draw(TIERS) for complexity in classes},
        expected_output_tokens={complexity: draw(st.sampled_from([1, 7, INT64_MAX])) for complexity in classes},
        accurate_tier=draw(TIERS),
        governance_tier=draw(TIERS),
        governance_terms=GOVERNANCE,
        min_compliance=draw(st.sampled_from([0.0, 0.5, 0.7])),
        classifier=draw(st.booleans()),
        min_confidence=draw(st.sampled_from([0.0, 0.5, 1.0])),
        cost_quality=draw(DIALS),
    )
    return Table(models, routing)


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
    }
)

READ = (
    "deployment", "model", "tier", "complexity", "base", "floor", "pin", "prefers_vision", "estimated_cost_picousd", "input_tokens",
    "output_tokens", "features", "reasons", "filtered", "fallback", "fallback_models", "classifier", "assessment", "is_sure",
    "figures", "is_about_governance", "confidence", "cost_quality", "expected_quality", "candidates",
)  # fmt: skip


def outcome(router: Router | ReferenceRouter, request: Request) -> object:
    """Everything that a caller can read of a decision, or of an error."""
    try:
        decision = router.decide(request)
    except CoreError as error:
        return type(error), str(error), vars(error)
    return {name: getattr(decision, name) for name in READ}


@given(TEXTS)
@example("\x00")
@example("\U0010ffff(" * 3)
@settings(max_examples=600, deadline=None)
def test_both_find_the_same_in_any_text(content):
    terms = build_terms(GOVERNANCE)
    found = Lexicon(terms).extract(content)
    assert found == text.extract(content, terms)
    assert found.input_tokens == estimate_tokens(content) == text.estimate_tokens(content)


@given(TEXTS, tables(), REQUESTS, st.sampled_from(CLASSIFIERS), st.data())
@settings(max_examples=400, deadline=None)
def test_both_decide_alike_on_any_fleet(content, table, fields, classifier, data):
    places = range(len(table.deployments))
    state = make_state(
        table,
        unavailable=data.draw(rarely(st.sets(st.sampled_from(places)), set())),
        in_flight={place: data.draw(st.integers(0, 2)) for place in places},
    )
    request = Request(content, **fields)
    compiled, twin = Router(table, state, classifier), ReferenceRouter(table, state, classifier)
    assert outcome(compiled, request) == outcome(twin, request)


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

"""Fleets of hundreds: what is found by price, or at a glance, is what looking at each deployment finds; and when it was seen."""

from random import Random
from typing import Any

import pytest

from tests.core.fleets import make_deployment, make_model, make_table
from tests.core.networks import make_classifier
from tests.core.test_equivalence import outcome
from tierway_core import STRATEGIES, Breaker, LimitSpec, Prefixes, ReasonCode, Request, Router, State, Table
from tierway_core.reference import ReferenceRouter

NOW_NS = 10**13
PREFIX = 7
CLASSIFIER = make_classifier()
COUNTS = (63, 64, 65, 200)
"""Deployments: around a word of 64, and some words."""


def wide_table(random: Random, count: int, **routing: Any) -> Table:
    """Models of one to five places each, few of them alike in price; some dear to ask are cheap to answer, and the other way round."""
    models = []
    while count:
        places = min(count, random.randint(1, 5))
        count -= places
        name = f"m{len(models)}"
        dear, cheap = random.randint(1, 20) * 1000, random.randint(0, 3) * 1000
        input_picousd, output_picousd = random.choice([(dear, cheap), (cheap, dear), (cheap, cheap)])
        models.append(
            make_model(
                name,
                random.randint(1, 5),
                input_picousd=input_picousd,
                cached_input_picousd=random.choice([0, input_picousd]),
                output_picousd=output_picousd,
                vision=random.random() < 0.5,
                ability=random.uniform(-2.0, 2.0),
                deployments=tuple(
                    make_deployment(f"{name}@{place}", context_tokens=random.choice([100, 8192]), limits=limits)
                    for place in range(places)
                    for limits in [("slow",) if random.random() < 0.1 else ()]
                ),
            )
        )
    return make_table(*models, limits=(LimitSpec(name="slow", requests=1.0, period_s=1.0),), **routing)


def wide_state(random: Random, table: Table, *, is_troubled: bool) -> State:
    """All fit and busy; or some of them out, resting, probed or limited."""
    state = State(len(table.deployments), limits=len(table.limits), workers=2)
    for deployment in table.deployments:
        index = deployment.index
        state.set_available(index, not is_troubled or random.random() < 0.7)
        for _ in range(random.choice([0, 0, 1, 3])):
            state.begin(index)
        if is_troubled and random.random() < 0.1:
            state.force_breaker(index, random.choice([Breaker.OPEN, Breaker.CLOSED]))
        state.observe(index, NOW_NS - random.randrange(10**11), ok=True, tokens=random.randrange(100))
    for limit, spec in enumerate(table.limits):
        state.set_limit(limit, increment_ns=spec.increment_ns, burst_ns=spec.burst_ns)
        if is_troubled:
            state.take(limit, NOW_NS)
    return state


@pytest.mark.parametrize("is_troubled", [False, True], ids=["all fit", "troubled"])
@pytest.mark.parametrize("classifier", [False, True], ids=["by class", "learned"])
@pytest.mark.parametrize("count", COUNTS)
def test_both_decide_alike_in_wide_fleets(count, classifier, is_troubled):
    for seed in range(15):
        random = Random(seed)
        table = wide_table(random, count, classifier=classifier)
        state = wide_state(random, table, is_troubled=is_troubled)
        prefixes = Prefixes()
        for _ in range(4):
            prefixes.remember(PREFIX, random.randrange(count), NOW_NS)
        strategies = [name for name in STRATEGIES if classifier or name != "cost_quality"]
        request = Request(
            random.choice(["hi", "plan the code of it", "words and words " * 40, "look at the diagram"]),
            strategy=random.choice(["", "cheapest", *strategies]),
            max_tokens=random.choice([0, 1, 1000]),
            min_tier=random.choice([1, 1, 3]),
            prefix_key=random.choice([0, PREFIX]),
            extra_input_tokens=random.choice([0, 500]),
        )
        compiled = Router(table, state, CLASSIFIER, prefixes)
        twin = ReferenceRouter(table, state, CLASSIFIER, prefixes)
        assert outcome(compiled, request, NOW_NS, seed) == outcome(twin, request, NOW_NS, seed), f"seed {seed}"


@pytest.mark.parametrize("count", COUNTS)
def test_each_deployment_alone_is_missed(count):
    """Whichever it is, in whichever word its bit is: it is seen that it is out, and that it is back."""
    table = make_table(make_model("m", 1, places=tuple(map(str, range(count)))))
    state = State(count)
    router = Router(table, state)
    for index in range(count):
        state.set_available(index, True)
    for index in range(count):
        state.set_available(index, False)
        struck = {place: code for place, code in enumerate(router.decide(Request("hi")).filtered) if code}
        assert struck == {index: ReasonCode.FILTERED_UNAVAILABLE}
        state.set_available(index, True)
        assert not any(router.decide(Request("hi")).filtered)


@pytest.mark.parametrize("router_type", [Router, ReferenceRouter])
def test_a_decision_tells_the_state_that_it_was_made_by_however_late_it_is_read(router_type):
    table = make_table(make_model("m", 1, places=("x", "y", "z")), make_model("other", 2))
    state = State(4)
    for index in (0, 2, 3):
        state.set_available(index, True)
    request = Request("hi", max_tier=1)
    some = router_type(table, state).decide(request)
    state.set_available(1, True)
    none = router_type(table, state).decide(request)
    for index in range(4):
        state.set_available(index, False)
    assert some.filtered == bytes([0, ReasonCode.FILTERED_UNAVAILABLE, 0, ReasonCode.FILTERED_TIER])
    assert none.filtered == bytes([0, 0, 0, ReasonCode.FILTERED_TIER])
    assert some.fallback == (2,)

"""What each strategy chooses; on the compiled core and on its twin."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tierway_core
from tests.core.fleets import make_deployment, make_model, make_table
from tierway_core import (
    STRATEGIES,
    NoClassifierError,
    Prefixes,
    ReasonCode,
    Request,
    Router,
    State,
    UnknownStrategyError,
)
from tierway_core.chance import mix
from tierway_core.reference import ReferenceRouter

NOW_NS = 10**12


def three_places(**changes: Any) -> Any:
    """One model in three places, tier 1."""
    specs = [
        make_deployment(name, **{key: values[place] for key, values in changes.items()})
        for place, name in enumerate("abc")
    ]
    return make_table(make_model("m", 1, deployments=tuple(specs)))


@pytest.fixture
def choose(implementation: str) -> Callable[..., int]:
    """choose(strategy, table, state, prefixes=None, draw=0, **request): the chosen place."""
    router_type: Any = Router if implementation == "compiled" else ReferenceRouter

    def choose(strategy: str, table: Any, state: State, *, prefixes: Any = None, draw: int = 0, **request: Any) -> int:
        request = {"max_tokens": 100} | request
        decision = router_type(table, state, None, prefixes).decide(
            Request("hi", strategy=strategy, **request), NOW_NS, draw
        )
        assert decision.strategy == strategy
        return int(decision.deployment)

    return choose


def up(table: Any, **counts: Any) -> State:
    state = State(len(table.deployments), **counts)
    for deployment in table.deployments:
        state.set_available(deployment.index, True)
    return state


def test_every_strategy_is_found_by_its_name():
    assert STRATEGIES == (
        "cheapest", "cost_quality", "least_busy", "lowest_latency", "prefix_affinity", "usage_based", "weighted"
    )  # fmt: skip
    folder = Path(tierway_core.__file__).parent / "strategies"
    assert {path.stem for path in folder.glob("_*.pyx")} == {f"_{name}" for name in STRATEGIES}


def test_an_unknown_strategy_is_refused_with_those_there_are(choose):
    table = three_places()
    with pytest.raises(UnknownStrategyError, match=r"no strategy 'fastest' .*least_busy"):
        choose("fastest", table, up(table))


def test_the_dial_as_a_strategy_needs_the_classifier(choose):
    table = three_places()
    with pytest.raises(NoClassifierError, match="strategy"):
        choose("cost_quality", table, up(table))


def test_least_busy_takes_the_fewest_in_flight(choose):
    table = three_places()
    state = up(table)
    for place in (0, 0, 1, 2, 2):
        state.begin(place)
    assert choose("least_busy", table, state) == 1


def test_usage_goes_by_tokens_of_the_minute_and_weight(choose):
    table = three_places(weight=[1.0, 4.0, 1.0])
    state = up(table)
    for place, tokens in enumerate((100, 200, 60)):
        state.observe(place, NOW_NS - 10**9, ok=True, tokens=tokens)
    assert choose("usage_based", table, state) == 1
    state.observe(1, NOW_NS - 10**9, ok=True, tokens=200)
    assert choose("usage_based", table, state) == 2


def test_weights_are_kept_to_over_many_draws(choose):
    table = three_places(weight=[1.0, 2.0, 1.0])
    state = up(table)
    chosen = Counter(choose("weighted", table, state, draw=mix(number)) for number in range(2000))
    assert [chosen[place] for place in range(3)] == pytest.approx([500, 1000, 500], abs=100)


def test_the_slow_get_little_and_are_not_forgotten(choose):
    table = three_places()
    state = up(table)
    for place, first_token_s in enumerate((0.1, 0.1, 9.0)):
        state.observe(place, NOW_NS - 10**9, ok=True, first_token_s=first_token_s, token_s=0.001)
    chosen = Counter(choose("lowest_latency", table, state, draw=mix(number)) for number in range(3000))
    assert 0 < chosen[2] < 60  # it wins no comparison; one in 64 is not compared, and a third of these falls to it
    assert chosen[0] == pytest.approx(chosen[1], rel=0.2)


def test_a_prefix_stays_where_it_is_until_that_is_too_busy(choose):
    table = three_places()
    state = up(table)
    homes = {key: choose("prefix_affinity", table, state, prefix_key=key) for key in range(1, 60)}
    assert set(homes.values()) == {0, 1, 2}
    assert homes == {key: choose("prefix_affinity", table, state, prefix_key=key) for key in homes}
    for _ in range(4):
        state.begin(homes[1])
    assert choose("prefix_affinity", table, state, prefix_key=1) != homes[1]


def test_whoever_leaves_moves_only_its_own_prefixes(choose):
    table = three_places()
    state = up(table)
    before = {key: choose("prefix_affinity", table, state, prefix_key=key) for key in range(1, 60)}
    state.set_available(2, False)
    after = {key: choose("prefix_affinity", table, state, prefix_key=key) for key in before}
    assert all(after[key] == home for key, home in before.items() if home != 2)


def test_a_warm_cache_beats_a_cold_one_that_is_cheaper(implementation):
    table = make_table(
        make_model("cold", 1, 900, deployments=(make_deployment("cold@x"),)),
        make_model("warm", 1, 1000, cached_input_picousd=100, deployments=(make_deployment("warm@x"),)),
    )
    prefixes = Prefixes()
    router_type: Any = Router if implementation == "compiled" else ReferenceRouter
    router = router_type(table, up(table), None, prefixes)
    request = Request("hi", extra_input_tokens=5000, prefix_key=9)
    assert router.decide(request, NOW_NS).model.name == "cold"
    prefixes.remember(9, 1, NOW_NS)
    decision = router.decide(request, NOW_NS)
    assert decision.model.name == "warm"
    assert decision.estimated_cost_picousd > 5_000_000  # what is reserved takes every token for uncached
    assert router.decide(Request("hi", extra_input_tokens=5000, prefix_key=8), NOW_NS).model.name == "cold"
    assert router.decide(request, NOW_NS + 301 * 10**9).model.name == "cold"


def test_a_warm_cache_answers_sooner(choose):
    table = make_table(
        make_model("m", 1, deployments=tuple(make_deployment(name, expected_latency_s=1.0) for name in "ab"))
    )
    prefixes = Prefixes()
    prefixes.remember(9, 1, NOW_NS)
    stated = {"prefixes": prefixes, "prefix_key": 9, "extra_input_tokens": 1000, "max_tokens": 1}
    chosen = Counter(choose("lowest_latency", table, up(table), draw=mix(number), **stated) for number in range(300))
    assert chosen[1] > 280


def test_the_reason_tells_strategy_and_figure(implementation):
    table = three_places()
    state = up(table)
    state.begin(0)
    router_type: Any = Router if implementation == "compiled" else ReferenceRouter
    reason = router_type(table, state).decide(Request("hi", strategy="least_busy")).reasons[-1]
    assert (reason.code, reason.subject) == (ReasonCode.STRATEGY, "b")
    assert reason.detail.startswith("b is chosen by least_busy, with 0 in flight: ")

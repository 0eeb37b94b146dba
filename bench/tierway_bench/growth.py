"""How a decision's cost grows with the fleet and with the rules: the second part of `python -m tierway_bench.decide`.

Fleets of 10, 100 and 1,000 deployments in two shapes: the same ten models in more places, and as many models as deployments.
All are busy, each with another load, and all are up; where a row says so, each tenth is down, or the caller has a deadline, against
which every deployment's prediction is held. Rules: the last one holds, and all others name other agents. Each figure is the least of
several rounds' medians, and the rounds of what is compared alternate, so that a busy machine shifts all of them alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from random import Random
from statistics import median
from time import perf_counter_ns

from tierway_core import (
    STRATEGIES,
    Classifier,
    DeploymentSpec,
    ModelSpec,
    Request,
    Router,
    RoutingSpec,
    RuleSpec,
    State,
    Table,
)

FLEETS = (10, 100, 1000)
RULES = (0, 1, 8, 64)
GOAL_RATIO = 4.0
"""1,000 deployments cost less than so many times what 10 cost."""

NOW_NS = 10**13
"""When decisions are made, by the clock of the state."""

_MODELS = 10
_ROUNDS = 5
_CALLS = 2000


def build_fleet(deployments: int, models: int, routing: RoutingSpec) -> Table:
    """So many deployments of so many models, over five tiers, prices rising by tier."""
    return Table(
        [
            ModelSpec(
                name=f"m{index}",
                tier=1 + index % 5,
                compliance=0.9,
                vision=True,
                response_format=True,
                logprobs=True,
                input_picousd=50_000 * (1 + index % 5) + index,
                cached_input_picousd=25_000,
                output_picousd=50_000 * (1 + index % 5) + index,
                fallback=(),
                ability=index % 5 - 2.0,
                deployments=tuple(
                    DeploymentSpec(
                        name=f"m{index}@{place}", provider="p", context_tokens=32_768, expected_latency_s=0.1
                    )
                    for place in range(deployments // models)
                ),
            )
            for index in range(models)
        ],
        routing,
    )


def build_router(table: Table, classifier: Classifier, *, down: int = 0) -> Router:
    """A router over a fleet that is busy: each deployment has up to seven requests in flight, and has answered some in the last
    minute. All are up but each `down`th; 0: all.
    """
    state = State(len(table.deployments))
    random = Random(len(table.deployments))
    for deployment in table.deployments:
        index = deployment.index
        state.set_available(index, not down or index % down != 0)
        for _ in range(random.randrange(8)):
            state.begin(index)
        for second in range(0, 60, 6):
            now_ns = NOW_NS - second * 10**9
            seconds = random.uniform(0.1, 1.0)
            state.observe(
                index, now_ns, ok=True, first_token_s=seconds, token_s=seconds / 30, tokens=random.randrange(900)
            )
    return Router(table, state, classifier)


def compare_us(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """What each call costs, in microseconds, less what an empty call measures."""
    everything: dict[str, Callable[[], object]] = {**calls, "": int}
    best = dict.fromkeys(everything, float("inf"))
    for _ in range(_ROUNDS):
        for name, call in everything.items():
            times = [0] * _CALLS
            for index in range(_CALLS):
                start = perf_counter_ns()
                call()
                times[index] = perf_counter_ns() - start
            best[name] = min(best[name], median(times) / 1e3)
    return {name: best[name] - best[""] for name in calls}


def print_growth(routing: RoutingSpec, classifier: Classifier, texts: Mapping[int, str]) -> None:
    """Measures and prints. `routing` is for the classifier; without it, the rules of the class decide."""
    plain = replace(routing, classifier=False)
    print(
        f"\ndeployments: {'':20} {'   '.join(f'{count:>8,}' for count in FLEETS)}   1,000 : 10 (goal under {GOAL_RATIO:g})"
    )
    for shape, models in (("ten models", lambda _: _MODELS), ("each a model", lambda count: count)):
        for name, rules in (("learned", routing), ("by class", plain)):
            routers = {count: build_router(build_fleet(count, models(count), rules), classifier) for count in FLEETS}
            for characters, asked in texts.items():
                _print_row(f"{shape}, {name}, {characters}", routers, Request(asked))
    text = next(iter(texts.values()))
    for name, rules in (("learned", routing), ("by class", plain)):
        routers = {count: build_router(build_fleet(count, _MODELS, rules), classifier, down=10) for count in FLEETS}
        _print_row(f"a tenth down, {name}", routers, Request(text))
        routers = {count: build_router(build_fleet(count, _MODELS, rules), classifier) for count in FLEETS}
        _print_row(f"with a deadline, {name}", routers, Request(text, deadline_s=60.0))
    routers = {count: build_router(build_fleet(count, _MODELS, routing), classifier) for count in FLEETS}
    for strategy in STRATEGIES:
        _print_row(strategy, routers, Request(text, strategy=strategy, prefix_key=7))

    print(f"\nrules:       {'':20} {'   '.join(f'{count:>8,}' for count in RULES)}   64 : 1")
    fleets = {}
    for count in RULES:
        others = [RuleSpec(name=f"r{place}", agents=frozenset({f"agent {place}"})) for place in range(count - 1)]
        rules = replace(
            routing, rules=(*others, RuleSpec(name="last", agents=frozenset({"me"})))[:count] if count else ()
        )
        fleets[count] = build_router(build_fleet(_MODELS, _MODELS, rules), classifier)
    for characters, asked in texts.items():
        _print_row(f"learned, {characters}", fleets, Request(asked, agent="me"), over=(64, 1))


def _print_row(name: str, routers: Mapping[int, Router], request: Request, over: tuple[int, int] = (1000, 10)) -> None:
    costs_us = compare_us({str(count): partial(router.decide, request, NOW_NS, 7) for count, router in routers.items()})
    ratio = costs_us[str(over[0])] / costs_us[str(over[1])]
    print(f"{name:<33} {'   '.join(f'{cost_us:>8.2f}' for cost_us in costs_us.values())}   {ratio:.2f}")

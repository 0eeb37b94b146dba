"""What a decision costs inside the core: `python -m tierway_bench.decide`.

Prints the median and the 99th percentile of `Router.decide()` for prompts of three sizes, on a table of five tiers and
twelve deployments: with the shipped classifier, by the rules of the class, and the median of the pure-Python twin with the
classifier, in one run. Reading the decision is not counted; making the request is shown apart. Allocations are the blocks
of memory that a kept decision holds. One timer call a decision is counted: its own cost, printed below, is not taken off.

Then how that grows with the fleet and with the rules (`growth`).
"""

import gc
import platform
import statistics
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter_ns

from tierway_bench.growth import print_growth
from tierway_core import (
    Classifier,
    Complexity,
    DeploymentSpec,
    ModelSpec,
    Request,
    Router,
    RoutingSpec,
    State,
    Table,
    Weights,
)
from tierway_core.reference import ReferenceRouter

PROSE = (
    "Our team has collected readings from forty weather stations along the coast since last spring. Some of them report every "
    "minute, others once an hour, and a few stopped in winter (their batteries froze; we have replaced them). Summarise what "
    "the numbers say about wind, rain and tides, and tell which of the stations we should no longer trust. "
)
GOALS_US = {12: 5.0, 262: 15.0, 8_600: 150.0}
"""The goal for each prompt size in characters, with the classifier, in microseconds."""


def build_table(*, classifier: bool = False) -> Table:
    """Five tiers, nine models, twelve deployments."""

    def model(
        name: str, tier: int, price_picousd: int, *, deployments: int = 1, fallback: tuple[str, ...] = ()
    ) -> ModelSpec:
        return ModelSpec(
            name=name,
            tier=tier,
            compliance=0.80 + 0.03 * tier,
            vision=tier >= 4,
            response_format=True,
            logprobs=True,
            input_picousd=price_picousd,
            cached_input_picousd=price_picousd // 2,
            output_picousd=price_picousd,
            ability=tier - 2.0,
            fallback=fallback,
            deployments=tuple(
                DeploymentSpec(
                    name=f"{name}@{place}", provider=f"p{place}", context_tokens=32_768, expected_latency_s=0.1 * tier
                )
                for place in range(deployments)
            ),
        )

    models = [
        model("nano-s", 1, 50_000, deployments=2, fallback=("nano-m",)),
        model("nano-m", 1, 80_000, fallback=("fast-a",)),
        model("fast-a", 2, 150_000, deployments=2, fallback=("balanced",)),
        model("fast-b", 2, 200_000),
        model("balanced", 3, 800_000, deployments=2, fallback=("premium-a",)),
        model("premium-a", 4, 800_000),
        model("premium-b", 4, 1_200_000),
        model("premium-c", 4, 2_000_000),
        model("expert", 5, 15_000_000),
    ]
    routing = RoutingSpec(
        floors={complexity: int(complexity) for complexity in Complexity if complexity is not Complexity.VISION},
        accurate_tier=4,
        critical_agents=frozenset({"security_agent"}),
        governance_tier=5,
        governance_terms=("constitution", "constitutional ai", "governance policy"),
        task_types={},
        expected_output_tokens={
            Complexity.TRIVIAL: 64,
            Complexity.SIMPLE: 192,
            Complexity.MODERATE: 384,
            Complexity.COMPLEX: 768,
        },
        min_compliance=0.0,
        classifier=classifier,
    )
    return Table(models, routing)


def measure_ns(call: Callable[[], object], *, repeats: int) -> list[int]:
    """Times `repeats` single calls, after warming up."""
    for _ in range(max(1, repeats // 10)):
        call()
    times = [0] * repeats
    gc.disable()
    try:
        for index in range(repeats):
            start = perf_counter_ns()
            call()
            times[index] = perf_counter_ns() - start
    finally:
        gc.enable()
    return times


def describe_us(times_ns: list[int]) -> tuple[float, float]:
    """Median and 99th percentile, in microseconds."""
    return statistics.median(times_ns) / 1e3, statistics.quantiles(times_ns, n=100)[98] / 1e3


def count_blocks(call: Callable[[], object], *, repeats: int = 1000) -> float:
    """Blocks of memory that each result holds, whatever it refers to and did not exist before included."""
    kept: list[object] = [None] * repeats
    gc.collect()
    before = sys.getallocatedblocks()
    for index in range(repeats):
        kept[index] = call()
    return (sys.getallocatedblocks() - before) / repeats


def main() -> None:
    """Measures and prints."""
    table, plain_table = build_table(classifier=True), build_table()
    state = State(len(table.deployments))
    for deployment in table.deployments:
        state.set_available(deployment.index, True)
    weights = Weights.default()
    classifier = Classifier(weights)
    learned, plain, twin = (
        Router(table, state, classifier),
        Router(plain_table, state),
        ReferenceRouter(table, state, classifier),
    )

    print(
        f"Python {platform.python_version()}, {len(table.models)} models, {len(table.deployments)} deployments, "
        f"weights {weights.identity}"
    )
    print(
        "characters  learned: median      P99   goal  blocks  by class: median      P99   request  twin: median   (us)"
    )
    for characters, goal_us in GOALS_US.items():
        text = (PROSE * (characters // len(PROSE) + 1))[:characters]
        request = Request(text)
        learned_us, learned_p99_us = describe_us(measure_ns(partial(learned.decide, request), repeats=20_000))
        plain_us, plain_p99_us = describe_us(measure_ns(partial(plain.decide, request), repeats=20_000))
        request_us, _ = describe_us(measure_ns(partial(Request, text), repeats=20_000))
        twin_us, _ = describe_us(measure_ns(partial(twin.decide, request), repeats=20))
        blocks = count_blocks(partial(learned.decide, request))
        print(
            f"{characters:>10,}  {learned_us:>15.2f} {learned_p99_us:>8.2f} {goal_us:>6.0f} {blocks:>7.1f}"
            f"  {plain_us:>16.2f} {plain_p99_us:>8.2f}  {request_us:>8.2f}  {twin_us:>12.1f}"
        )
    timer_us, _ = describe_us(measure_ns(partial(int), repeats=20_000))
    print(f"An empty call measures {timer_us:.2f} us.")
    print_growth(table.routing, classifier, {characters: (PROSE * 2)[:characters] for characters in (12, 262)})


if __name__ == "__main__":
    main()

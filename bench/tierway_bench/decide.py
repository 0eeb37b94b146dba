"""What a decision costs inside the core: `python -m tierway_bench.decide`.

Prints the median and the 99th percentile of `Router.decide()` for prompts of three sizes, on a table of five tiers and
twelve deployments, and the same of the pure-Python twin, in one run. Reading the decision is not counted; making the
request is shown apart. One timer call a decision is: its own cost, printed below, is not taken off.
"""

import gc
import platform
import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter_ns

from tierway_core import Complexity, DeploymentSpec, ModelSpec, Request, Router, RoutingSpec, State, Table
from tierway_core.reference import ReferenceRouter

PROSE = (
    "Our team has collected readings from forty weather stations along the coast since last spring. Some of them report every "
    "minute, others once an hour, and a few stopped in winter (their batteries froze; we have replaced them). Summarise what "
    "the numbers say about wind, rain and tides, and tell which of the stations we should no longer trust. "
)
GOALS_US = {12: 3.0, 262: 6.0, 8_600: 80.0}
"""The goal for each prompt size in characters, in microseconds."""


def build_table() -> Table:
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


def main() -> None:
    """Measures and prints."""
    table = build_table()
    state = State(len(table.deployments))
    for deployment in table.deployments:
        state.set_available(deployment.index, True)
    router, twin = Router(table, state), ReferenceRouter(table, state)

    print(f"Python {platform.python_version()}, {len(table.models)} models, {len(table.deployments)} deployments")
    print("characters  decide: median      P99   goal   request  twin: median       P99   (us)")
    for characters, goal_us in GOALS_US.items():
        text = (PROSE * (characters // len(PROSE) + 1))[:characters]
        request = Request(text)
        median_us, p99_us = describe_us(measure_ns(partial(router.decide, request), repeats=20_000))
        request_us, _ = describe_us(measure_ns(partial(Request, text), repeats=20_000))
        twin_us, twin_p99_us = describe_us(measure_ns(partial(twin.decide, request), repeats=300))
        print(
            f"{characters:>10,}  {median_us:>14.2f} {p99_us:>8.2f} {goal_us:>6.0f}"
            f"  {request_us:>8.2f}  {twin_us:>12.1f} {twin_p99_us:>9.1f}"
        )
    timer_us, _ = describe_us(measure_ns(partial(int), repeats=20_000))
    print(f"An empty call measures {timer_us:.2f} us.")


if __name__ == "__main__":
    main()

"""What simulating costs, and how fast traffic leaves what fails: `python -m tierway_bench.simulate`.

Two parts. A million synthetic requests are replayed on the table of the benchmark `decide` (five tiers, twelve deployments), with
the shipped classifier; the goal is under a minute on one core. Then fault drills, on one model at four providers behind
breakers: for each strategy and each fault, after how many requests traffic has left the provider at fault, and after how many
it is back, counted from the end of the fault; of virtual time, so that the machine does not matter.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

from tierway_bench.decide import build_table
from tierway_bench.places import table_of
from tierway_bench.report import Machine, table, write_json
from tierway_core import BreakerSpec, Classifier, DeploymentSpec, Table, Weights
from tierway_sim import (
    Fault,
    FaultKind,
    Fleet,
    Pace,
    Summary,
    Wishes,
    arriving,
    parse_fault,
    replay,
    summarise,
    synthetic,
)

_RATE = 100.0
_DRILL_REQUESTS = 24_000
_DRILLS = (
    (FaultKind.FAIL, "p0:0.3@70..130"),
    (FaultKind.SLOW, "p0:10x@70..130"),
    (FaultKind.VANISH, "p0@70..130"),
)
_STRATEGIES = ("cheapest", "least_busy", "lowest_latency", "usage_based", "weighted")


def speed_fleet() -> Fleet:
    """Five tiers, twelve deployments, and the shipped classifier."""
    models = build_table(classifier=True)
    return _fleet("five tiers", models, Classifier(Weights.default()))


def drill_fleet() -> Fleet:
    """One model at four providers that are alike, each behind a breaker as it is by default."""
    breaker = BreakerSpec()
    providers = (
        DeploymentSpec(
            name=f"model@p{place}",
            provider=f"p{place}",
            context_tokens=32_768,
            expected_latency_s=0.2,
            expected_token_s=0.01,
            breaker=breaker,
        )
        for place in range(4)
    )
    return _fleet("four providers", table_of(providers), None)


def drill(strategy: str, fault: Fault, *, requests: int = _DRILL_REQUESTS, seed: int = 0) -> Summary:
    """One drill, summed up."""
    traffic = arriving(synthetic(seed=seed), requests=requests, rate=_RATE, seed=seed)
    run = replay(drill_fleet(), traffic, [fault], wishes=Wishes(strategy=strategy), seed=seed)
    return summarise(run, [fault])


def _fleet(name: str, routed: Table, classifier: Classifier | None) -> Fleet:
    paces = [
        Pace(first_token_s=each.spec.expected_latency_s, token_s=each.spec.expected_token_s)
        for each in routed.deployments
    ]
    return Fleet(name=name, table=routed, classifier=classifier, paces=paces)


def _speed(requests: int) -> dict[str, float]:
    fleet = speed_fleet()
    started_s = perf_counter()
    traffic = arriving(synthetic(), requests=requests, rate=_RATE)
    arranged_s = perf_counter()
    run = replay(fleet, traffic)
    replayed_s = perf_counter()
    summarise(run)
    summarised_s = perf_counter()
    return {
        "traffic_s": arranged_s - started_s,
        "replay_s": replayed_s - arranged_s,
        "summary_s": summarised_s - replayed_s,
        "total_s": summarised_s - started_s,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m tierway_bench simulate", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help="of the first part; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    machine = Machine.here()
    print(machine.text())

    speed = _speed(options.requests) if options.requests else None
    if speed is not None:
        parts = ", ".join(f"{name.removesuffix('_s')} {taken_s:.1f} s" for name, taken_s in speed.items())
        print(f"{options.requests:,} requests: {parts}; {speed['total_s'] / options.requests * 1e6:.1f} us a request")

    drills = {
        (strategy, kind): drill(strategy, parse_fault(kind, text)) for kind, text in _DRILLS for strategy in _STRATEGIES
    }
    rows = []
    for (strategy, _), summary in drills.items():
        [*shifts] = summary.shifts
        shift = shifts[0] if shifts else None
        rows.append(
            [
                strategy,
                "-" if shift is None else shift.fault,
                "-" if shift is None else f"{shift.share_before:.0%}",
                "-" if shift is None else f"{shift.share_during:.1%}",
                "no" if shift is None or shift.left_after_requests is None else f"{shift.left_after_requests:,}",
                "no" if shift is None or shift.back_after_requests is None else f"{shift.back_after_requests:,}",
                f"{summary.fell_back:,}",
                f"{summary.failed:,}",
                f"{summary.latency.p99_s:.2f} s",
            ]
        )
    header = ["strategy", "fault", "share before", "during", "left after", "back after", "fell back", "failed", "P99"]
    print(table(header, rows))
    write_json(
        options.json,
        machine,
        ["simulate", f"--requests={options.requests}"],
        {"speed": speed, "drills": list(drills.values())},
    )


if __name__ == "__main__":
    main()

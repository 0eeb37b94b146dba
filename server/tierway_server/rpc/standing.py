"""How deployments, limits and budgets stand, as the contract tells it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tierway.v1 import router_service_pb2 as pb
from tierway_server.flow.priority import Priority
from tierway_server.flow.standing import DeploymentStanding, Standing
from tierway_server.rpc.encode import duration
from tierway_server.telemetry import semconv
from tierway_server.telemetry.families import Counts

Lanes = Mapping[str, Sequence[pb.LaneStats]]
"""The lanes of each deployment's queue, by its name."""


def lanes_of(counts: Counts) -> Lanes:
    """Who waits and who was shed, over all processes."""
    lanes: defaultdict[str, dict[str, pb.LaneStats]] = defaultdict(
        lambda: {priority.name.lower(): pb.LaneStats(priority=priority.value) for priority in Priority}  # type: ignore[arg-type]
    )
    for labels, value in counts.values(semconv.QUEUE_DEPTH):
        lanes[labels["deployment"]][labels["lane"]].waiting += int(value)
    for labels, value in counts.values(semconv.QUEUE_SHED):
        lanes[labels["deployment"]][labels["lane"]].shed += int(value)
    return {deployment: tuple(by_name.values()) for deployment, by_name in lanes.items()}


def deployment_stats(deployment: DeploymentStanding, lanes: Lanes) -> pb.DeploymentStats:
    """One deployment."""
    return pb.DeploymentStats(
        deployment=deployment.name,
        breaker=deployment.breaker.value,  # type: ignore[arg-type]  # open enums are ints
        breaker_forced=deployment.is_forced,
        error_share=deployment.error_share,
        in_flight=deployment.in_flight,
        first_token_time=duration(deployment.first_token_s),
        token_time=duration(deployment.token_s),
        minute_requests=deployment.minute_requests,
        minute_tokens=deployment.minute_tokens,
        lanes=lanes.get(deployment.name, ()),
    )


def limit_stats(standing: Standing, refusals: Mapping[str, int]) -> Iterator[pb.LimitStats]:
    """Each rate limit, with what it refused."""
    for limit in standing.limits():
        yield pb.LimitStats(limit=limit.name, wait_time=duration(limit.wait_s), refusals=refusals.get(limit.name, 0))


def budget_stats(standing: Standing, refusals: Mapping[str, int]) -> Iterator[pb.BudgetStats]:
    """Each budget, with what it refused."""
    for budget in standing.budgets():
        yield pb.BudgetStats(
            budget=budget.name,
            limit_usd=budget.limit_usd,
            spent_usd=budget.spent_usd,
            reserved_usd=budget.reserved_usd,
            remaining_usd=budget.remaining_usd,
            hard=budget.is_hard,
            refusals=refusals.get(budget.name, 0),
        )

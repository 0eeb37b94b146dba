"""How hard answers were to get: each figure of the contract is the sum of its own metric, and of nobody else's."""

from __future__ import annotations

from tierway.v1 import router_service_pb2 as rpc
from tierway_server.rpc.answer_stats import answer_stats
from tierway_server.telemetry.families import Counts, collect
from tierway_server.telemetry.metrics import Metrics


def told(metrics: Metrics) -> rpc.AnswerStats:
    return answer_stats(Counts(collect([metrics.registry]), 0))


def test_nothing_has_happened_at_the_start() -> None:
    assert told(Metrics()) == rpc.AnswerStats()


def test_each_figure_is_a_sum_of_its_own() -> None:
    metrics = Metrics()
    for count, event in enumerate(
        (
            lambda each: metrics.judged(1 + each % 2, is_weak=True),
            lambda each: metrics.judged(1 + each % 2, is_weak=False),
            lambda each: metrics.escalated(1 + each % 2, "logprobs"),
            lambda each: metrics.not_escalated(1, ("nobody", "share")[each % 2]),
            lambda each: metrics.fell_back(f"m{each % 2}", "ENGINE_LOST"),
            lambda each: metrics.taken_over(f"m{each % 2}", "ENGINE_LOST"),
            lambda each: metrics.retried(f"d{each % 2}", "PROVIDER_FAILED"),
            lambda each: metrics.retry_refused(f"d{each % 2}"),
            lambda each: metrics.hedged(f"d{each % 2}", "sent"),
            lambda each: metrics.hedged(f"d{each % 2}", "won"),
            lambda each: metrics.cache_looked_up("hit"),
            lambda each: metrics.cache_looked_up("shared"),
            lambda each: metrics.cache_looked_up("miss"),
        ),
        start=2,
    ):
        for each in range(count):
            event(each)
    metrics.weak_alarm(is_raised=True)
    assert told(metrics) == rpc.AnswerStats(
        weak=2,
        judged=2 + 3,
        escalated=4,
        escalation_share=4 / 5,
        weak_alarm=True,
        forgone=5,
        fallbacks=6,
        takeovers=7,
        retries=8,
        retries_refused=9,
        hedges=10,
        hedges_won=11,
        cache_hits=12,
        cache_shared=13,
        cache_misses=14,
    )

"""How hard answers were to get, as the contract tells it: sums of what the metrics count one by one."""

from __future__ import annotations

from tierway.v1 import router_service_pb2 as pb
from tierway_server.telemetry import semconv
from tierway_server.telemetry.families import Counts


def answer_stats(counts: Counts) -> pb.AnswerStats:
    """What was done so that each caller has a good answer."""
    judged, escalated = _sum(counts, semconv.JUDGED), _sum(counts, semconv.ESCALATIONS)
    return pb.AnswerStats(
        judged=judged,
        weak=_sum(counts, semconv.JUDGED, verdict="weak"),
        escalated=escalated,
        forgone=_sum(counts, semconv.ESCALATIONS_FORGONE),
        escalation_share=escalated / judged if judged else 0.0,
        weak_alarm=_sum(counts, semconv.WEAK_ALARM) > 0,
        fallbacks=_sum(counts, semconv.FALLBACKS),
        takeovers=_sum(counts, semconv.TAKEOVERS),
        retries=_sum(counts, semconv.RETRIES),
        retries_refused=_sum(counts, semconv.RETRY_REFUSALS),
        hedges=_sum(counts, semconv.HEDGES, outcome="sent"),
        hedges_won=_sum(counts, semconv.HEDGES, outcome="won"),
        cache_hits=_sum(counts, semconv.CACHE_LOOKUPS, outcome="hit"),
        cache_shared=_sum(counts, semconv.CACHE_LOOKUPS, outcome="shared"),
        cache_misses=_sum(counts, semconv.CACHE_LOOKUPS, outcome="miss"),
    )


def _sum(counts: Counts, name: str, **labels: str) -> int:
    """The sum of a metric's samples with these labels."""
    return int(sum(value for found, value in counts.values(name) if labels.items() <= found.items()))

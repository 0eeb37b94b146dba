"""The contract's messages as this client's values: models, deployments, and what the server counts."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC

from tierway.v1 import router_service_pb2 as rpc
from tierway_client._decode import decode_usage, optional_seconds, seconds
from tierway_client._enums import (
    BreakerState,
    Priority,
)
from tierway_client._fleet import (
    AnswerStats,
    BudgetStats,
    ClassifierStats,
    DeploymentInfo,
    DeploymentStats,
    LimitStats,
    ModelInfo,
    ModelStats,
    Stats,
)


def decode_model(model: rpc.Model) -> ModelInfo:
    """One model of ListModels."""
    return ModelInfo(
        name=model.name,
        tier=model.tier,
        compliance_score=model.compliance_score,
        vision=model.vision,
        input_usd_per_million_tokens=model.input_usd_per_million_tokens,
        cached_input_usd_per_million_tokens=model.cached_input_usd_per_million_tokens,
        output_usd_per_million_tokens=model.output_usd_per_million_tokens,
        fallback_chain=tuple(model.fallback_chain),
        deployments=tuple(
            DeploymentInfo(
                name=each.name,
                provider=each.provider,
                available=each.available,
                unavailable_reason=each.unavailable_reason,
                context_tokens=each.context_tokens,
                expected_latency_s=optional_seconds(each, "expected_latency"),
                region=each.region,
            )
            for each in model.deployments
        ),
    )


def decode_stats(response: rpc.GetStatsResponse) -> Stats:
    """The reply of GetStats."""
    return Stats(
        start_time=response.start_time.ToDatetime(tzinfo=UTC),
        models=tuple(
            ModelStats(
                model=each.model,
                decisions=each.decisions,
                answers=each.answers,
                failures=each.failures,
                usage=decode_usage(each.usage),
                cost_usd=each.cost_usd,
            )
            for each in response.models
        ),
        decisions_by_tier={each.tier: each.decisions for each in response.tiers},
        errors_by_reason={each.reason: each.count for each in response.errors},
        in_flight=response.in_flight,
        classifier=_classifier(response.classifier) if response.HasField("classifier") else None,
        count_start_time=response.count_start_time.ToDatetime(tzinfo=UTC),
        deployments=tuple(map(decode_deployment_stats, response.deployments)),
        limits=tuple(
            LimitStats(limit=each.limit, wait_s=seconds(each.wait_time), refusals=each.refusals)
            for each in response.limits
        ),
        budgets=tuple(map(_budget_stats, response.budgets)),
        decisions_by_strategy={each.strategy: each.decisions for each in response.strategies},
        decisions_by_experiment=_by_experiment(response.experiments),
        answers=_answer_stats(response.answers),
        constitution_hash=response.constitution_hash,
    )


def _by_experiment(stats: Iterable[rpc.ExperimentStats]) -> dict[str, dict[str, int]]:
    arms: dict[str, dict[str, int]] = {}
    for each in stats:
        arms.setdefault(each.experiment, {})[each.arm] = each.decisions
    return arms


def decode_deployment_stats(stats: rpc.DeploymentStats) -> DeploymentStats:
    """How a deployment stands, in the replies of GetStats and SetBreaker."""
    return DeploymentStats(
        deployment=stats.deployment,
        breaker=BreakerState(stats.breaker),
        breaker_forced=stats.breaker_forced,
        error_share=stats.error_share,
        in_flight=stats.in_flight,
        first_token_s=seconds(stats.first_token_time),
        token_s=seconds(stats.token_time),
        minute_requests=stats.minute_requests,
        minute_tokens=stats.minute_tokens,
        waiting={Priority(each.priority): each.waiting for each in stats.lanes},
        shed={Priority(each.priority): each.shed for each in stats.lanes},
    )


def _answer_stats(stats: rpc.AnswerStats) -> AnswerStats:
    return AnswerStats(**{field.name: getattr(stats, field.name) for field in fields(AnswerStats)})


def _budget_stats(stats: rpc.BudgetStats) -> BudgetStats:
    return BudgetStats(
        budget=stats.budget,
        limit_usd=stats.limit_usd,
        spent_usd=stats.spent_usd,
        reserved_usd=stats.reserved_usd,
        remaining_usd=stats.remaining_usd,
        hard=stats.hard,
        refusals=stats.refusals,
    )


def _classifier(stats: rpc.ClassifierStats) -> ClassifierStats:
    return ClassifierStats(
        weights=stats.weights,
        calibration=stats.calibration,
        calibration_load_time=stats.calibration_load_time.ToDatetime(tzinfo=UTC)
        if stats.HasField("calibration_load_time")
        else None,
    )

"""What there is and what it has done: `ListModels` and `GetStats`, read from the table, the backends and the metrics."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Callable, Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from tierway.v1 import router_service_pb2 as pb
from tierway_core import Table
from tierway_core.table import Deployment, ModelSpec
from tierway_server.backends.base import Availability
from tierway_server.errors import InvalidRequestError
from tierway_server.flow.decide import Deciding
from tierway_server.flow.standing import DeploymentStanding, Standing
from tierway_server.rpc.answer_stats import answer_stats
from tierway_server.rpc.encode import PICO, duration
from tierway_server.rpc.standing import budget_stats, deployment_stats, lanes_of, limit_stats
from tierway_server.telemetry import semconv
from tierway_server.telemetry.counting import Counting
from tierway_server.telemetry.families import Counts

_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1_000
# Pico-USD a token to USD a million tokens.
_PER_MILLION = PICO * 1e6


class Fleet:
    """The models, their deployments and their account."""

    def __init__(
        self,
        table: Table,
        availability: Callable[[int], Availability],
        standing: Standing,
        constitution_hash: str,
        counting: Counting,
        deciding: Callable[[], Deciding],
        started_s: float,
    ) -> None:
        """Describe a fleet.

        Args:
            table: the models.
            availability: tells whether a deployment can answer now, by its index.
            standing: how breakers, limits and budgets stand.
            constitution_hash: comes with every reply.
            counting: what has been counted, by all processes of the server.
            deciding: tells what decisions are made with now.
            started_s: when the server started, Unix time.

        """
        self._table = table
        self._availability = availability
        self._constitution_hash = constitution_hash
        self._counting = counting
        self._deciding = deciding
        self._standing = standing
        self._start_time = _timestamp(started_s)
        self._models = sorted(
            table.models, key=lambda model: model.tier
        )  # stable: the configuration's order within a tier

    def page(self, request: pb.ListModelsRequest) -> pb.ListModelsResponse:
        """One page of the models.

        Raises:
            InvalidRequestError: the page's size or token.

        """
        if not 0 <= request.page_size <= _LARGEST_PAGE:
            raise InvalidRequestError(f"must be 0 to {_LARGEST_PAGE}", field="page_size")
        begin = _offset(request.page_token, len(self._models))
        end = begin + (request.page_size or _DEFAULT_PAGE)
        return pb.ListModelsResponse(
            models=[self._model(model) for model in self._models[begin:end]],
            next_page_token=_token(end) if end < len(self._models) else "",
            constitution_hash=self._constitution_hash,
        )

    async def reset(self) -> Timestamp:
        """Begin the counts anew, and tell when that was. The metrics themselves go on: a counter never goes back."""
        return _timestamp(await self._counting.reset())

    async def stats(self) -> pb.GetStatsResponse:
        """What has been counted since the start or the last reset, and how things stand."""
        counts = await self._counting.counts()
        lanes = lanes_of(counts)
        models: defaultdict[str, pb.ModelStats] = defaultdict(pb.ModelStats)
        tiers: defaultdict[int, int] = defaultdict(int)
        for labels, value in counts.values(semconv.DECISIONS):
            models[labels["model"]].decisions += int(value)
            tiers[int(labels["tier"])] += int(value)
        for labels, value in counts.values(semconv.ANSWERS):
            models[labels["model"]].answers += int(value)
        for labels, value in counts.values(semconv.FAILURES):
            models[labels["model"]].failures += int(value)
        for labels, value in counts.values(semconv.TOKENS):
            usage = models[labels["model"]].usage
            setattr(usage, f"{labels['direction']}_tokens", int(value))
        for labels, value in counts.values(semconv.COST_USD):
            models[labels["model"]].cost_usd = value
        for name, stats in models.items():
            stats.model = name
        return pb.GetStatsResponse(
            start_time=self._start_time,
            models=[models[name] for name in sorted(models)],
            tiers=[pb.TierStats(tier=tier, decisions=count) for tier, count in sorted(tiers.items())],
            errors=[
                pb.ErrorStats(reason=labels["reason"], count=int(value))
                for labels, value in counts.values(semconv.ERRORS)
            ],
            in_flight=counts.in_flight,
            constitution_hash=self._constitution_hash,
            classifier=self._classifier(),
            count_start_time=_timestamp(counts.since_s),
            deployments=[deployment_stats(each, lanes) for each in self._standing.deployments()],
            limits=limit_stats(self._standing, _by_label(counts, semconv.LIMIT_REFUSALS, "limit")),
            budgets=budget_stats(self._standing, _by_label(counts, semconv.BUDGET_REFUSALS, "budget")),
            strategies=[
                pb.StrategyStats(strategy=name, decisions=count)
                for name, count in sorted(_by_label(counts, semconv.STRATEGIES, "strategy").items())
            ],
            experiments=[
                pb.ExperimentStats(experiment=labels["experiment"], arm=labels["arm"], decisions=int(value))
                for labels, value in sorted(
                    counts.values(semconv.EXPERIMENTS), key=lambda each: sorted(each[0].items())
                )
            ],
            answers=answer_stats(counts),
        )

    async def deployment(self, standing: DeploymentStanding) -> pb.DeploymentStats:
        """One deployment, as `stats` tells it."""
        return deployment_stats(standing, lanes_of(await self._counting.counts()))

    def _classifier(self) -> pb.ClassifierStats | None:
        deciding = self._deciding()
        if deciding.classifier is None:
            return None
        stats = pb.ClassifierStats(weights=deciding.classifier.weights.identity, calibration=deciding.calibration)
        if deciding.calibrated_s is not None:
            stats.calibration_load_time.FromMilliseconds(round(deciding.calibrated_s * 1000))
        return stats

    def _model(self, model: ModelSpec) -> pb.Model:
        return pb.Model(
            name=model.name,
            tier=model.tier,
            compliance_score=model.compliance,
            vision=model.vision,
            input_usd_per_million_tokens=model.input_picousd * _PER_MILLION,
            cached_input_usd_per_million_tokens=model.cached_input_picousd * _PER_MILLION,
            output_usd_per_million_tokens=model.output_picousd * _PER_MILLION,
            fallback_chain=self._table.chain(model.name),
            deployments=[
                self._deployment(deployment) for deployment in self._table.deployments if deployment.model is model
            ],
        )

    def _deployment(self, deployment: Deployment) -> pb.Deployment:
        now = self._availability(deployment.index)
        return pb.Deployment(
            name=deployment.spec.name,
            provider=deployment.spec.provider,
            available=now.is_available,
            unavailable_reason=now.reason,
            context_tokens=deployment.spec.context_tokens,
            expected_latency=duration(deployment.spec.expected_latency_s),
            region=deployment.spec.region,
        )


def _by_label(counts: Counts, name: str, label: str) -> Mapping[str, int]:
    return {labels[label]: int(value) for labels, value in counts.values(name)}


def _timestamp(unix_s: float) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMilliseconds(round(unix_s * 1000))
    return timestamp


def _token(offset: int) -> str:
    # Opaque on purpose: a token is to be handed back, not made.
    return base64.urlsafe_b64encode(f"models:{offset}".encode()).decode()


def _offset(token: str, models: int) -> int:
    if not token:
        return 0
    try:
        name, _, offset = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if name == "models" and 0 < int(offset) < models:
            return int(offset)
    except (ValueError, binascii.Error):
        pass
    raise InvalidRequestError("is not a token that ListModels gave", field="page_token")

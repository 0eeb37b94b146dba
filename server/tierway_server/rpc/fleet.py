"""What there is and what it has done: `ListModels` and `GetStats`, read from the table, the backends and the metrics."""

from __future__ import annotations

import base64
import binascii
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client.registry import Collector

from tierway.v1 import router_service_pb2 as pb
from tierway_core import Table
from tierway_core.table import ModelSpec
from tierway_server.backends.base import Availability
from tierway_server.errors import InvalidRequestError
from tierway_server.flow.decide import Deciding
from tierway_server.flow.standing import Standing
from tierway_server.rpc.encode import PICO, duration
from tierway_server.rpc.standing import budget_stats, deployment_stats, limit_stats
from tierway_server.telemetry.metrics import Metrics

_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1_000
# Pico-USD a token to USD a million tokens.
_PER_MILLION = PICO * 1e6


class Fleet:
    """The models, their deployments and their account."""

    def __init__(
        self,
        table: Table,
        availabilities: Sequence[Availability],
        standing: Standing,
        constitution_hash: str,
        metrics: Metrics,
        deciding: Callable[[], Deciding],
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        """Describe a fleet.

        Args:
            table: the models.
            availabilities: of each deployment; a live list that its owner updates.
            standing: how breakers, limits and budgets stand.
            constitution_hash: comes with every reply.
            metrics: what has been counted.
            deciding: tells what decisions are made with now.
            unix_s: the time of day; it starts now.

        """
        self._table = table
        self._availabilities = availabilities
        self._constitution_hash = constitution_hash
        self._metrics = metrics
        self._deciding = deciding
        self._standing = standing
        self._unix_s = unix_s
        self._start_time = self._count_start_time = _timestamp(unix_s())
        self._before: Mapping[_Key, float] = {}
        """What each count had come to when the counts began anew."""
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

    def reset(self) -> Timestamp:
        """Begin the counts anew, and tell when that was. The metrics themselves go on: a counter never goes back."""
        self._before = dict(_samples(self._counters()))
        self._count_start_time = _timestamp(self._unix_s())
        return self._count_start_time

    def stats(self, in_flight: int) -> pb.GetStatsResponse:
        """What has been counted since the start or the last reset, and how things stand."""
        metrics = self._metrics
        models: defaultdict[str, pb.ModelStats] = defaultdict(pb.ModelStats)
        tiers: defaultdict[int, int] = defaultdict(int)
        for labels, value in self._values(metrics.decisions):
            models[labels["model"]].decisions += int(value)
            tiers[int(labels["tier"])] += int(value)
        for labels, value in self._values(metrics.answers):
            models[labels["model"]].answers += int(value)
        for labels, value in self._values(metrics.failures):
            models[labels["model"]].failures += int(value)
        for labels, value in self._values(metrics.tokens):
            usage = models[labels["model"]].usage
            setattr(usage, f"{labels['direction']}_tokens", int(value))
        for labels, value in self._values(metrics.cost):
            models[labels["model"]].cost_usd = value
        for name, stats in models.items():
            stats.model = name
        return pb.GetStatsResponse(
            start_time=self._start_time,
            models=[models[name] for name in sorted(models)],
            tiers=[pb.TierStats(tier=tier, decisions=count) for tier, count in sorted(tiers.items())],
            errors=[
                pb.ErrorStats(reason=labels["reason"], count=int(value))
                for labels, value in self._values(metrics.errors)
            ],
            in_flight=in_flight,
            constitution_hash=self._constitution_hash,
            classifier=self._classifier(),
            count_start_time=self._count_start_time,
            deployments=map(deployment_stats, self._standing.deployments()),
            limits=limit_stats(self._standing, self._by_label(metrics.limit_refusals, "limit")),
            budgets=budget_stats(self._standing, self._by_label(metrics.budget_refusals, "budget")),
            strategies=[
                pb.StrategyStats(strategy=name, decisions=count)
                for name, count in sorted(self._by_label(metrics.strategies, "strategy").items())
            ],
            experiments=[
                pb.ExperimentStats(experiment=labels["experiment"], arm=labels["arm"], decisions=int(value))
                for labels, value in sorted(self._values(metrics.experiments), key=lambda each: sorted(each[0].items()))
            ],
        )

    def _counters(self) -> tuple[Collector, ...]:
        metrics = self._metrics
        return (
            metrics.decisions,
            metrics.answers,
            metrics.failures,
            metrics.tokens,
            metrics.cost,
            metrics.errors,
            metrics.strategies,
            metrics.experiments,
            metrics.limit_refusals,
            metrics.budget_refusals,
        )

    def _values(self, counter: Collector) -> list[tuple[dict[str, str], float]]:
        """The counts of one counter, by their labels, that are above 0."""
        counted = ((key, value - self._before.get(key, 0.0)) for key, value in _samples((counter,)))
        return [(dict(key[1]), value) for key, value in counted if value > 0]

    def _by_label(self, counter: Collector, label: str) -> Mapping[str, int]:
        return {labels[label]: int(value) for labels, value in self._values(counter)}

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
                pb.Deployment(
                    name=deployment.spec.name,
                    provider=deployment.spec.provider,
                    available=self._availabilities[deployment.index].is_available,
                    unavailable_reason=self._availabilities[deployment.index].reason,
                    context_tokens=deployment.spec.context_tokens,
                    expected_latency=duration(deployment.spec.expected_latency_s),
                    region=deployment.spec.region,
                )
                for deployment in self._table.deployments
                if deployment.model is model
            ],
        )


_Key = tuple[str, tuple[tuple[str, str], ...]]
"""A counter's name and its labels."""


def _samples(counters: Iterable[Collector]) -> Iterator[tuple[_Key, float]]:
    for counter in counters:
        for family in counter.collect():
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    yield (sample.name, tuple(sample.labels.items())), sample.value


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

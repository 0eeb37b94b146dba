"""Metrics of several processes as one: what a process counts, in a form that travels, and the sum of many such.

Counters and histograms are added up. A gauge is read from what the processes share, so that all of them say the same: the largest
counts, which is also the truth while one of them has not heard yet. What waits in a process's own queues is added up, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tierway_server.telemetry import semconv

_ADDED = frozenset({"counter", "histogram", "summary"})
_OF_EACH = frozenset({semconv.QUEUE_DEPTH})
"""Gauges of what every process has for itself: these are added up."""
_BEGAN = "_created"
"""The samples of a counter or histogram that say when it began, by the ends of their names."""


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """One number."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, array_like=True, frozen=True):
    """All numbers of one metric."""

    name: str
    documentation: str
    kind: str
    """As Prometheus calls it: `counter`, `gauge`, `histogram`."""
    samples: list[Sample]


Families = list[Family]


class Collected(Protocol):
    """What metrics can be read from: a registry, above all."""

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""


class Counts(msgspec.Struct, array_like=True, frozen=True):
    """What has been counted, by one process or by all of a server."""

    families: Families
    in_flight: int
    """Answers under way."""
    since_s: float = 0.0
    """From when it has been counted, Unix time; 0: since the start of the process that tells it."""

    def values(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """The samples called `name`, each with its labels."""
        return [
            (sample.labels, sample.value)
            for family in self.families
            for sample in family.samples
            if sample.name == name
        ]


families_decoder: msgspec.msgpack.Decoder[Families] = msgspec.msgpack.Decoder(Families)
counts_decoder: msgspec.msgpack.Decoder[Counts] = msgspec.msgpack.Decoder(Counts)


def collect(registries: Iterable[Collected]) -> Families:
    """All that `registries` have now."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [Sample(sample.name, dict(sample.labels), float(sample.value)) for sample in metric.samples],
        )
        for registry in registries
        for metric in registry.collect()
    ]


def merge(parts: Iterable[Families]) -> Families:
    """The whole of which each of `parts` is one process's share."""
    heads: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for families in parts:
        for family in families:
            heads.setdefault(family.name, family)
            whole = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                whole[key] = _both(family.kind, sample.name, whole[key], sample.value) if key in whole else sample.value
    return [
        Family(
            name,
            head.documentation,
            head.kind,
            [Sample(sample, dict(labels), value) for (sample, labels), value in values[name].items()],
        )
        for name, head in heads.items()
    ]


def is_lasting(family: Family) -> bool:
    """Whether a metric stays true when its process has ended: it is a count, and does not say how things stand."""
    return family.kind in _ADDED


def lasting(families: Families) -> Families:
    """What of a process's metrics stays true when it has ended."""
    return [family for family in families if is_lasting(family)]


def _both(kind: str, sample: str, one: float, other: float) -> float:
    if kind not in _ADDED and sample not in _OF_EACH:
        return max(one, other)
    return min(one, other) if sample.endswith(_BEGAN) else one + other


class Merged(Collector):
    """Families as something that a registry, or an exposition, can read."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        for family in self._families:
            metric = Metric(family.name, family.documentation, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric

"""Counters and histograms for the hot path: plain integers, read when they are scraped.

prometheus-client's own take a lock and some microseconds for each number; a decision holds no lock and costs less than one of them. These
live on the event loop alone, which also serves the scrape, so that nothing can tear.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Tally:
    """One counter."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Spread:
    """One histogram of durations in seconds."""

    __slots__ = ("_bounds_s", "counts", "total_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        """Observations in each bucket, the last one without an upper bound."""
        self.total_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self._bounds_s, duration_s)] += 1
        self.total_s += duration_s


class Tallies(Collector):
    """The counters of one metric, by their labels."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self.by_labels: dict[tuple[str, ...], Tally] = {}
        registry.register(self)

    def labels(self, *values: str) -> Tally:
        """The counter of these label values; keep it, looking it up costs more than counting."""
        return self.by_labels.setdefault(values, Tally())

    def collect(self) -> Iterable[CounterMetricFamily]:
        """The metric as it is now."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, tally in self.by_labels.items():
            family.add_metric(values, tally.count)
        yield family


class Spreads(Collector):
    """The histograms of one metric, by their labels."""

    def __init__(
        self,
        name: str,
        documentation: str,
        bounds_s: Sequence[float],
        labels: Sequence[str],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._documentation, self._labels, self._bounds_s = name, documentation, labels, bounds_s
        self._by_labels: dict[tuple[str, ...], Spread] = {}
        registry.register(self)

    def labels(self, *values: str) -> Spread:
        """The histogram of these label values; keep it."""
        return self._by_labels.setdefault(values, Spread(self._bounds_s))

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The metric as it is now."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, spread in self._by_labels.items():
            cumulated, buckets = 0, []
            for bound, count in zip([*map(str, map(float, self._bounds_s)), "+Inf"], spread.counts, strict=True):
                cumulated += count
                buckets.append((bound, cumulated))
            family.add_metric(values, buckets, spread.total_s)
        yield family

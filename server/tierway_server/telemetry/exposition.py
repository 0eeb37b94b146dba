"""`/metrics`: our registry and those of the living engines, as one exposition.

Engines speak the same metric names, told apart by `model_name`. A format that allows each name once needs them merged into one family.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from tierway_server.telemetry.families import Collected


class _Merged:
    """Several registries, read as one."""

    def __init__(self, registries: Iterable[Collected]) -> None:
        self._registries = registries

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for registry in self._registries:
            for family in registry.collect():
                known = families.setdefault(family.name, family)
                if known is not family:
                    known.samples.extend(family.samples)
        return families.values()


def expose(registries: Iterable[Collected]) -> tuple[bytes, str]:
    """The exposition of all `registries` and its content type.

    In the classic text format, whatever the scraper would prefer: OpenMetrics spells the colon of `vllm:` names in other ways.
    """
    return generate_latest(_Merged(registries)), CONTENT_TYPE_PLAIN_0_0_4

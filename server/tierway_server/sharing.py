"""What keeps the state in step with other machines, where that is configured: part of the composition root."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tierway_core import State, Table
from tierway_server.config import Config, ConfigError, Problem, ReferenceUnresolvedError, Secrets
from tierway_server.telemetry import semconv

if TYPE_CHECKING:
    from tierway_server.shared.keeper import Keeper


def start_sharing(
    config: Config, secrets: Secrets, table: Table, state: State, registry: CollectorRegistry
) -> Keeper | None:
    """The keeper of `state`, whose limits, budgets and breakers are set; None where nothing is shared. It connects when it runs.

    Raises:
        ConfigError: the URL is missing or none, or the extra `redis` is not installed.

    """
    settings = config.shared_state
    if settings is None:
        return None
    try:
        # Here, not at the top: without Redis nothing of it is needed.
        from tierway_server.shared.keeper import Keeper, Timing
    except ModuleNotFoundError as missing:
        raise _unusable(f'needs the package {missing.name}: pip install "tierway[redis]"') from None
    try:
        keeper = Keeper(
            secrets.resolve(settings.redis),
            table=table,
            state=state,
            namespace=settings.namespace,
            timing=Timing(sync_s=settings.sync_s, lost_after_s=settings.lost_after_s),
            lease_share=settings.lease_share,
            lost_share=settings.lost_share,
        )
    except ReferenceUnresolvedError as error:
        raise _unusable(str(error)) from None
    except ValueError:  # not its text, which may quote the URL
        raise _unusable("the URL must begin with redis://, rediss:// or unix://") from None
    registry.register(_Figures(keeper))
    return keeper


def lease_wait_s(config: Config) -> float | None:
    """How soon a budget may have leased more, in seconds; None where nothing is shared."""
    return config.shared_state.sync_s if config.shared_state else None


def _unusable(message: str) -> ConfigError:
    return ConfigError([Problem(path="shared_state.redis", message=message)])


class _Figures(Collector):
    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterable[Metric]:
        keeper = self._keeper
        yield GaugeMetricFamily(semconv.SHARED_LOST, "1 while Redis is lost, else 0.", keeper.is_lost)
        yield GaugeMetricFamily(semconv.SHARED_AGE_SECONDS, "Time since the other replicas were heard.", keeper.age_s)
        yield GaugeMetricFamily(
            semconv.SHARED_REPLICAS, "Replicas alive when last heard of, this one included.", keeper.replicas
        )
        rounds = CounterMetricFamily(semconv.SHARED_ROUNDS, "Rounds of synchronisation.", labels=["outcome"])
        for outcome, number in keeper.rounds.items():
            rounds.add_metric([outcome], number)
        yield rounds

"""What keeps answers, where that is configured: part of the composition root."""

from __future__ import annotations

import hashlib

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tierway_server.config import Config, ConfigError, Problem, ReferenceUnresolvedError, Secrets
from tierway_server.flow.cache import Cached
from tierway_server.flow.escalation import Answering
from tierway_server.flow.kept import Memory, Store
from tierway_server.telemetry import semconv
from tierway_server.telemetry.metrics import Metrics

# What answers depend on, beside the request. Not where anything listens, or what it may cost.
_MATTERS = {"constitution", "routing", "engines", "providers", "models", "tenants", "escalation"}


def start_caching(
    config: Config, secrets: Secrets, below: Answering, metrics: Metrics
) -> tuple[Answering, Store | None]:
    """The uppermost layer of the flow, and the store to be closed in the end; `below` itself and None where nothing is kept.

    Raises:
        ConfigError: the answers are to be kept in Redis, and there is none, or the extra `redis` is not installed.

    """
    settings = config.cache
    if not settings.enabled:
        return below, None
    store: Store
    if settings.where == "redis":
        store = _redis_store(config, secrets, metrics)
    else:
        store = memory = Memory(settings.max_bytes, metrics)
        metrics.registry.register(_Bytes(memory))
    cached = Cached(
        below,
        store,
        settings,
        metrics,
        identity=_identity(config),
        rule_ages_s={rule.name: rule.cache_age_s for rule in config.routing.rules if rule.cache_age_s is not None},
        min_confidence=config.escalation.threshold if config.escalation.enabled else 0.0,
    )
    return cached, store


def _identity(config: Config) -> bytes:
    """What stands for the configuration: replicas with another one, and this one after a change, keep answers of their own."""
    return hashlib.blake2b(config.model_dump_json(include=_MATTERS).encode(), digest_size=16).digest()


def _redis_store(config: Config, secrets: Secrets, metrics: Metrics) -> Store:
    shared = config.shared_state
    if shared is None:
        raise _unusable("redis needs the section shared_state, which says where it is")
    try:
        # Here, not at the top: without Redis nothing of it is needed.
        from tierway_server.shared.answers import RedisAnswers
    except ModuleNotFoundError as missing:
        raise _unusable(f'needs the package {missing.name}: pip install "tierway[redis]"') from None
    try:
        url = secrets.resolve(shared.redis)
        return RedisAnswers(url, shared.namespace, config.cache.timeout_s, metrics)
    except ReferenceUnresolvedError as error:
        raise _unusable(str(error)) from None
    except ValueError:  # not its text, which may quote the URL
        raise _unusable("the URL must begin with redis://, rediss:// or unix://") from None


def _unusable(message: str) -> ConfigError:
    return ConfigError([Problem(path="cache.where", message=message)])


class _Bytes(Collector):
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def collect(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(semconv.CACHE_BYTES, "What the kept answers take in memory.", self._memory.bytes)]

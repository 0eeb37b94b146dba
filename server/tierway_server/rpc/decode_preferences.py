"""How a request wants to be served: from the wire to the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.duration_pb2 import Duration

from tierway.v1 import types_pb2 as types_pb
from tierway_server.errors import InvalidRequestError
from tierway_server.flow.priority import Priority

_PICO_USD = 1e12
_MAX_NAME_CHARACTERS = 128
_MAX_REGIONS = 64
_PRIORITIES = frozenset(priority.value for priority in Priority)


class Preferences(NamedTuple):
    """What a request states, checked."""

    core: Mapping[str, Any]
    """What the decision reads, named as in the core's `Request`; only what is stated, but for texts."""
    max_cost_picousd: int | None
    expected_constitution_hash: str
    allow_takeover: bool
    hedges: bool | None
    """Whether a second deployment may be asked at the same time; None: as configured."""
    escalates: bool | None
    """Whether a weak answer may be asked again; None: as configured."""
    max_cache_age_s: float | None
    """How old a kept answer may be; 0: it is neither looked up nor kept; None: as configured."""
    priority: Priority | None
    """None: what the metadata say."""


NO_PREFERENCES = Preferences({}, None, "", True, None, None, None, None)


def preferred(preferences: types_pb.Preferences) -> Preferences:
    """What a request prefers.

    Raises:
        InvalidRequestError: a field is wrong.

    """
    return Preferences(
        core=_read_by_the_core(preferences),
        max_cost_picousd=_max_cost_picousd(preferences),
        expected_constitution_hash=preferences.expected_constitution_hash,
        allow_takeover=preferences.allow_takeover if preferences.HasField("allow_takeover") else True,
        hedges=preferences.allow_hedging if preferences.HasField("allow_hedging") else None,
        escalates=preferences.allow_escalation if preferences.HasField("allow_escalation") else None,
        max_cache_age_s=_max_cache_age_s(preferences),
        priority=_priority(preferences),
    )


def _read_by_the_core(preferences: types_pb.Preferences) -> dict[str, Any]:
    for name in ("agent", "task_type", "force_model", "strategy", "sticky_key"):
        if len(getattr(preferences, name)) > _MAX_NAME_CHARACTERS:
            raise InvalidRequestError(f"at most {_MAX_NAME_CHARACTERS} characters", field=f"preferences.{name}")
    stated: dict[str, Any] = {
        "agent": preferences.agent,
        "task_type": preferences.task_type,
        "force_model": preferences.force_model,
        "strategy": preferences.strategy,
        "sticky_key": preferences.sticky_key,
        "regions": _regions(preferences),
        **_tiers(preferences),
    }
    if preferences.HasField("latency_budget"):
        budget_s = _seconds(preferences.latency_budget)
        if budget_s <= 0:
            raise InvalidRequestError("must be above 0", field="preferences.latency_budget")
        stated["latency_budget_s"] = budget_s
    for name in ("min_compliance", "cost_quality"):
        if preferences.HasField(name):
            share = getattr(preferences, name)
            if not 0 <= share <= 1:  # false for NaN, too
                raise InvalidRequestError("must be 0 to 1", field=f"preferences.{name}")
            stated[name] = share
    if preferences.HasField("allow_fallback"):
        stated["allow_fallback"] = preferences.allow_fallback
    return stated


def _regions(preferences: types_pb.Preferences) -> frozenset[str]:
    if len(preferences.regions) > _MAX_REGIONS:
        raise InvalidRequestError(f"at most {_MAX_REGIONS} regions", field="preferences.regions")
    for index, region in enumerate(preferences.regions):
        if not 1 <= len(region) <= _MAX_NAME_CHARACTERS:
            raise InvalidRequestError(
                f"a region has 1 to {_MAX_NAME_CHARACTERS} characters", field=f"preferences.regions[{index}]"
            )
    return frozenset(preferences.regions)


def _tiers(preferences: types_pb.Preferences) -> dict[str, int]:
    stated = {name: getattr(preferences, name) for name in ("min_tier", "max_tier") if preferences.HasField(name)}
    for name, tier in stated.items():
        if not 1 <= tier <= 5:
            raise InvalidRequestError("a tier is 1 to 5", field=f"preferences.{name}")
    if stated.get("min_tier", 1) > stated.get("max_tier", 5):
        raise InvalidRequestError("is above max_tier", field="preferences.min_tier")
    return stated


def _max_cost_picousd(preferences: types_pb.Preferences) -> int | None:
    if not preferences.HasField("max_cost_usd"):
        return None
    if not 0 < preferences.max_cost_usd <= 1e6:
        raise InvalidRequestError("must be above 0 and at most 1,000,000", field="preferences.max_cost_usd")
    return round(preferences.max_cost_usd * _PICO_USD)


def _max_cache_age_s(preferences: types_pb.Preferences) -> float | None:
    if not preferences.HasField("max_cache_age"):
        return None
    age_s = _seconds(preferences.max_cache_age)
    if age_s < 0:
        raise InvalidRequestError("must be at least 0", field="preferences.max_cache_age")
    return age_s


def _priority(preferences: types_pb.Preferences) -> Priority | None:
    number = int(preferences.priority)
    if not number:
        return None
    if number not in _PRIORITIES:
        raise InvalidRequestError("must be interactive, normal or batch", field="preferences.priority")
    return Priority(number)


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos * 1e-9

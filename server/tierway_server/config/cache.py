"""The section `cache`: whether answers are kept for requests that are the same."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from tierway_server.config.section import Seconds, Section


class CacheConfig(Section):
    """Whether answers are kept for requests of the same tenant that are the same in everything that matters. Requests opt in: by
    `max_cache_age`, by their rule's `cache_age_s`, or all by `default_age_s`.
    """

    enabled: bool = False
    """Whether there is a cache."""

    default_age_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """How old a kept answer may be, in seconds, that is given to requests that do not say so and whose rule does not; 0: none is."""

    max_age_s: Seconds = 3_600.0
    """How long answers are kept, in seconds."""

    where: Literal["memory", "redis"] = "memory"
    """`memory`: each process keeps its own. `redis`: all replicas have one, in the Redis of `shared_state`."""

    max_bytes: Annotated[int, Field(ge=1_024, le=1 << 40)] = 67_108_864
    """Most bytes that a process keeps in memory; the least recently used answers make room. Redis has its own `maxmemory`."""

    max_entry_bytes: Annotated[int, Field(ge=256, le=1 << 28)] = 262_144
    """Longest answer that is kept, in bytes, and that late followers of one under way can join."""

    timeout_s: Annotated[float, Field(ge=0.001, le=10)] = 0.05
    """Longest wait for Redis, in seconds; after it an answer is taken for not kept."""

    @field_validator("max_entry_bytes")
    @classmethod
    def _entry_fits(cls, value: int, info: ValidationInfo) -> int:
        most = info.data.get("max_bytes", value)
        if value > most:
            raise ValueError(f"must be at most max_bytes, which is {most}")
        return value

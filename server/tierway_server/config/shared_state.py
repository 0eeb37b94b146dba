"""The section `shared_state`: what replicas on several machines have in common, and how closely."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from tierway_server.config.references import check_secret
from tierway_server.config.section import NAME_PATTERN, Section


class SharedStateConfig(Section):
    """Breakers, limits, budgets and usage, shared with other replicas through Redis. Replicas that share have the same configuration."""

    redis: str
    """Where the URL of Redis stands, which may hold a password: `env:NAME`, `file:PATH` or `vault:PATH#KEY`. The URL is `redis://`,
    `rediss://` (TLS) or `unix://`."""

    namespace: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] = "tierway"
    """What all keys in Redis begin with. Replicas with the same one share."""

    sync_s: Annotated[float, Field(ge=0.01, le=10)] = 0.1
    """Seconds from one round of synchronisation to the next: with the time of a round, the staleness of what decisions read."""

    lost_after_s: Annotated[float, Field(ge=0.1, le=600)] = 1.0
    """Seconds without an answer of Redis after which the replica goes on alone. At least 5 times `sync_s`."""

    lease_share: Annotated[float, Field(ge=0.001, le=1)] = 0.2
    """How much of what is left of a budget all replicas together may hold as leases: what they can spend while Redis is lost, and
    what counts as spent when they are killed."""

    lost_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of each rate limit with which a replica goes on alone. Default: one part of as many as were alive when last heard of."""

    @field_validator("redis")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        return check_secret(value)

    @field_validator("lost_after_s")
    @classmethod
    def _outlasts_rounds(cls, value: float, info: ValidationInfo) -> float:
        least = 5 * info.data.get("sync_s", 0.0)
        if value < least:
            raise ValueError(f"must be at least 5 times sync_s, which is {least:g}")
        return value

"""The sections `retries` and `hedging`: what is done for an answer that does not come, or not soon."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from tierway_server.config.section import Score, Seconds, Section


class RetriesConfig(Section):
    """When a deployment that failed before its first token is asked once more, before the next of the chain is."""

    max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    """How often one deployment is asked again for one answer; 0: never."""

    min_wait_s: Seconds = 0.05
    """Shortest wait before, in seconds. Each is drawn between it and three times the last one."""

    max_wait_s: Seconds = 2.0
    """Longest wait, in seconds, beside what a provider asks for; also with that, while others follow. At least `min_wait_s`."""

    max_share: Score = 0.1
    """Retries are at most this share of the requests to one process, 0 to 1, beside `min_per_s`."""

    min_per_s: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """So many retries a second may be made however few requests there are."""

    @field_validator("max_wait_s")
    @classmethod
    def _is_not_below_min_wait_s(cls, value: float, info: ValidationInfo) -> float:
        least = info.data.get("min_wait_s", value)
        if value < least:
            raise ValueError(f"must be at least min_wait_s, which is {least:g}")
        return value


class HedgingConfig(Section):
    """When a second deployment is asked too, because the first is slow to begin. Both are paid for. Never for requests with tools or a cost
    ceiling.
    """

    enabled: bool = False
    """Whether requests that do not say so themselves are hedged."""

    quantile: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """The second is asked when the first takes longer to its first token than this share of its latest answers."""

    max_share: Score = 0.05
    """Second deployments are asked for at most this share of the requests to one process, 0 to 1."""

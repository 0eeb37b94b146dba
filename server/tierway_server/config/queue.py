"""The section `queue`: how requests wait for a place where all are taken."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tierway_server.config.section import Seconds, Section

_Share = Annotated[float, Field(ge=0.001, le=1_000)]
_Wait = Annotated[float, Field(ge=0, le=86_400)]


class LaneSharesConfig(Section):
    """In which proportion lanes are served that all have somebody waiting."""

    interactive: _Share = 16.0
    """Share of requests for which somebody waits."""

    normal: _Share = 4.0
    """Share of requests that state no priority."""

    batch: _Share = 1.0
    """Share of requests for which nobody waits."""


class LongestWaitConfig(Section):
    """How long a request may wait for a place, in seconds; then it is refused there (`QUEUE_FULL`), or goes on along its chain."""

    interactive: Seconds = 10.0
    """Longest wait of an interactive request, in seconds."""

    normal: Seconds = 30.0
    """Longest wait of a request without a priority, in seconds."""

    batch: Seconds = 300.0
    """Longest wait of a batch request, in seconds."""


class FirstChoiceWaitConfig(Section):
    """How long, as predicted, a request rather waits for its first choice than goes to another of its chain that has a place now."""

    interactive: _Wait = 0.2
    """Patience of an interactive request with its first choice, in seconds."""

    normal: _Wait = 2.0
    """Patience of a request without a priority, in seconds."""

    batch: _Wait = 300.0
    """Patience of a batch request, in seconds."""


class QueueConfig(Section):
    """How requests wait for a place: by lanes, and in a lane in turn by tenants."""

    size: Annotated[int, Field(ge=0, le=1_000_000)] = 256
    """Most requests that wait for a remote deployment; for an engine, its `queue_size` says it. One more is refused (`QUEUE_FULL`)."""

    shares: LaneSharesConfig = LaneSharesConfig()
    """In which proportion the lanes are served."""

    max_wait_s: LongestWaitConfig = LongestWaitConfig()
    """How long a request may wait."""

    first_choice_wait_s: FirstChoiceWaitConfig = FirstChoiceWaitConfig()
    """How long a request waits for its first choice while another of its chain has a place."""

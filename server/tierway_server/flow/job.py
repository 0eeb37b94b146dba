"""One decided request: what the layers of the flow hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tierway_core import Decision
from tierway_server.backends.base import Message, Sampling, Tools
from tierway_server.flow.priority import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One decided request."""

    id: str
    """The decision's id; names the generations at the engines."""
    decision: Decision
    messages: tuple[Message, ...]
    prefix_keys: tuple[int, ...]
    """What stands for the beginnings that this conversation has in common with others, now and at its next turn."""
    sampling: Sampling
    max_tokens: int
    max_cost_picousd: int | None
    json_schema: Mapping[str, Any] | None
    arrived_s: float
    """When the request arrived, on the server's clock."""
    give_up_s: float
    """When its time is over, on the server's clock."""
    decided_s: float
    """When the decision had been taken, on the server's clock."""
    tools: Tools | None = None
    """What the model may call."""
    allow_takeover: bool = True
    """Whether another deployment may go on where one broke off."""
    hedges: bool | None = None
    """Whether a second deployment may be asked at the same time; None: as configured."""
    escalates: bool | None = None
    """Whether a weak answer may be asked again one tier up; None: as configured."""
    max_cache_age_s: float | None = None
    """How old a kept answer may be; 0: it is neither looked up nor kept; None: as configured."""
    priority: Priority = Priority.NORMAL

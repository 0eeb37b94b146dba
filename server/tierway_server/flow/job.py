"""One decided request: what the layers of the flow hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tierway_core import Decision
from tierway_server.backends.base import Message, Sampling, Tools
from tierway_server.flow.account import Account
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
    """Most that all tries together may cost; None: there is no ceiling."""
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
    streams: bool = False
    """Whether the caller reads along, and not the whole answer at its end."""
    is_judged: bool = False
    """Whether log-probabilities are wanted of whoever can give them, also where the caller did not ask for them."""
    account: Account = field(default_factory=Account)
    """What it has come to; one for all that is made of this job, as long as it is the same request."""

    @property
    def left_picousd(self) -> int | None:
        """What it may still cost; None: there is no ceiling."""
        return None if self.max_cost_picousd is None else max(0, self.max_cost_picousd - self.account.cost_picousd)

"""Keeps a process's state in step with the other replicas, and says so when it cannot."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tierway_core import Sharing, State, Table
from tierway_server.shared.breakers import Breakers
from tierway_server.shared.budgets import Budgets
from tierway_server.shared.limits import Limits
from tierway_server.shared.link import Link, LinkLostError
from tierway_server.shared.rounds import Call, Part, Reply, numbers
from tierway_server.shared.usage import Usage

logger = logging.getLogger(__name__)

_FORGET_S = 86_400
"""A replica that was silent for so long is forgotten; what it held of budgets counts as spent."""
_MOST_WAIT_S = 1.0
"""Between two tries to reach Redis again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How closely replicas keep in step."""

    sync_s: float
    """Seconds from one round to the next: with the time of a round, the staleness of what a decision reads."""
    lost_after_s: float
    """After so many seconds without a round, a replica goes on alone (and half as many more, where Redis hangs); others take it for
    lost."""


class Keeper:
    """The rounds of one process. Lives on the event loop."""

    def __init__(
        self,
        link_url: str,
        *,
        table: Table,
        state: State,
        namespace: str,
        timing: Timing,
        lease_share: float,
        lost_share: float | None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Connect to nothing yet; budgets are leased from here on, so nothing is spent before the first round.

        Args:
            link_url: of Redis, with its credentials.
            table: what is shared, by its names.
            state: the process's own, limits, budgets and breakers as the table has them. One keeper a state.
            namespace: of the keys; replicas that share one have the same.
            timing: how closely.
            lease_share: see `Budgets`.
            lost_share: see `Limits`.
            clock_ns: the state's clock.

        Raises:
            ValueError: the URL is none.

        """
        replica = secrets.token_hex(8)
        sharing = Sharing(state)
        self._link = Link(link_url, namespace, replica)
        self._timing = timing
        self._clock_ns = clock_ns
        self._budgets = Budgets(table, sharing, lease_share)
        self._parts: tuple[Part, ...] = (
            self._budgets,
            Limits(table, sharing, lost_share),
            Breakers(table, sharing, replica, timing.lost_after_s),
            Usage(table, sharing, timing.lost_after_s),
        )
        self._number = 0
        self._heard_ns = clock_ns()
        self.replicas = 0
        """How many were alive when last heard of, this one included; 0: nothing was heard yet."""
        self.is_lost = False
        """Whether this replica goes on alone."""
        self.rounds = {"answered": 0, "failed": 0}
        """How many rounds there were, by outcome."""

    @property
    def age_s(self) -> float:
        """How long ago the others were heard, or since when this one waits for it, in seconds."""
        return (self._clock_ns() - self._heard_ns) / 1e9

    @property
    def degraded(self) -> str:
        """What is not as it should be, in one line for a person; nothing while all is well."""
        return f"shared state: Redis has not answered for {self.age_s:.0f} s" if self.is_lost else ""

    async def run(self) -> None:
        """Keep in step until cancelled."""
        wait_s = self._timing.sync_s
        task = asyncio.current_task()
        assert task is not None
        while not task.cancelling():  # asyncio.wait_for of Python 3.11 may swallow what cancels it
            began_ns = self._clock_ns()
            if await self.round():
                wait_s = self._timing.sync_s
            elif self.is_lost:
                wait_s = min(2 * wait_s, max(_MOST_WAIT_S, self._timing.sync_s))
            await asyncio.sleep(max(wait_s - (self._clock_ns() - began_ns) / 1e9, 0.0))

    async def round(self) -> bool:
        """Tell and hear once. Returns whether Redis answered; bounded by `lost_after_s`."""
        try:
            calls = [part.tell(self._clock_ns()) for part in self._parts]
            sign, *replies = await self._exchange([call for each in calls for call in each])
        except LinkLostError as lost:
            self.rounds["failed"] += 1
            if not self.is_lost and self.age_s >= self._timing.lost_after_s:
                self._go_alone(str(lost))
            return False
        if sign is None:  # a later one of this replica was there: impossible, but for a server that was set back
            return False
        self.replicas, _ = numbers(sign)
        now_ns = self._clock_ns()
        if self.is_lost:
            self._come_back(now_ns)
        self._heard_ns = now_ns
        self.rounds["answered"] += 1
        for part, each in zip(self._parts, calls, strict=True):
            part.hear(replies[: len(each)], now_ns, self.replicas)
            del replies[: len(each)]
        return True

    async def leave(self) -> None:
        """Give the leases back, after the last request; then hang up."""
        try:
            await self._exchange(self._budgets.leave())
        except LinkLostError as lost:
            logger.warning("leases could not be given back: they count as spent", extra={"why": str(lost)})
        await self._link.close()

    async def _exchange(self, calls: Sequence[Call]) -> list[Reply]:
        self._number += 1
        lost_after_us = round(self._timing.lost_after_s * 1e6)
        sign = Call("replica", "", (lost_after_us, _FORGET_S * 1_000_000))
        # Half, so that one slow round is no loss; alone, there is time to be sure.
        most_s = self._timing.lost_after_s / (1 if self.is_lost else 2)
        return await self._link.round(self._number, [sign, *calls], most_s=most_s)

    def _go_alone(self, why: str) -> None:
        self.is_lost = True
        for part in self._parts:
            part.lost(self.replicas)
        logger.warning(
            "Redis is lost: going on with leases and a share of each limit",
            extra={"why": why, "replicas": self.replicas, "seconds": round(self.age_s, 3)},
        )

    def _come_back(self, now_ns: int) -> None:
        self.is_lost = False
        for part in self._parts:
            part.found(now_ns)
        logger.info("Redis is back", extra={"replicas": self.replicas, "seconds": round(self.age_s, 3)})

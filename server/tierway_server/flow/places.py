"""The places of one backend: as many generations as it holds at once, and a queue in front of them.

A place that comes free goes to the next who waits, at once and to nobody else. Where several processes share the backend, each has its own
queue: what another lets go of is found by looking every few milliseconds, while somebody waits here. A process that has more than its
part of the places leaves what it lets go of to that look, so that it does not keep the others waiting for ever.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from tierway_core import State
from tierway_server.flow.lanes import Lanes
from tierway_server.flow.priority import Priority

Shed = Literal["age", "deadline", "full", "displaced", "elsewhere"]
"""Why somebody does not wait: for as long as it may, too long to answer in time, too many do, a more urgent or rarer one does instead,
another deployment takes it at once."""

_LOOK_S: Final = 0.01
"""How often to look for places that other processes let go of; by up to a half more or less, so that none is always the first."""
_WEIGHT: Final = 0.1
"""Of the latest answer in the mean of how long one takes."""


class Waiter:
    """One who waits for a place."""

    __slots__ = ("index", "placed", "priority", "tenant")

    def __init__(self, index: int, priority: Priority, tenant: str, placed: asyncio.Future[Shed | None]) -> None:
        self.index = index
        """The deployment."""
        self.priority = priority
        self.tenant = tenant
        self.placed = placed
        """Done when the waiting is over: None for a place, else why there is none."""


class Places:
    """Lives on the event loop; the state, which counts who has a place, may be shared."""

    def __init__(
        self,
        state: State,
        deployments: Sequence[int],
        capacity: int,
        queue_size: int,
        shares: Mapping[Priority, float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Have all places free.

        Args:
            state: counts the generations of all processes.
            deployments: those of the backend.
            capacity: how many places there are.
            queue_size: how many may wait here.
            shares: of the lanes; see `Lanes`.
            draw: a number from 0 to below 1.

        """
        self.queue: Lanes[Waiter] = Lanes(queue_size, shares)
        """Who waits here."""
        self._state = state
        self._deployments = deployments
        self._capacity = capacity
        self._draw = draw
        self._held = 0
        self._held_s: float | None = None
        self._looking: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether a newcomer would have a place at once."""
        return not self.queue and self._in_flight < self._capacity

    def enter(self, index: int) -> bool:
        """Take a place, if one is free and nobody waits for it. Balance it with `leave`, in a `finally`."""
        return not self.queue and self._take(index)

    async def wait(self, index: int, priority: Priority, tenant: str, most_s: float) -> Shed | None:
        """Wait for a place, at most so many seconds. None: it was taken, as by `enter`; else why not."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(index, priority, tenant, loop.create_future())
        gone = self.queue.add(waiter)
        if gone is waiter:
            return "full"
        if gone is not None:
            _settle(gone, "displaced")
        self._look_later()
        timer = loop.call_later(most_s, self._expire, waiter)
        try:
            return await waiter.placed
        except asyncio.CancelledError:
            self._forget(waiter)
            raise
        finally:
            timer.cancel()

    def leave(self, index: int, held_s: float | None = None) -> None:
        """Give a place back; who is next has it.

        Args:
            index: the deployment.
            held_s: how long it was held, if something was generated: by that others are told how long they would wait.

        """
        self._state.end(index)
        self._held -= 1
        if held_s is not None:
            self._held_s = held_s if self._held_s is None else self._held_s + _WEIGHT * (held_s - self._held_s)
        if self.queue and (self._held + 1) * self._state.workers <= self._capacity:
            self._hand_out()

    def wait_s(self, priority: Priority, tenant: str, answer_s: float) -> float:
        """How long a newcomer would wait, by how long places were held lately.

        Args:
            priority: its lane.
            tenant: for whom.
            answer_s: how long a place is taken to be held, while none was.

        """
        held_s = answer_s if self._held_s is None else self._held_s
        places = max(self._held, self._capacity / self._state.workers, 1.0)
        return (self.queue.ahead_of(priority, tenant) + 1) * held_s / places

    @property
    def _in_flight(self) -> int:
        return sum(self._state.in_flight(index) for index in self._deployments)

    def _take(self, index: int) -> bool:
        # Counted first, and looked at then: of two processes that take the last place at once, none goes beyond it.
        self._state.begin(index)
        if self._in_flight > self._capacity:
            self._state.end(index)
            return False
        self._held += 1
        return True

    def _hand_out(self) -> None:
        while (waiter := self.queue.peek()) is not None:
            if waiter.placed.done():  # its caller went in this moment
                self.queue.remove(waiter)
            elif self._take(waiter.index):
                _settle(self.queue.pop(), None)
            else:
                return

    def _expire(self, waiter: Waiter) -> None:
        self.queue.remove(waiter)
        _settle(waiter, "age")

    def _forget(self, waiter: Waiter) -> None:
        """Leave nothing of one whose caller went."""
        placed = waiter.placed
        if placed.cancelled():
            self.queue.remove(waiter)
        elif placed.result() is None:
            self.leave(waiter.index)  # the place came in the same moment

    def _look_later(self) -> None:
        if self._state.workers > 1 and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_S * (0.5 + self._draw()), self._look)

    def _look(self) -> None:
        self._looking = None
        self._hand_out()
        if self.queue:
            self._look_later()


def _settle(waiter: Waiter, outcome: Shed | None) -> None:
    if not waiter.placed.done():
        waiter.placed.set_result(outcome)

"""Who waits, and who is next: a lane for each priority, and in a lane a turn for each tenant. Knows neither clock nor event loop.

Lanes are served by shares: while all have somebody waiting, each gets its share of the places that come free, and of a lane that is
empty the others have its part. Strict priority would let a lane starve; raising who has waited long would, under a flood that lasts,
make of all lanes one. By shares a flood in one lane costs the others nothing of theirs, and every lane moves.

Tenants of a lane take turns, one request each, however many they have waiting. A tenant is kept in mind only while it waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from tierway_server.flow.priority import Priority


class Waiting(Protocol):
    """Somebody who waits; told apart by identity."""

    priority: Priority
    """Its lane."""
    tenant: str
    """For whom it waits; requests of no tenant are those of one without a name."""


W = TypeVar("W", bound=Waiting)


class _Lane(Generic[W]):
    __slots__ = ("count", "priority", "share", "tenants", "turn")

    def __init__(self, priority: Priority, share: float) -> None:
        self.priority = priority
        self.share = share
        self.turn = 0.0
        """When it is next, on a clock that goes by what was served: a lane moves on by the more, the smaller its share is."""
        self.tenants: OrderedDict[str, OrderedDict[W, None]] = OrderedDict()
        """The next tenant first, and of each the eldest first."""
        self.count = 0

    def crowd(self) -> str:
        """The tenant with the most waiting."""
        return max(self.tenants, key=lambda tenant: len(self.tenants[tenant]))

    def of(self, tenant: str) -> int:
        """How many of a tenant wait."""
        return len(self.tenants.get(tenant, ()))


class Lanes(Generic[W]):
    """Those who wait for the places of one backend: at most `size`."""

    def __init__(self, size: int, shares: Mapping[Priority, float]) -> None:
        """Let nobody wait yet.

        Args:
            size: how many may wait; 0: nobody.
            shares: of every lane, above 0.

        """
        self._size = size
        self._lanes = {priority: _Lane[W](priority, shares[priority]) for priority in Priority}
        self._turn = 0.0
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    def __iter__(self) -> Iterator[W]:
        """All who wait, lane by lane."""
        for lane in self._lanes.values():
            for waiting in lane.tenants.values():
                yield from waiting

    def add(self, waiter: W) -> W | None:
        """Let somebody wait. Returns who may not wait any more: nobody, another, or the newcomer itself.

        Where all room is taken, the youngest of the least urgent lane has to go for a newcomer that is more urgent, and in its own lane
        for one whose tenant has fewer waiting, so that no tenant can keep others from waiting. Of a lane it is the tenant with the most
        waiting that loses one.
        """
        gone = None
        if self._count >= self._size:
            gone = self._youngest_but(waiter)
            if gone is waiter:
                return waiter
            self.remove(gone)
        lane = self._lanes[waiter.priority]
        if not lane.count:
            lane.turn = max(lane.turn, self._turn)  # what it did not use while it was empty is gone
        lane.tenants.setdefault(waiter.tenant, OrderedDict())[waiter] = None
        lane.count += 1
        self._count += 1
        return gone

    def peek(self) -> W | None:
        """Who is next; None: nobody waits."""
        if not self._count:
            return None
        return next(iter(next(iter(self._next_lane().tenants.values()))))

    def pop(self) -> W:
        """Let the next one go, which `peek` tells. There must be one."""
        lane = self._next_lane()
        self._turn = lane.turn
        lane.turn += 1.0 / lane.share
        tenant, waiting = lane.tenants.popitem(last=False)
        waiter, _ = waiting.popitem(last=False)
        if waiting:
            lane.tenants[tenant] = waiting
        lane.count -= 1
        self._count -= 1
        return waiter

    def remove(self, waiter: W) -> None:
        """Let one go who waits no longer; nothing changes where it does not wait."""
        lane = self._lanes[waiter.priority]
        waiting = lane.tenants.get(waiter.tenant)
        if waiting is None or waiter not in waiting:
            return
        del waiting[waiter]
        if not waiting:
            del lane.tenants[waiter.tenant]
        lane.count -= 1
        self._count -= 1

    def ahead_of(self, priority: Priority, tenant: str) -> int:
        """About how many would be served before a newcomer: of its lane, and of what the others have by their shares meanwhile."""
        own = self._lanes[priority]
        rounds = own.of(tenant) + 1
        turns = sum(min(len(waiting), rounds) for other, waiting in own.tenants.items() if other != tenant) + rounds
        others = sum(
            min(lane.count, round(turns * lane.share / own.share)) for lane in self._lanes.values() if lane is not own
        )
        return turns - 1 + others

    def _next_lane(self) -> _Lane[W]:
        # Of two whose turn it is, the more urgent one: they stand in that order.
        return min((lane for lane in self._lanes.values() if lane.count), key=lambda lane: lane.turn)

    def _youngest_but(self, newcomer: W) -> W:
        """Who has to go for a newcomer: itself, where none of the others has to."""
        lowest = next((lane for lane in reversed(self._lanes.values()) if lane.count), None)
        if lowest is None or lowest.priority < newcomer.priority:
            return newcomer
        crowd = lowest.crowd()
        # By two, so that two tenants with as many as each other do not push each other out in turn.
        if lowest.priority == newcomer.priority and lowest.of(crowd) < lowest.of(newcomer.tenant) + 2:
            return newcomer
        return next(reversed(lowest.tenants[crowd]))

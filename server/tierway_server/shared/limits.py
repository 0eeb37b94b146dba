"""Rate limits between replicas: every replica takes by its own clock, and hears within a round what the others took.

What a replica has not heard of, it cannot count: so all together may grant more than one would, once, by at most

    (replicas - 1) * (burst + 2 * staleness * rate) requests,

where the staleness is the time from one round's answer to the next. The excess is owed: the limit stays shut until it is worked off.

Of a limit that stands for a provider nothing is counted; when one replica holds it, all do from the next round on.
"""

from __future__ import annotations

from collections.abc import Sequence

from tierway_core import Sharing, Table
from tierway_core.policy import LimitSpec
from tierway_server.shared.rounds import Call, Reply, numbers

_MOST_ACROSS = 2**53
"""Largest whole number that a script holds exactly."""
_MOST_HELD_NS = 600 * 10**9
"""Longer than any hold."""
_NEWS_NS = 10**6
"""A hold is news if it ends later than the known one by more than this: what is heard comes with the time of its way on top."""


class Limits:
    """The limits of one replica, kept in its state."""

    def __init__(self, table: Table, sharing: Sharing, lost_share: float | None) -> None:
        """Leave the limits as they are.

        Args:
            table: whose limits they are.
            sharing: the state that is taken from.
            lost_share: of each limit, with which to go on alone, above 0, up to 1; None: one part of as many as are alive.

        """
        self._lost_share = lost_share
        self._gauges = [
            (_Hold if spec.provider else _Gauge)(sharing, index, spec) for index, spec in enumerate(table.limits)
        ]

    def tell(self, now_ns: int) -> Sequence[Call]:
        """What was taken."""
        return [gauge.tell(now_ns) for gauge in self._gauges]

    def hear(self, replies: Sequence[Reply], now_ns: int, replicas: int) -> None:
        """Count what others took."""
        for gauge, reply in zip(self._gauges, replies, strict=True):
            gauge.replicas = replicas
            if reply is not None:
                [ahead_ns] = numbers(reply)
                gauge.hear(ahead_ns, now_ns)

    def lost(self, replicas: int) -> None:
        """Go on with a share of each limit."""
        for gauge in self._gauges:
            gauge.set_share(self._lost_share or 1 / max(replicas, 1))

    def found(self, now_ns: int) -> None:
        """Go on with the whole."""
        for gauge in self._gauges:
            gauge.find(now_ns)


class _Gauge:
    def __init__(self, sharing: Sharing, index: int, spec: LimitSpec) -> None:
        self._sharing, self._index, self._spec = sharing, index, spec
        self._key = f"limit:{spec.name}"
        self.replicas = 1
        self._share = 1.0
        # What was taken before the first round is told with it.
        self._told = self._answered = 0

    def tell(self, now_ns: int) -> Call:
        self._told = self._sharing.taken(self._index)
        ahead_ns = self._sharing.ahead_ns(self._index, now_ns)
        # Each may have taken a burst of which the others had not heard; twice that cannot be true.
        most_ns = min(2 * self.replicas * self._spec.burst_ns + 60 * 10**9, _MOST_ACROSS)
        told = (self._told, self._answered, self._spec.increment_ns, min(ahead_ns, _MOST_ACROSS), most_ns, 0)
        return Call("limit", self._key, told)

    def hear(self, ahead_ns: int, now_ns: int) -> None:
        unheard = self._sharing.taken(self._index) - self._told
        self._sharing.push_back(self._index, now_ns + ahead_ns + max(unheard, 0) * self._spec.increment_ns)
        self._answered = self._told

    def find(self, now_ns: int) -> None:
        # What was taken alone weighed more, by as much as the share was less than the whole.
        share = self._share
        self.set_share(1.0)
        self._sharing.ease(self._index, now_ns, share)

    def set_share(self, share: float) -> None:
        self._share = share
        increment_ns = round(self._spec.increment_ns / share)
        burst = max(1, int(self._spec.burst * share))
        self._sharing.state.set_limit(self._index, increment_ns=increment_ns, burst_ns=increment_ns * burst)


class _Hold(_Gauge):
    """A provider's. Each hold is told once: told again and again, each time with its way on top, it would never end."""

    def __init__(self, sharing: Sharing, index: int, spec: LimitSpec) -> None:
        super().__init__(sharing, index, spec)
        self._told_ns = self._known_ns = 0

    def tell(self, now_ns: int) -> Call:
        ahead_ns = self._sharing.ahead_ns(self._index, now_ns)
        is_news = ahead_ns > self._spec.burst_ns and now_ns + ahead_ns > self._known_ns + _NEWS_NS
        held_ns = ahead_ns if is_news else 0
        self._told_ns = now_ns + held_ns
        return Call("limit", self._key, (0, 0, self._spec.increment_ns, 0, _MOST_HELD_NS, held_ns))

    def hear(self, ahead_ns: int, now_ns: int) -> None:
        self._sharing.push_back(self._index, now_ns + ahead_ns)
        self._known_ns = max(self._known_ns, self._told_ns, now_ns + ahead_ns)

    def find(self, now_ns: int) -> None:
        pass

    def set_share(self, share: float) -> None:
        pass

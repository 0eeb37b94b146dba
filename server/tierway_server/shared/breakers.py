"""Breakers between replicas: what opens in one opens in all, and one at a time probes what is open.

The last transition by Redis's clock holds. Replicas whose turn it is not to probe keep the breaker open; when nothing is heard any
more, they go on by their own automaton. A round tells only what changed since the last one that was answered: what was heard before is
kept here, and holds on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tierway_core import Breaker, Sharing, Table
from tierway_server.shared.rounds import Call, Reply

_NS_PER_US = 1_000


class Breakers:
    """The breakers of one replica, kept in its state."""

    def __init__(self, table: Table, sharing: Sharing, replica: str, lost_after_s: float) -> None:
        """Leave the breakers as they are.

        Args:
            table: whose deployments they belong to.
            sharing: the state that has them.
            replica: this one's name.
            lost_after_s: for so long a breaker is kept open for another who probes, and so long a turn to probe is.

        """
        self._sharing = sharing
        self._replica = replica.encode()
        self._hold_ns = round(lost_after_s * 1e9)
        self._heard = ""
        """What Redis has told, in its own words; see breakers.lua."""
        self._watched = {
            deployment.spec.name.encode(): _Watched(deployment.index)
            for deployment in table.deployments
            if deployment.spec.breaker is not None
        }

    def tell(self, now_ns: int) -> Sequence[Call]:
        """What opened or closed here since the last round that was answered, and what is probed."""
        if not self._watched:
            return []
        told: list[str | int] = [self._hold_ns // _NS_PER_US, self._heard]
        for name, watched in self._watched.items():
            breaker, until_ns = watched.told = self._sharing.automaton(watched.index)
            left_us = max(until_ns - now_ns, 0) // _NS_PER_US
            if breaker is Breaker.HALF_OPEN:
                if left_us:  # after that, its probes are given up: it is another's turn
                    told += [name.decode(), "probing", 0]
            elif watched.told != watched.known:
                told += [name.decode(), breaker.name.lower(), left_us]
        return [Call("breakers", "breakers", tuple(told))]

    def hear(self, replies: Sequence[Reply], now_ns: int, replicas: int) -> None:
        """Open and close what others opened and closed."""
        if not replies or replies[0] is None:
            return
        for watched in self._watched.values():
            if watched.told[0] is not Breaker.HALF_OPEN:
                watched.known = watched.told
        heard, tells_all, *records = replies[0]
        assert isinstance(heard, bytes)
        self._heard = heard.decode()
        if tells_all:
            for watched in self._watched.values():
                watched.record = None
        for record in records:
            assert isinstance(record, list)
            name, version, state, wait_us, prober = record
            if (changed := self._watched.get(name)) is not None:
                changed.record = _Record(version, state, now_ns + wait_us * _NS_PER_US, prober == self._replica)
        for watched in self._watched.values():
            # What changed here since it was told goes out with the next round, and is the later transition.
            if watched.record is not None and self._sharing.automaton(watched.index) == watched.told:
                self._follow(watched, watched.record, now_ns)

    def lost(self, replicas: int) -> None:
        """What is held open for another's probes comes free by itself."""

    def found(self, now_ns: int) -> None:
        """Transitions meanwhile are told with the next round."""

    def _follow(self, watched: _Watched, record: _Record, now_ns: int) -> None:
        if record.state == b"closed":
            if record.version != watched.version and watched.told[0] is not Breaker.CLOSED:
                self._move(watched, Breaker.CLOSED, 0)
        elif not record.is_my_turn:
            self._move(watched, Breaker.OPEN, max(record.until_ns, now_ns + self._hold_ns))
        elif not watched.probes:
            self._move(watched, Breaker.OPEN, now_ns)
        watched.version, watched.probes = record.version, record.is_my_turn

    def _move(self, watched: _Watched, breaker: Breaker, until_ns: int) -> None:
        self._sharing.set_automaton(watched.index, breaker, until_ns)
        watched.known = self._sharing.automaton(watched.index)


class _Record(NamedTuple):
    """What others know of a breaker."""

    version: int
    state: bytes
    until_ns: int
    """When it may be probed, on the state's clock."""
    is_my_turn: bool
    """Whether this replica may."""


class _Watched:
    __slots__ = ("index", "known", "probes", "record", "told", "version")

    def __init__(self, index: int) -> None:
        self.index = index
        self.known = self.told = (Breaker.CLOSED, 0)
        """What others know, and what was told last."""
        self.record: _Record | None = None
        """What was heard last; None: nothing yet."""
        self.version = 0
        self.probes = False
        """Whether it was this replica's turn in the last round."""

"""Budgets between replicas: each spends from a lease, so that all together never overspend, whoever is lost.

The sum of all leases and of all that was spent is never above the limit; Redis guards that (`scripts/budget.lua`). A replica reserves
within its lease, locally. What a lost replica holds stays counted as spent until it tells otherwise or the period ends: nobody
else can know that it was not spent.
"""

from __future__ import annotations

from collections.abc import Sequence

from tierway_core import Sharing, Table
from tierway_server.shared.rounds import Call, Reply, numbers

_PICO_PER_NANO = 1_000
"""Redis counts in nano-USD: its scripts know doubles only, which hold whole numbers up to 2^53, that is 9 million USD."""
_MOST_NANOUSD = 2**53
_ROUNDS_AHEAD = 4
"""What was committed between two rounds is kept free for so many rounds to come."""
_ROUNDS_ASKED = 20
"""What was refused is kept free for so many rounds: whoever was refused needs some time to come again."""
_NO_PERIOD = -1


class Budgets:
    """The leases of one replica, kept in its state."""

    def __init__(self, table: Table, sharing: Sharing, lease_share: float) -> None:
        """Bind every budget of the table to a lease, of nothing as yet.

        Args:
            table: whose budgets they are.
            sharing: the state that is reserved from.
            lease_share: how much of what is left all replicas may hold as leases together, 0 to 1.

        """
        self._accounts = [
            _Account(sharing, index, spec.name, spec.limit_picousd, spec.period_s, lease_share)
            for index, spec in enumerate(table.budgets)
        ]

    def tell(self, now_ns: int) -> Sequence[Call]:
        """What was spent, is reserved, and is held."""
        return [account.tell(is_leaving=False) for account in self._accounts]

    def leave(self) -> Sequence[Call]:
        """The last word: leases go back, but for what is spent or still reserved. Nothing can be reserved any more."""
        return [account.tell(is_leaving=True) for account in self._accounts]

    def hear(self, replies: Sequence[Reply], now_ns: int, replicas: int) -> None:
        """Take the new leases."""
        for account, reply in zip(self._accounts, replies, strict=True):
            if reply is not None:
                account.hear(*numbers(reply))

    def lost(self, replicas: int) -> None:
        """The lease is the share to go on with."""

    def found(self, now_ns: int) -> None:
        """What was spent meanwhile is told with the next round, as ever."""


class _Account:
    """One budget. Amounts are in nano-USD, of the period that it counts."""

    def __init__(
        self, sharing: Sharing, index: int, name: str, limit_picousd: int, period_s: float, lease_share: float
    ) -> None:
        self._sharing = sharing
        self._index = index
        self._key = f"budget:{name}"
        self._limit = min(limit_picousd // _PICO_PER_NANO, _MOST_NANOUSD)
        self._period_us = round(period_s * 1e6)
        self._lease_share = lease_share
        self._period = _NO_PERIOD
        self._base_picousd = sharing.paid_picousd(index)  # what was spent here before this period
        self._granted = 0
        self._seen = 0
        self._others = 0
        self._asked = self._asked_rounds = 0
        self._reserved = self._committed = 0
        self._bind()

    def tell(self, *, is_leaving: bool) -> Call:
        if is_leaving:
            self._granted = 0
            self._bind()
        # In this order: what is settled in between is counted twice, which holds back more, not less.
        reserved = _nano(self._sharing.state.reserved_picousd(self._index))
        spent = self._spent()
        asked = _nano(self._sharing.take_asked_picousd(self._index))
        if asked and asked >= self._asked:
            self._asked, self._asked_rounds = asked, _ROUNDS_ASKED
        grew = max(spent + reserved - self._committed, 0)
        self._reserved, self._committed = reserved, spent + reserved
        wanted = min(max(self._asked, grew * _ROUNDS_AHEAD), _MOST_NANOUSD)
        told = (self._limit, self._period_us, self._period, spent, reserved, self._granted, wanted, self._seen)
        return Call("budget", self._key, (*told, self._lease_share, int(is_leaving)))

    def hear(self, period: int, granted: int, seen: int, spent: int, reserved: int, target: int) -> None:
        if period != self._period:
            # What was spent until now was leased in the period before; what is reserved is paid from this one.
            self._period = period
            self._sharing.state.reset(self._index)
            self._base_picousd = self._sharing.paid_picousd(self._index)
            self._committed = self._reserved
        self._seen, self._others = seen, spent + reserved
        self._asked_rounds -= 1
        if self._asked_rounds <= 0:
            self._asked = 0
        # More than twice what should be free goes back: here at once, and there with the next round, when even a
        # worker that was stopped in the midst of a reservation has seen the new ceiling.
        self._granted = min(granted, self._committed + 2 * target)
        self._bind()

    def _spent(self) -> int:
        return _nano(self._sharing.paid_picousd(self._index) - self._base_picousd)

    def _bind(self) -> None:
        ceiling_picousd = self._base_picousd + self._granted * _PICO_PER_NANO
        self._sharing.lease(self._index, ceiling_picousd, self._others * _PICO_PER_NANO)


def _nano(picousd: int) -> int:
    """Rounded up: what is told is never less than what was."""
    return -(-picousd // _PICO_PER_NANO)

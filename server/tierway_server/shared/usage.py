"""Usage between replicas: what each did in the last minute, once a second, so that usage-based strategies see the whole."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tierway_core import Sharing, Table
from tierway_server.shared.rounds import Call, Reply

_EVERY_NS = 10**9
"""A minute's usage changes little in a second, and it is the longest of all messages."""


class Usage:
    """The usage of one replica, and that of the others in its state."""

    def __init__(self, table: Table, sharing: Sharing, lost_after_s: float) -> None:
        self._sharing = sharing
        self._indices = {deployment.spec.name: deployment.index for deployment in table.deployments}
        self._lost_after_us = round(lost_after_s * 1e6)
        self._due_ns = 0
        self._elsewhere: set[int] = set()

    def tell(self, now_ns: int) -> Sequence[Call]:
        """What was done here in the last minute, by deployment."""
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + _EVERY_NS
        used = {name: self._sharing.usage_here(index, now_ns) for name, index in self._indices.items()}
        text = json.dumps({name: each for name, each in used.items() if any(each)}, separators=(",", ":"))
        return [Call("usage", "usage", (text, self._lost_after_us))]

    def hear(self, replies: Sequence[Reply], now_ns: int, replicas: int) -> None:
        """Count what others did."""
        if not replies or replies[0] is None:
            return
        sums: dict[int, tuple[int, int]] = {}
        for told in replies[0]:
            assert isinstance(told, bytes)
            for name, (requests, tokens) in json.loads(told).items():
                if name in self._indices:
                    index = self._indices[name]
                    before = sums.get(index, (0, 0))
                    sums[index] = (before[0] + requests, before[1] + tokens)
        for index in self._elsewhere - sums.keys():
            self._sharing.set_usage_elsewhere(index, 0, 0)
        for index, (requests, tokens) in sums.items():
            self._sharing.set_usage_elsewhere(index, requests, tokens)
        self._elsewhere = set(sums)

    def lost(self, replicas: int) -> None:
        """Forget the others: what was heard grows old."""
        for index in self._elsewhere:
            self._sharing.set_usage_elsewhere(index, 0, 0)
        self._elsewhere.clear()

    def found(self, now_ns: int) -> None:
        """The next round tells."""
        self._due_ns = 0

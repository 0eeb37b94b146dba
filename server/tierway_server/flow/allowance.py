"""What may be done for a share of all requests only: a bucket that every request fills a little, and each doing takes one from.

At most `share` of the requests, and `most` at once; `per_s` drips in besides, for a server that sees few requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Allowance:
    """The bucket. Of this process alone; lives on the event loop."""

    __slots__ = ("_clock", "_left", "_most", "_per_s", "_seen_s", "_share")

    def __init__(
        self,
        share: float,
        *,
        most: float,
        left: float = 0.0,
        per_s: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin.

        Args:
            share: what each request adds, 0 to 1.
            most: what it holds at most; what comes beyond is lost.
            left: what it holds at the beginning.
            per_s: what each second adds.
            clock: seconds.

        """
        self._share = share
        self._most = most
        self._left = left
        self._per_s = per_s
        self._clock = clock
        self._seen_s = clock()

    def came(self) -> None:
        """Count a request."""
        self._left = min(self._most, self._left + self._share)

    def take(self) -> bool:
        """Whether it may be done now; if so, it counts as done."""
        now_s = self._clock()
        self._left = min(self._most, self._left + self._per_s * (now_s - self._seen_s))
        self._seen_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

"""The event loop that tests run on: its time passes while it waits, and hardly while it does not.

A limit of a tenth of a second is one for whoever is waited for. Where that is the test itself, at the other end of a connection, and the
machine halts it for longer than that, nobody was waited for.
"""

from __future__ import annotations

import asyncio
import selectors
import time

_MOST_WORK_S = 0.01
"""So much of the time between two waits counts at most: those who never wait have their limits too."""


class Waiting(selectors.DefaultSelector):
    """Tells the time that passed while it waited, for no longer than it was told to."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_s = 0.0
        self._woke_s = time.monotonic()

    @property
    def time_s(self) -> float:
        return self._passed_s + min(time.monotonic() - self._woke_s, _MOST_WORK_S)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._passed_s = self.time_s
        began_s = time.monotonic()
        events = super().select(timeout)
        self._woke_s = time.monotonic()
        waited_s = self._woke_s - began_s
        self._passed_s += waited_s if timeout is None else min(waited_s, timeout)
        return events


class WaitingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._waiting = Waiting()
        super().__init__(self._waiting)

    def time(self) -> float:
        return self._waiting.time_s

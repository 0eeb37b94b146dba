"""The signals that end the process."""

from __future__ import annotations

import asyncio
import signal


class Stops:
    """SIGTERM and SIGINT: the first drains, the second ends at once."""

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.at_once = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        (self.at_once if self.drain.is_set() else self.drain).set()

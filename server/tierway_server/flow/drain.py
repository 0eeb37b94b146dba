"""Going down without losing anybody: counts the answers under way, lets them finish, and ends the rest when the grace is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tierway_server.errors import DrainingError

_RETRY_AFTER_S = 1.0


class Drain:
    """The answers under way. Lives on one event loop."""

    def __init__(self) -> None:
        self._answering: set[asyncio.Task[object]] = set()
        self._aborted: set[asyncio.Task[object]] = set()
        self._aborts = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_draining = False

    def __len__(self) -> int:
        return len(self._answering)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count the current task as answering while the block runs.

        Raises:
            DrainingError: the server goes down: nothing new begins, or the grace ended while this was under way.

        """
        if self.is_draining:
            raise refusal()
        task = asyncio.current_task()
        assert task is not None  # only ever called from a handler's task
        self._answering.add(task)
        self._idle.clear()
        try:
            yield
        except asyncio.CancelledError:
            if task in self._aborted:
                task.uncancel()
                raise refusal() from None
            raise
        finally:
            self._aborted.discard(task)
            self._answering.discard(task)
            if not self._answering:
                self._idle.set()

    async def drain(self, grace_s: float) -> tuple[int, int]:
        """Refuse what is new, wait for what is under way, end what is left after `grace_s`.

        Returns:
            How many answers finished, and how many were aborted.

        """
        self.is_draining = True
        under_way = len(self._answering)
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            pass
        self.abort()
        await self._idle.wait()
        return under_way - self._aborts, self._aborts

    def abort(self) -> None:
        """End every answer under way at once; its caller gets `DRAINING`."""
        self.is_draining = True
        left = self._answering - self._aborted
        self._aborted |= left
        self._aborts += len(left)
        for task in left:
            task.cancel()


def refusal() -> DrainingError:
    """Why nothing new begins."""
    return DrainingError("the server is going down", retry_after_s=_RETRY_AFTER_S)

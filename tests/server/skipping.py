"""Time that passes as soon as nobody has anything to do: a test waits for nothing, and a machine that halts it changes nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any


class Skipping(selectors.DefaultSelector):
    """Does not wait: says how long it would have."""

    waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits for ever")
        self.waited_s += timeout
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes as soon as nobody has anything to do."""

    def __init__(self) -> None:
        self.skipping = Skipping()
        super().__init__(self.skipping)

    def time(self) -> float:
        return self.skipping.waited_s


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(main)


def skips_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a test in such a loop; `clock` is its clock."""

    @wraps(test)
    def in_skipped_time(*args: Any, **options: Any) -> None:
        run(test(*args, **options))

    return in_skipped_time


def clock() -> float:
    return asyncio.get_running_loop().time()

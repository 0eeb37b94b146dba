"""Whether a vLLM engine can still answer: its processes are there, and it answers between any two of its steps.

vLLM notices the death of a worker only after seconds, and nothing at all of a process that is there and does nothing (a driver or a
collective operation that never returns).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence

import psutil

_QUESTIONS = 4
"""Asked so often in the time that an engine may be silent: it costs the engine a message."""


async def over(processes: Sequence[psutil.Process], asked: Callable[[], Awaitable[object]], patience_s: float) -> str:
    """Return when an engine can answer no more, and why in a word: it `died`, or `hung`.

    Args:
        processes: the engine's. Without any one of them it is dead.
        asked: asks it a question and returns with the answer.
        patience_s: how long it may take to answer.

    """
    watches = {asyncio.create_task(_died(processes)): "died", asyncio.create_task(_hung(asked, patience_s)): "hung"}
    try:
        ended, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
    return min(watches[watch] for watch in ended)


async def _died(processes: Sequence[psutil.Process]) -> None:
    """Return when one of the processes has ended. By pidfd: a worker is no child of ours."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    ends: list[int] = []
    try:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):  # gone already
                ends.append(os.pidfd_open(process.pid))
        for end in ends:
            loop.add_reader(end, ended.set)
        if len(ends) == len(processes):
            await ended.wait()
    finally:
        for end in ends:
            loop.remove_reader(end)
            os.close(end)


async def _hung(asked: Callable[[], Awaitable[object]], patience_s: float) -> None:
    """Return when the engine has not answered a question in time."""
    while True:
        question = asyncio.ensure_future(asked())
        try:
            # Twice: where all of us were suspended, the first wait is over at once, and its answer is on the way.
            for _ in range(2):
                await asyncio.wait((question,), timeout=patience_s / 2)
            if not question.done():
                return
            with contextlib.suppress(Exception):  # what it has to say of its death, its processes say better
                question.result()
        finally:
            question.cancel()
        await asyncio.sleep(patience_s / _QUESTIONS)

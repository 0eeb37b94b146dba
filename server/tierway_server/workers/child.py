"""One process of the server through all its lives: started, watched, started again with backoff when it dies."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from tierway_server.workers.assignment import Assignment

logger = logging.getLogger(__name__)

CANNOT_START = 2
"""The exit code of a process that would only fail again until somebody mends something: its standard error says why."""

_INITIAL_BACKOFF_S = 0.05
_MAX_BACKOFF_S = 10.0
# A process that lived this long was healthy: its death starts the backoff from the beginning.
_HEALTHY_AFTER_S = 60.0


class CannotStartError(Exception):
    """A process of the server cannot start when the server does, and another try would not help."""


class Child:
    """A process that is there again when it has died. Lives on the event loop of the main thread, with which its processes end."""

    def __init__(
        self,
        name: str,
        module: str,
        assignment: Callable[[], Assignment],
        *,
        fds: Sequence[int] = (),
        began: Callable[[], None],
        died: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Describe a process.

        Args:
            name: for the log.
            module: what it runs.
            assignment: makes what it reads from its standard input.
            fds: file descriptors that it inherits.
            began: called at the beginning of each life.
            died: awaited after each death that nobody asked for, before the next life begins.
            clock: monotonic seconds.
            sleep: waits so many seconds.

        """
        self.name = name
        self.lives = 0
        """How often it has been started."""
        self._module = module
        self._assignment = assignment
        self._fds = fds
        self._began = began
        self._died = died
        self._clock = clock
        self._sleep = sleep
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False

    @property
    def pid(self) -> int | None:
        """Of the living process; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keep it alive until `stop`, which ends this; cancelling kills the process.

        Raises:
            CannotStartError: it said so in its first life. What has changed since, such as a calibration that is not valid now, must not
                take those along that serve.

        """
        backoff_s = _INITIAL_BACKOFF_S
        while not self._is_stopping:
            began_s = self._clock()
            code = await self._live_once()
            if self._is_stopping:
                return
            await self._died()
            if code == CANNOT_START and self.lives == 1:
                raise CannotStartError(f"{self.name} cannot start")
            if self._clock() - began_s > _HEALTHY_AFTER_S:
                backoff_s = _INITIAL_BACKOFF_S
            logger.error("process died", extra={"child": self.name, "exit_code": code, "again_in_s": backoff_s})
            await self._sleep(backoff_s)
            backoff_s = min(2 * backoff_s, _MAX_BACKOFF_S)

    def stop(self) -> None:
        """Ask it to end (SIGTERM), and let `run` return when it has. A second time, the process takes that as an order."""
        self._is_stopping = True
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the living process, if there is one."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _live_once(self) -> int:
        # In a session of its own: a terminal's Ctrl-C is for the supervisor, which tells its children in its own time.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=self._fds,
            start_new_session=True,
        )
        self._process = process
        self.lives += 1
        self._began()
        logger.info("process started", extra={"child": self.name, "child_pid": process.pid, "life": self.lives})
        try:
            assert process.stdin is not None  # a pipe
            process.stdin.write(self._assignment().encode())
            process.stdin.write_eof()
            if self._is_stopping:
                process.terminate()
            return await process.wait()
        finally:
            self._process = None
            if process.returncode is None:
                process.kill()
                await process.wait()

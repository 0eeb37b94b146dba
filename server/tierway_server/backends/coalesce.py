"""Several tokens to one message: a streamed message costs as much as two or three decoding steps of a small model.

The first output of an answer goes out at once, and so does the last; between them one message every `window_s`, with all that came
meanwhile. Nothing is buffered here: vLLM's collector merges the outputs that nobody has fetched, this decides when to fetch. (By count,
vLLM itself coalesces: `stream_interval_tokens`.)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm.outputs import PoolingRequestOutput, RequestOutput
    from vllm.v1.engine.output_processor import RequestOutputCollector


class CoalescingReader:
    """Reads one request's collector, at most once every `window_s`. Lives on the event loop that feeds the collector."""

    __slots__ = ("_collect", "_collector", "_due_s", "_failure", "_loop", "_timer", "_wake", "_window_s")

    def __init__(self, collector: RequestOutputCollector, window_s: float) -> None:
        self._collector = collector
        self._window_s = window_s
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._failure: Exception | None = None
        # The collector tells its reader of the first output only. The last one must be heard of too: a finished answer does not wait.
        self._collect = collector.put
        collector.put = self._put
        if collector.output is not None:  # came before we listened
            self._wake.set()

    async def read(self) -> RequestOutput:
        """The outputs since the last call, merged into one.

        Raises:
            Exception: what vLLM reports instead of an output, or what `fail` was given.

        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._failure is not None:
                raise self._failure
            if (output := self._collector.get_nowait()) is not None:
                self._due_s = self._loop.time() + self._window_s
                return output

    def fail(self, failure: Exception) -> None:
        """Nothing more will come: let the reader raise `failure`."""
        self._failure = failure
        self._wake.set()

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _put(self, output: RequestOutput | PoolingRequestOutput | Exception) -> None:
        self._collect(output)
        if getattr(output, "finished", True) or self._loop.time() >= self._due_s:
            self._wake.set()
        elif self._timer is None:
            self._timer = self._loop.call_at(self._due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()

"""The iterator over a streamed answer, for asyncio. Its twin for threads is `_stream`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

import grpc.aio

from tierway.v1 import router_service_pb2 as rpc
from tierway_client._attempts import Attempts
from tierway_client._errors import CancelledCallError
from tierway_client._events import Delta, Event, Finished, Started
from tierway_client._progress import StreamProgress
from tierway_client._status import error_from_call

_Call = grpc.aio.UnaryStreamCall[rpc.StreamRequest, rpc.StreamResponse]


class AsyncStream(AsyncIterator[Event]):
    """The events of an answer as they come. The call begins when the stream is made, not at the first `anext`.

    Leave it early by leaving its `async with` block, by `cancel()`, by cancelling the task, or by dropping it: the call is cancelled,
    and the server stops generating.

    Iterating raises the tree of `TierwayError`; InternalError `INCOMPLETE_STREAM` when the stream ends without `Finished`.

    Thread-safety: of the event loop in which it was made.
    """

    def __init__(self, open_call: Callable[[float], _Call], attempts: Attempts) -> None:
        self._open_call = open_call
        self._attempts = attempts
        self._progress = StreamProgress()
        self._is_cancelled = False
        self._call = open_call(attempts.remaining_s())

    @property
    def started(self) -> Started | None:
        """The first event, once it has been read."""
        return self._progress.started

    @property
    def finished(self) -> Finished | None:
        """The last event, once it has been read."""
        return self._progress.finished

    def cancel(self) -> None:
        """Cancels the call; iterating further raises CancelledCallError. Does nothing once the stream has ended."""
        self._is_cancelled = True
        self._call.cancel()

    async def text(self) -> AsyncIterator[str]:
        """Only the text of the answer, piece by piece. Closing the iterator early cancels the call."""
        async with self:
            async for event in self:
                if isinstance(event, Delta) and event.text:
                    yield event.text

    async def __anext__(self) -> Event:
        while True:
            try:
                response = await self._call.read()
            except grpc.aio.AioRpcError as failure:
                await self._try_again_or_raise(failure)
            except asyncio.CancelledError:
                # grpc.aio reports a call cancelled by cancel() as if the task were cancelled. Only a cancelled task may say so.
                if self._is_cancelled and not _is_task_cancelled():
                    raise CancelledCallError("the call was cancelled") from None
                raise
            else:
                if not isinstance(response, rpc.StreamResponse):
                    self._progress.check_complete()
                    raise StopAsyncIteration
                event = self._progress.take(response)
                if event is not None:
                    return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        # grpc.aio keeps a call that runs alive by itself: dropping it would leave the server generating until the deadline.
        call = getattr(self, "_call", None)
        if call is not None and not call.done():
            call.cancel()

    async def _try_again_or_raise(self, failure: grpc.aio.AioRpcError) -> None:
        error = error_from_call(failure)
        pause_s = None if self._progress.has_begun else self._attempts.pause_s(error)
        if pause_s is None:
            raise error from failure
        await asyncio.sleep(pause_s)
        if self._is_cancelled:
            raise CancelledCallError("the call was cancelled") from None
        self._call = self._open_call(self._attempts.remaining_s())


def _is_task_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

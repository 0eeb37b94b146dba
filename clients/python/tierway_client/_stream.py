"""The iterator over a streamed answer, for threads. Its twin for asyncio is `_aio_stream`."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self, cast

import grpc

from tierway.v1 import router_service_pb2 as rpc
from tierway_client._attempts import Attempts
from tierway_client._events import Delta, Event, Finished, Started
from tierway_client._progress import StreamProgress
from tierway_client._status import FailedCall, error_from_call


class _Call(Protocol):
    def __next__(self) -> rpc.StreamResponse: ...
    def cancel(self) -> object: ...


class Stream(Iterator[Event]):
    """The events of an answer as they come. The call begins when the stream is made, not at the first `next`.

    Leave it early by leaving its `with` block, by `cancel()`, or by dropping it: the call is cancelled, and the server stops generating.

    Iterating raises the tree of `TierwayError`; InternalError `INCOMPLETE_STREAM` when the stream ends without `Finished`.

    Thread-safety: one thread iterates; any thread may cancel.
    """

    def __init__(self, open_call: Callable[[float], _Call], attempts: Attempts, sleep: Callable[[float], None]) -> None:
        self._open_call = open_call
        self._attempts = attempts
        self._sleep = sleep
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
        # In this order, so that a try that begins meanwhile sees the flag or is the one cancelled here.
        self._is_cancelled = True
        self._call.cancel()

    def text(self) -> Iterator[str]:
        """Only the text of the answer, piece by piece. Leaving the iterator early cancels the call."""
        with self:
            for event in self:
                if isinstance(event, Delta) and event.text:
                    yield event.text

    def __next__(self) -> Event:
        while True:
            try:
                response = next(self._call)
            except StopIteration:
                self._progress.check_complete()
                raise
            except grpc.RpcError as failure:
                self._try_again_or_raise(failure)
            else:
                event = self._progress.take(response)
                if event is not None:
                    return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()

    def _try_again_or_raise(self, failure: grpc.RpcError) -> None:
        error = error_from_call(cast("FailedCall", failure))
        pause_s = None if self._progress.has_begun else self._attempts.pause_s(error)
        if pause_s is None:
            raise error from failure
        self._sleep(pause_s)
        self._call = self._open_call(self._attempts.remaining_s())
        if self._is_cancelled:
            self._call.cancel()

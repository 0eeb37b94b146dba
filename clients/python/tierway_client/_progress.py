"""How far a stream has come: what both streaming iterators know besides how to wait."""

from tierway.v1 import router_service_pb2 as rpc
from tierway_client._decode import decode_event
from tierway_client._errors import InternalError
from tierway_client._events import Event, Finished, Started


class StreamProgress:
    """What a stream has brought so far. Thread-safety: of one stream."""

    __slots__ = ("finished", "has_begun", "started")

    def __init__(self) -> None:
        self.has_begun = False
        """Whether anything came: from then on the call must not be tried again."""
        self.started: Started | None = None
        self.finished: Finished | None = None

    def take(self, response: rpc.StreamResponse) -> Event | None:
        """Notes and returns the next event; None when its kind is not known and it is to be skipped."""
        self.has_begun = True
        event = decode_event(response)
        match event:
            case Started():
                self.started = event
            case Finished():
                self.finished = event
        return event

    def check_complete(self) -> None:
        """Raises InternalError `INCOMPLETE_STREAM` when a stream that ended well never said that the answer is complete."""
        if self.finished is None:
            request_id = self.started.request_id if self.started is not None else ""
            raise InternalError(
                "the stream ended before the answer did", reason="INCOMPLETE_STREAM", request_id=request_id
            )

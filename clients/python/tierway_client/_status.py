"""From a failed gRPC call to the error that this client raises. The one place that reads `grpc-status-details-bin`.

Decoded here and not by grpcio-status, which would tie every user to the grpcio of the same release.
"""

from collections.abc import Iterable
from typing import Protocol

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from tierway.v1 import router_service_pb2
from tierway_client._errors import FieldViolation, TierwayError, error_class

_DETAILS_KEY = "grpc-status-details-bin"


class FailedCall(Protocol):
    """What the errors of grpc (a finished call) and of grpc.aio have in common."""

    def code(self) -> grpc.StatusCode:
        """The status."""

    def details(self) -> str | None:
        """The status message."""

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """The trailers."""


def error_from_call(call: FailedCall) -> TierwayError:
    """The typed error of a call that ended with a status other than OK. Details that do not decode are as if not sent."""
    code = call.code()
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    request_info = error_details_pb2.RequestInfo()
    retry_info = error_details_pb2.RetryInfo()
    details = _details(call.trailing_metadata() or ())
    for message in (info, bad_request, request_info, retry_info):
        _fill(message, details)
    delay = retry_info.retry_delay
    return error_class(code, info.reason)(
        call.details() or code.name.lower().replace("_", " "),
        code=code,
        reason=info.reason,
        fields=tuple(
            FieldViolation(field=each.field, description=each.description) for each in bad_request.field_violations
        ),
        metadata=info.metadata,
        request_id=request_info.request_id,
        retry_after_s=delay.seconds + delay.nanos / 1e9 if retry_info.HasField("retry_delay") else None,
    )


def error_from_result(error: router_service_pb2.RouteError, *, request_id: str) -> TierwayError:
    """The typed error of one query of a batch, as Route would have raised it."""
    code = next((code for code in grpc.StatusCode if code.value[0] == error.code), grpc.StatusCode.UNKNOWN)
    violations = (FieldViolation(field=error.field, description=error.message),) if error.field else ()
    return error_class(code, error.reason)(
        error.message, code=code, reason=error.reason, fields=violations, request_id=request_id
    )


def _details(trailers: Iterable[tuple[str, str | bytes]]) -> list[Any]:
    for key, value in trailers:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []


def _fill(message: Message, details: Iterable[Any]) -> None:
    """Unpacks into `message` the detail of its type, if there is one."""
    for detail in details:
        try:
            if detail.Unpack(message):
                return
        except DecodeError:
            message.Clear()

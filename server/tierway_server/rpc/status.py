"""The one table from domain errors to gRPC statuses (AIP-193): code, ErrorInfo, and the details that the kind of error asks for."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from tierway_server.errors import (
    BudgetExhaustedError,
    ClassifierOffError,
    ConstitutionMismatchError,
    ContentBlockedError,
    DeadlineError,
    InternalError,
    InvalidRequestError,
    RateLimitedError,
    TenantRestrictedError,
    TierwayError,
    UnavailableError,
    UnknownDeploymentError,
    UnknownModelError,
    UnsatisfiableError,
)
from tierway_server.telemetry import semconv

# Looked up along the class's ancestry: a subclass has its parent's code unless it is listed itself.
CODES: dict[type[TierwayError], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    UnknownDeploymentError: grpc.StatusCode.NOT_FOUND,
    TenantRestrictedError: grpc.StatusCode.PERMISSION_DENIED,
    RateLimitedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    BudgetExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    UnsatisfiableError: grpc.StatusCode.FAILED_PRECONDITION,
    ConstitutionMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    ClassifierOffError: grpc.StatusCode.FAILED_PRECONDITION,
    ContentBlockedError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
    InternalError: grpc.StatusCode.INTERNAL,
}


def _go_name(code: grpc.StatusCode) -> str:
    words = "".join(word.capitalize() for word in code.name.split("_"))
    return {"Ok": "OK", "Cancelled": "Canceled"}.get(words, words)


# As go-grpc's metrics name the codes.
GO_NAMES: dict[grpc.StatusCode, str] = {code: _go_name(code) for code in grpc.StatusCode}

Metadata = tuple[tuple[str, str | bytes], ...]


def code_of(error: TierwayError) -> grpc.StatusCode:
    """The gRPC code of a domain error."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), grpc.StatusCode.INTERNAL)


def status_of(error: TierwayError, request_id: str) -> status_pb2.Status:
    """The whole status of a domain error, as `grpc-status-details-bin` carries it."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason,
            domain=semconv.ERROR_DOMAIN,
            metadata=error.metadata | ({"field": error.field} if error.field else {}),
        ),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, InvalidRequestError) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif isinstance(error, UnknownModelError | UnknownDeploymentError):
        kind = "model" if isinstance(error, UnknownModelError) else "deployment"
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=kind, resource_name=error.metadata.get(kind, ""), description=error.message
            )
        )
    elif isinstance(error, RateLimitedError | BudgetExhaustedError):
        kind = "limit" if isinstance(error, RateLimitedError) else "budget"
        exceeded = error_details_pb2.QuotaFailure.Violation(
            subject=f"{kind}:{error.metadata.get(kind, '')}", description=error.message
        )
        details.append(error_details_pb2.QuotaFailure(violations=[exceeded]))
    elif isinstance(error, UnsatisfiableError | ConstitutionMismatchError | ClassifierOffError | ContentBlockedError):
        unmet = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason, subject=error.field, description=error.message
        )
        details.append(error_details_pb2.PreconditionFailure(violations=[unmet]))
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(
        code=code_of(error).value[0], message=error.message, details=[_packed(detail) for detail in details]
    )


def trailing_metadata(error: TierwayError, request_id: str) -> Metadata:
    """The trailers that carry the error's details."""
    trailers: Metadata = (("grpc-status-details-bin", status_of(error, request_id).SerializeToString()),)
    if isinstance(error, UnavailableError | RateLimitedError | BudgetExhaustedError):
        # Clients with a retry policy wait this long; a negative wait tells them not to try again (gRFC A6).
        wait_ms = -1 if error.retry_after_s is None else round(error.retry_after_s * 1000)
        trailers += (("grpc-retry-pushback-ms", str(wait_ms)),)
    return trailers


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed

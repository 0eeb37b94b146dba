"""Everything this client raises, one class a gRPC code that callers treat in a way of its own.

TierwayError
 ├── InvalidArgumentError      a field is wrong; `field` names it. Also raised before any call, for arguments that cannot be sent
 ├── NotFoundError             the forced model is not configured
 ├── FailedPreconditionError   no model satisfies what was pinned or asked (`PIN_UNSATISFIABLE`), or the constitution differs
 ├── ResourceExhaustedError    a message beyond the size limit
 │   ├── RateLimitedError      a rate limit has no room now (`RATE_LIMITED`); `retry_after_s` says when it has
 │   └── BudgetExhaustedError  a budget has less left than the answer is estimated to cost (`BUDGET_EXHAUSTED`)
 ├── UnavailableError          not now: no server, a full queue, a drain, no deployment; `retry_after_s` says when, if the server knows
 ├── DeadlineExceededError     `timeout_s` ran out
 ├── CancelledCallError        the call was cancelled, here or by the server
 ├── PermissionDeniedError     the principal may not do this
 ├── UnauthenticatedError      no valid credential
 ├── UnimplementedError        the server does not know this call
 ├── InternalError             the server failed; or an answer was cut off after it had begun
 └── UnknownError              every other code; `code` tells which
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of a request that the server refused."""

    field: str
    """The path of the field, such as `sampling.temperature`."""

    description: str
    """What is wrong with it, for a person."""


class TierwayError(Exception):
    """A call failed. Raised as one of the subclasses; catch this one to catch them all.

    Attributes:
        code: The gRPC status code.
        reason: The stable ErrorInfo reason, such as `QUEUE_FULL`; empty when the error did not come from a Tierway server.
        message: What happened, for a person.
        fields: The fields at fault; empty when none is.
        metadata: The ErrorInfo metadata: the variable parts of the message.
        request_id: The request's id, as in the server's logs; empty when the server did not answer.
        retry_after_s: When the server thinks that another try may succeed, in seconds from its answer; None when it does not say.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    # One positional argument and the rest optional: pickling an exception replays `args` and then restores the attributes.
    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        fields: tuple[FieldViolation, ...] = (),
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.reason = reason
        self.message = message
        self.fields = fields
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    @property
    def field(self) -> str:
        """The path of the first field at fault; empty when none is."""
        return self.fields[0].field if self.fields else ""

    def __str__(self) -> str:
        """The reason (else the code), the field if any, and the message, on one line."""
        parts = (self.reason or self.code.name, self.field, self.message)
        return ": ".join(part for part in parts if part)


class InvalidArgumentError(TierwayError):
    """A field of the request is wrong; `field` names it."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    @classmethod
    def of_field(cls, field: str, description: str) -> "InvalidArgumentError":
        """The error for an argument that cannot be sent, in the form in which the server reports its own."""
        violation = FieldViolation(field=field, description=description)
        return cls(description, reason="INVALID_FIELD", fields=(violation,))


class NotFoundError(TierwayError):
    """What the request names, such as `force_model`, is not configured."""

    code = grpc.StatusCode.NOT_FOUND


class FailedPreconditionError(TierwayError):
    """No model satisfies the request, or the server's constitution is not the expected one. Repeating it does not help."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhaustedError(TierwayError):
    """A limit of the tenant is reached, or a message is larger than the channel allows."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class RateLimitedError(ResourceExhaustedError):
    """A rate limit of the tenant, or of all deployments that would do, has no room now. `retry_after_s` says when it has."""


class BudgetExhaustedError(ResourceExhaustedError):
    """A budget of the tenant or the agent has less left than the answer is estimated to cost. `metadata["budget"]` names it."""


class UnavailableError(TierwayError):
    """Nothing can serve the request now. Without a `reason`, the server was not reached or the connection was lost."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceededError(TierwayError):
    """The call's `timeout_s` ran out."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class CancelledCallError(TierwayError):
    """The call was cancelled."""

    code = grpc.StatusCode.CANCELLED


class PermissionDeniedError(TierwayError):
    """The caller is known, and may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class UnauthenticatedError(TierwayError):
    """The call carries no valid credential."""

    code = grpc.StatusCode.UNAUTHENTICATED


class UnimplementedError(TierwayError):
    """The server does not know this call: it is older, or not a Tierway server."""

    code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(TierwayError):
    """The server failed, or an answer was cut off after it had begun."""

    code = grpc.StatusCode.INTERNAL


class UnknownError(TierwayError):
    """Any other gRPC code; `code` tells which."""


ERROR_CLASSES: Mapping[grpc.StatusCode, type[TierwayError]] = MappingProxyType(
    {cls.code: cls for cls in TierwayError.__subclasses__()}
)
"""The class that stands for each gRPC code; codes that are not in it are UnknownError."""

_CLASSES_BY_REASON: Mapping[str, type[TierwayError]] = MappingProxyType(
    {"RATE_LIMITED": RateLimitedError, "BUDGET_EXHAUSTED": BudgetExhaustedError}
)


def error_class(code: grpc.StatusCode, reason: str) -> type[TierwayError]:
    """The class for a code and an ErrorInfo reason: that of the reason, where it has one of its own, else that of the code."""
    cls = ERROR_CLASSES.get(code, UnknownError)
    of_reason = _CLASSES_BY_REASON.get(reason, cls)
    return of_reason if issubclass(of_reason, cls) else cls

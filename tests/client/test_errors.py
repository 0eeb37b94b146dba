import pickle
from dataclasses import dataclass

import grpc
import pytest

from tests.client.scripted_router import status_details
from tierway.v1 import router_service_pb2 as rpc
from tierway_client import (
    BudgetExhaustedError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    RateLimitedError,
    ResourceExhaustedError,
    TierwayError,
    UnavailableError,
    UnknownError,
)
from tierway_client._status import error_from_call, error_from_result


@dataclass
class FailedCall:
    status: grpc.StatusCode
    message: str | None = "it failed"
    trailers: tuple[tuple[str, str | bytes], ...] | None = ()

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str | None:
        return self.message

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...] | None:
        return self.trailers


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_code_has_its_error(code: grpc.StatusCode) -> None:
    error = error_from_call(FailedCall(code))
    assert error.code is code
    assert type(error).code in (code, grpc.StatusCode.UNKNOWN)


def test_code_without_a_class_of_its_own_is_unknown_error() -> None:
    assert type(error_from_call(FailedCall(grpc.StatusCode.ABORTED))) is UnknownError


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x1a\x05\x0a\x01", b""])
def test_details_that_do_not_decode_leave_code_and_message(garbage: bytes) -> None:
    error = error_from_call(
        FailedCall(grpc.StatusCode.NOT_FOUND, "no model x", (("grpc-status-details-bin", garbage),))
    )
    assert (type(error), error.message, error.reason, error.request_id) == (NotFoundError, "no model x", "", "")


def test_error_without_trailers_or_message_says_its_code() -> None:
    error = error_from_call(FailedCall(grpc.StatusCode.DEADLINE_EXCEEDED, None, None))
    assert str(error) == "DEADLINE_EXCEEDED: deadline exceeded"


def test_details_become_attributes() -> None:
    details = status_details(
        reason="INVALID_FIELD",
        field_path="sampling.temperature",
        description="must be 0 to 2",
        metadata={"limit": "2"},
        retry_after_s=1.5,
    )
    trailers = (("x", "y"), ("grpc-status-details-bin", details))
    error = error_from_call(FailedCall(grpc.StatusCode.INVALID_ARGUMENT, "must be 0 to 2", trailers))
    assert isinstance(error, InvalidArgumentError)
    assert (error.reason, error.field, error.request_id) == ("INVALID_FIELD", "sampling.temperature", "r-1")
    assert (error.retry_after_s, error.metadata) == (1.5, {"limit": "2"})
    assert error.fields == (FieldViolation(field="sampling.temperature", description="must be 0 to 2"),)
    assert str(error) == "INVALID_FIELD: sampling.temperature: must be 0 to 2"


def test_retry_at_once_differs_from_no_word_about_retrying() -> None:
    at_once = (("grpc-status-details-bin", status_details(reason="DRAINING", retry_after_s=0.0)),)
    assert error_from_call(FailedCall(grpc.StatusCode.UNAVAILABLE, trailers=at_once)).retry_after_s == 0.0
    silent = (("grpc-status-details-bin", status_details(reason="DRAINING")),)
    assert error_from_call(FailedCall(grpc.StatusCode.UNAVAILABLE, trailers=silent)).retry_after_s is None


def test_error_of_one_query_of_a_batch_is_what_route_would_raise() -> None:
    wire = rpc.RouteError(code=3, reason="INVALID_FIELD", message="must not be empty", field="query.prompt")
    error = error_from_result(wire, request_id="r-9")
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.request_id, error.reason) == ("query.prompt", "r-9", "INVALID_FIELD")
    assert type(error_from_result(rpc.RouteError(code=99), request_id="")) is UnknownError


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("RATE_LIMITED", RateLimitedError),
        ("BUDGET_EXHAUSTED", BudgetExhaustedError),
        ("", ResourceExhaustedError),
        ("ANOTHER_DAY", ResourceExhaustedError),
    ],
)
def test_what_has_run_out_has_a_class_of_its_own(reason: str, kind: type[TierwayError]) -> None:
    trailers = (("grpc-status-details-bin", status_details(reason=reason)),)
    assert type(error_from_call(FailedCall(grpc.StatusCode.RESOURCE_EXHAUSTED, trailers=trailers))) is kind
    assert type(error_from_result(rpc.RouteError(code=8, reason=reason), request_id="")) is kind
    assert issubclass(kind, ResourceExhaustedError)


def test_a_reason_that_does_not_go_with_its_code_changes_no_class() -> None:
    trailers = (("grpc-status-details-bin", status_details(reason="RATE_LIMITED")),)
    assert type(error_from_call(FailedCall(grpc.StatusCode.NOT_FOUND, trailers=trailers))) is NotFoundError


def test_errors_survive_pickling() -> None:
    error = UnavailableError("queue full", reason="QUEUE_FULL", retry_after_s=0.2, request_id="r")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.reason, copy.retry_after_s, str(copy)) == (UnavailableError, "QUEUE_FULL", 0.2, str(error))


def test_all_errors_share_one_root() -> None:
    assert issubclass(UnavailableError, TierwayError)
    assert not issubclass(TierwayError, OSError)

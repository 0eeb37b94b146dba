"""A failed call as a client reads it: the code, and the details of its status."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A status other than OK."""

    code: grpc.StatusCode
    message: str
    status: status_pb2.Status
    trailers: dict[str, str | bytes]

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        info = self.detail(error_details_pb2.ErrorInfo)
        assert info is not None
        return info

    @property
    def reason(self) -> str:
        return str(self.info.reason)

    @property
    def field(self) -> str:
        return str(self.info.metadata.get("field", ""))

    @property
    def violated_fields(self) -> list[str]:
        """The fields that BadRequest names."""
        bad_request = self.detail(error_details_pb2.BadRequest)
        return [violation.field for violation in bad_request.field_violations] if bad_request else []

    @property
    def retry_delay_s(self) -> float | None:
        retry = self.detail(error_details_pb2.RetryInfo)
        return retry.retry_delay.ToTimedelta().total_seconds() if retry else None

    def detail(self, kind: type[M]) -> M | None:
        """The detail of this kind."""
        for packed in self.status.details:
            found = kind()
            if packed.Unpack(found):
                return found
        return None


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """The refusal that `error` is; its status has to agree with the bare code."""
    trailers: dict[str, str | bytes] = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    return Refusal(code=error.code(), message=error.details() or "", status=status, trailers=trailers)


async def refused(call: Awaitable[Any]) -> Refusal:
    """Await a call that has to fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal_of(caught.value)

"""One RPC under way, as our handlers see it: what came with it, and the two ways to answer."""

from __future__ import annotations

import re
from typing import Any

import grpc

from tierway_server.errors import InvalidRequestError
from tierway_server.flow.ids import uuid7
from tierway_server.rpc.status import Metadata
from tierway_server.telemetry import semconv

Context = grpc.aio.ServicerContext[Any, Any]

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Call:
    """An RPC. Belongs to its handler's task."""

    __slots__ = ("_request_id", "arrived_s", "code", "context", "trailers")

    def __init__(self, context: Context, arrived_s: float) -> None:
        self.context = context
        self.arrived_s = arrived_s
        """When it arrived, on the server's clock."""
        self.code = grpc.StatusCode.OK
        """What it ends with."""
        self.trailers: Metadata = ()
        """What ends the call, whether it succeeds or fails."""
        self._request_id = ""

    @property
    def request_id(self) -> str:
        """The caller's name for this request, or ours."""
        if not self._request_id:
            stated = self.metadata(semconv.REQUEST_ID_KEY)
            # A bad one has been refused by `identify`; the refusal itself needs a name too.
            self._request_id = stated if _NAME.fullmatch(stated) else uuid7()
        return self._request_id

    def identify(self, stated: str) -> None:
        """Take the request's own id.

        Raises:
            InvalidRequestError: it is not one.

        """
        field = "request_id"
        if not stated:
            stated, field = self.metadata(semconv.REQUEST_ID_KEY), f"metadata.{semconv.REQUEST_ID_KEY}"
        if stated:
            if not _NAME.fullmatch(stated):
                raise InvalidRequestError("an id is 1 to 128 characters of A-Z a-z 0-9 . _ : -", field=field)
            self._request_id = stated

    @property
    def tenant(self) -> str:
        """Who asks; metadata counts while no authentication is configured.

        Raises:
            InvalidRequestError: the metadata names no valid tenant.

        """
        tenant = self.metadata(semconv.TENANT_KEY)
        if tenant and not _NAME.fullmatch(tenant):
            raise InvalidRequestError(
                "a tenant is 1 to 128 characters of A-Z a-z 0-9 . _ : -", field=f"metadata.{semconv.TENANT_KEY}"
            )
        return tenant

    def metadata(self, key: str) -> str:
        """The first value of a metadata key, empty when there is none."""
        for name, value in self.context.invocation_metadata() or ():
            if name == key:
                return value if isinstance(value, str) else ""
        return ""

    async def greet(self) -> None:
        """Send the initial metadata: a stream's caller learns the request's id before the first event."""
        await self.context.send_initial_metadata(((semconv.REQUEST_ID_KEY, self.request_id),))

    async def write(self, message: bytes) -> None:
        """Send one message of a stream. Waits while the caller reads too slowly."""
        await self.context.write(message)

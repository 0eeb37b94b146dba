"""One RPC under way, as our handlers see it: what came with it, and the two ways to answer."""

from __future__ import annotations

import re
from math import inf
from typing import Any

import grpc

from tierway_server.errors import InvalidRequestError
from tierway_server.flow.ids import uuid7
from tierway_server.flow.priority import Priority
from tierway_server.rpc.status import Metadata
from tierway_server.telemetry import semconv

Context = grpc.aio.ServicerContext[Any, Any]

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PRIORITIES = {priority.name.lower(): priority for priority in Priority}


class Call:
    """An RPC. Belongs to its handler's task."""

    __slots__ = ("_request_id", "arrived_s", "context", "limit_s", "priority", "remaining_s", "tenant", "trailers")

    def __init__(self, context: Context, arrived_s: float) -> None:
        self.context = context
        self.arrived_s = arrived_s
        """When it arrived, on the server's clock."""
        self.remaining_s = inf
        """How much time the caller had left when it arrived, in seconds, as far as it says so."""
        self.limit_s = inf
        """How long it may take, in seconds: the caller's time, or the server's limit."""
        self.trailers: Metadata = ()
        """What ends the call, whether it succeeds or fails."""
        self.tenant = ""
        """Who asks; empty when nobody says so."""
        self.priority = Priority.NORMAL
        """How urgent the metadata say that it is; a request may say otherwise."""
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
        """Take what came with the request: its id, which comes back in the trailing metadata, the tenant's, and its priority.

        A tenant that metadata names counts while no authentication is configured.

        Raises:
            InvalidRequestError: one of them is wrong.

        """
        tenant = named = priority = ""
        for key, value in self.context.invocation_metadata() or ():  # read once: grpc makes the tuple anew each time
            if key == semconv.TENANT_KEY:
                tenant = value if isinstance(value, str) else ""
            elif key == semconv.REQUEST_ID_KEY:
                named = value if isinstance(value, str) else ""
            elif key == semconv.PRIORITY_KEY:
                priority = value if isinstance(value, str) else ""
        self.tenant = _checked(tenant, f"metadata.{semconv.TENANT_KEY}")
        if stated:
            self._request_id = _checked(stated, "request_id")
        else:
            self._request_id = _checked(named, f"metadata.{semconv.REQUEST_ID_KEY}") or uuid7()
        if priority:
            if priority not in _PRIORITIES:
                raise InvalidRequestError(
                    f"must be one of {', '.join(_PRIORITIES)}", field=f"metadata.{semconv.PRIORITY_KEY}"
                )
            self.priority = _PRIORITIES[priority]
        # At the end of the call: initial metadata of its own would be one more message.
        self.trailers += ((semconv.REQUEST_ID_KEY, self._request_id),)
        self.context.set_trailing_metadata(self.trailers)

    def metadata(self, key: str) -> str:
        """The first value of a metadata key, empty when there is none."""
        for name, value in self.context.invocation_metadata() or ():
            if name == key:
                return value if isinstance(value, str) else ""
        return ""

    async def write(self, message: bytes) -> None:
        """Send one message of a stream. Waits while the caller reads too slowly."""
        await self.context.write(message)


def _checked(name: str, field: str) -> str:
    if name and not _NAME.fullmatch(name):
        raise InvalidRequestError("must be 1 to 128 characters of A-Z a-z 0-9 . _ : -", field=field)
    return name


def check_request_id(stated: str) -> None:
    """Check the id that a request states; it need not state one.

    Raises:
        InvalidRequestError: it is none.

    """
    _checked(stated, "request_id")

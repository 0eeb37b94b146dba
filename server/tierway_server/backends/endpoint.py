"""Where answers of a deployment are asked for, and what comes back: the two types that everybody shares who asks over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

import httpx2
import multidict
import yarl

_TRANSPORTS_OWN = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})


class Endpoint:
    """An address with what lets one in; nothing of it is ever shown."""

    def __init__(self, url: httpx2.URL, headers: list[tuple[bytes, bytes]]) -> None:
        self.url = url
        self.headers = headers

    @cached_property
    def address(self) -> yarl.URL:
        """The same as `url`, for aiohttp: made once."""
        return yarl.URL(str(self.url), encoded=True)

    @cached_property
    def fields(self) -> multidict.CIMultiDict[str]:
        """The same as `headers`, likewise; without what a transport states itself."""
        return multidict.CIMultiDict(
            (name.decode("ascii"), value.decode("latin-1"))
            for name, value in self.headers
            if name.lower() not in _TRANSPORTS_OWN
        )


class Reply(Protocol):
    """What a service answers, as soon as its header fields are there."""

    @property
    def status(self) -> int:
        """The status of HTTP."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, in whatever case they are asked for."""

    async def read(self) -> bytes:
        """What comes next of the body; nothing when that is over.

        Raises:
            httpx2.HTTPError: the connection broke, or was silent for too long.

        """

    async def aclose(self) -> None:
        """Read no more; where something would still come, the service hears at once that nobody listens."""


class Transport(Protocol):
    """Asks for answers over a pool of connections."""

    async def post(self, endpoint: Endpoint, body: bytes) -> Reply:
        """Ask for an answer.

        Raises:
            httpx2.HTTPError: there is no connection, or no answer came.

        """

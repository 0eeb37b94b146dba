"""The client for asyncio. Its twin for threads is `_client`; they share `_encode`, `_decode`, `_channel` and `_attempts`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
import grpc.aio

from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import router_service_pb2_grpc
from tierway_client import _decode, _decode_fleet, _encode
from tierway_client._aio_stream import AsyncStream
from tierway_client._attempts import Attempts, CallPolicy
from tierway_client._channel import call_metadata, channel_options
from tierway_client._errors import TierwayError
from tierway_client._explanation import Explanation
from tierway_client._fleet import ModelInfo, Stats
from tierway_client._query import Query, QueryFields
from tierway_client._results import Answer, Decision
from tierway_client._status import error_from_call


class AsyncClient:
    """An asyncio client of a Tierway server.

    Every call has a deadline and raises the tree of `TierwayError`. Calls that change nothing are repeated by gRPC while the server is
    UNAVAILABLE; `execute` and `stream` only when the server says that it started nothing (see `UnavailableError`).

    Thread-safety: of the event loop in which it was made; share it among tasks, it is one connection pool.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        tenant: str = "",
        timeout_s: float = 60.0,
        max_attempts: int = 3,
        wait_for_ready: bool = False,
        metadata: Sequence[tuple[str, str]] = (),
        credentials: grpc.ChannelCredentials | None = None,
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        """Opens a channel in the running event loop; connects with the first call.

        Args:
            target: The server's address, as gRPC writes it.
            tenant: Who calls, as metadata `tierway-tenant`. Default: not stated.
            timeout_s: The deadline of calls that state none, all tries included, in seconds.
            max_attempts: The most tries of one call, the first included. 1 never tries again.
            wait_for_ready: Whether calls wait for the server until their deadline, instead of failing when it is not reachable.
            metadata: Sent with every call, such as `("authorization", "Bearer ...")`.
            credentials: TLS. Default: none, in clear.
            channel: A channel to use instead of making one; the caller closes it, and `target`, `credentials`, `wait_for_ready` and
                gRPC's own retries are as it says.

        Raises:
            InvalidArgumentError: `timeout_s` or `max_attempts` makes no sense.
            RuntimeError: No event loop is running.
        """
        # A channel belongs to the loop in which it was made; grpc.aio would quietly take another one and hang.
        asyncio.get_running_loop()
        self._policy = CallPolicy(timeout_s=timeout_s, max_attempts=max_attempts)
        self._metadata = call_metadata(tenant=tenant, metadata=metadata)
        self._owns_channel = channel is None
        if channel is None:
            options = channel_options(max_attempts=max_attempts, wait_for_ready=wait_for_ready)
            channel = (
                grpc.aio.insecure_channel(target, options)
                if credentials is None
                else grpc.aio.secure_channel(target, credentials, options)
            )
        self._channel = channel
        # Generated stubs carry no types; those of `_encode` and `_decode` bring them back.
        self._stub: Any = router_service_pb2_grpc.RouterServiceStub(channel)

    async def route(
        self, prompt: str | None = None, *, timeout_s: float | None = None, **fields: Unpack[QueryFields]
    ) -> Decision:
        """Decides only: which model would answer, at which cost, and why. The fields are those of `Query`."""
        request = _encode.encode_request(rpc.RouteRequest, Query(prompt, **fields))
        return _decode.decode_route(await self._call(self._stub.Route, request, self._policy.begin(timeout_s)))

    async def explain(
        self,
        prompt: str | None = None,
        *,
        max_features: int = 10,
        timeout_s: float | None = None,
        **fields: Unpack[QueryFields],
    ) -> Explanation:
        """Decides as `route` does, and lays open by what. The fields are those of `Query`.

        Args:
            prompt: One user turn as plain text.
            max_features: The most features to list, 0 to 100.
            timeout_s: The deadline in seconds. Default: the client's.
            fields: The other fields of `Query`.
        """
        request = _encode.encode_explain(Query(prompt, **fields), max_features=max_features)
        return _decode.decode_explain(await self._call(self._stub.Explain, request, self._policy.begin(timeout_s)))

    async def route_batch(
        self, queries: Iterable[str | Query], *, include_reasons: bool = False, timeout_s: float | None = None
    ) -> tuple[Decision | TierwayError, ...]:
        """Decides for 1 to 1,000 queries in one call.

        A query that cannot be decided fails alone: in its place is, not raised, the error that `route` would have raised.

        Args:
            queries: Prompts or whole queries.
            include_reasons: Whether the decisions carry `reasons` and `fallback_chain`.
            timeout_s: The deadline in seconds. Default: the client's.
        """
        request = _encode.encode_batch(queries, include_reasons=include_reasons)
        return _decode.decode_batch(await self._call(self._stub.RouteBatch, request, self._policy.begin(timeout_s)))

    async def execute(
        self, prompt: str | None = None, *, timeout_s: float | None = None, **fields: Unpack[QueryFields]
    ) -> Answer:
        """Decides and answers, whole. The fields are those of `Query`."""
        request = _encode.encode_request(rpc.ExecuteRequest, Query(prompt, **fields))
        attempts = self._policy.begin(timeout_s)
        while True:
            try:
                return _decode.decode_answer(await self._call(self._stub.Execute, request, attempts))
            except TierwayError as error:
                pause_s = attempts.pause_s(error)
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)

    def stream(
        self, prompt: str | None = None, *, timeout_s: float | None = None, **fields: Unpack[QueryFields]
    ) -> AsyncStream:
        """Decides and answers, token by token. The fields are those of `Query`; does not wait for the server."""
        request = _encode.encode_request(rpc.StreamRequest, Query(prompt, **fields))
        return AsyncStream(
            lambda remaining_s: self._stub.Stream(request, timeout=remaining_s, metadata=self._metadata),
            self._policy.begin(timeout_s),
        )

    async def list_models(self, *, page_size: int = 0, timeout_s: float | None = None) -> AsyncIterator[ModelInfo]:
        """The models of the server's configuration, by tier. Fetches pages as it goes.

        Args:
            page_size: The most models a page, 1 to 1,000. Default (0): the server's choice.
            timeout_s: The deadline of each page, in seconds. Default: the client's.
        """
        page_token = ""
        while True:
            request = rpc.ListModelsRequest(page_size=page_size, page_token=page_token)
            page: rpc.ListModelsResponse = await self._call(
                self._stub.ListModels, request, self._policy.begin(timeout_s)
            )
            for model in page.models:
                yield _decode_fleet.decode_model(model)
            page_token = page.next_page_token
            if not page_token:
                return

    async def get_stats(self, *, timeout_s: float | None = None) -> Stats:
        """What the server has done since it started."""
        return _decode_fleet.decode_stats(
            await self._call(self._stub.GetStats, rpc.GetStatsRequest(), self._policy.begin(timeout_s))
        )

    async def close(self) -> None:
        """Closes the channel, unless it was given; calls under way are cancelled."""
        if self._owns_channel:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: Callable[..., Any], request: object, attempts: Attempts) -> Any:
        try:
            return await method(request, timeout=attempts.remaining_s(), metadata=self._metadata)
        except grpc.aio.AioRpcError as failure:
            raise error_from_call(failure) from failure

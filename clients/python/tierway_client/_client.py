"""The client for threads. Its twin for asyncio is `_aio_client`; they share `_encode`, `_decode`, `_channel` and `_attempts`."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, Unpack, cast

import grpc

from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import router_service_pb2_grpc
from tierway_client import _decode, _decode_fleet, _encode
from tierway_client._attempts import Attempts, CallPolicy
from tierway_client._channel import call_metadata, channel_options
from tierway_client._errors import TierwayError
from tierway_client._explanation import Explanation
from tierway_client._fleet import ModelInfo, Stats
from tierway_client._query import Query, QueryFields
from tierway_client._results import Answer, Decision
from tierway_client._status import FailedCall, error_from_call
from tierway_client._stream import Stream


class Client:
    """A client of a Tierway server.

    Every call has a deadline and raises the tree of `TierwayError`. Calls that change nothing are repeated by gRPC while the server is
    UNAVAILABLE; `execute` and `stream` only when the server says that it started nothing (see `UnavailableError`).

    Thread-safety: share one client among threads; it is one connection pool.
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
        channel: grpc.Channel | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Opens a channel; connects with the first call.

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
            clock: Monotonic seconds. For tests, as are `sleep` and `jitter`.
            sleep: Waits for so many seconds.
            jitter: A random number from 0 to 1.

        Raises:
            InvalidArgumentError: `timeout_s` or `max_attempts` makes no sense.
        """
        self._policy = CallPolicy(timeout_s=timeout_s, max_attempts=max_attempts, clock=clock, jitter=jitter)
        self._sleep = sleep
        self._metadata = call_metadata(tenant=tenant, metadata=metadata)
        self._owns_channel = channel is None
        if channel is None:
            options = channel_options(max_attempts=max_attempts, wait_for_ready=wait_for_ready)
            channel = (
                grpc.insecure_channel(target, options)
                if credentials is None
                else grpc.secure_channel(target, credentials, options)
            )
        self._channel = channel
        # Generated stubs carry no types; those of `_encode` and `_decode` bring them back.
        self._stub: Any = router_service_pb2_grpc.RouterServiceStub(channel)

    def route(
        self, prompt: str | None = None, *, timeout_s: float | None = None, **fields: Unpack[QueryFields]
    ) -> Decision:
        """Decides only: which model would answer, at which cost, and why. The fields are those of `Query`."""
        request = _encode.encode_request(rpc.RouteRequest, Query(prompt, **fields))
        return _decode.decode_route(self._call(self._stub.Route, request, self._policy.begin(timeout_s)))

    def explain(
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
        return _decode.decode_explain(self._call(self._stub.Explain, request, self._policy.begin(timeout_s)))

    def route_batch(
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
        return _decode.decode_batch(self._call(self._stub.RouteBatch, request, self._policy.begin(timeout_s)))

    def execute(
        self, prompt: str | None = None, *, timeout_s: float | None = None, **fields: Unpack[QueryFields]
    ) -> Answer:
        """Decides and answers, whole. The fields are those of `Query`."""
        request = _encode.encode_request(rpc.ExecuteRequest, Query(prompt, **fields))
        attempts = self._policy.begin(timeout_s)
        while True:
            try:
                return _decode.decode_answer(self._call(self._stub.Execute, request, attempts))
            except TierwayError as error:
                pause_s = attempts.pause_s(error)
                if pause_s is None:
                    raise
            self._sleep(pause_s)

    def stream(
        self, prompt: str | None = None, *, timeout_s: float | None = None, **fields: Unpack[QueryFields]
    ) -> Stream:
        """Decides and answers, token by token. The fields are those of `Query`; does not wait for the server."""
        request = _encode.encode_request(rpc.StreamRequest, Query(prompt, **fields))
        return Stream(
            lambda remaining_s: self._stub.Stream(request, timeout=remaining_s, metadata=self._metadata),
            self._policy.begin(timeout_s),
            self._sleep,
        )

    def list_models(self, *, page_size: int = 0, timeout_s: float | None = None) -> Iterator[ModelInfo]:
        """The models of the server's configuration, by tier. Fetches pages as it goes.

        Args:
            page_size: The most models a page, 1 to 1,000. Default (0): the server's choice.
            timeout_s: The deadline of each page, in seconds. Default: the client's.
        """
        page_token = ""
        while True:
            request = rpc.ListModelsRequest(page_size=page_size, page_token=page_token)
            page: rpc.ListModelsResponse = self._call(self._stub.ListModels, request, self._policy.begin(timeout_s))
            yield from map(_decode_fleet.decode_model, page.models)
            page_token = page.next_page_token
            if not page_token:
                return

    def get_stats(self, *, timeout_s: float | None = None) -> Stats:
        """What the server has done since it started."""
        return _decode_fleet.decode_stats(
            self._call(self._stub.GetStats, rpc.GetStatsRequest(), self._policy.begin(timeout_s))
        )

    def close(self) -> None:
        """Closes the channel, unless it was given; calls under way are cancelled."""
        if self._owns_channel:
            self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., Any], request: object, attempts: Attempts) -> Any:
        try:
            return method(request, timeout=attempts.remaining_s(), metadata=self._metadata)
        except grpc.RpcError as failure:
            raise error_from_call(cast("FailedCall", failure)) from failure

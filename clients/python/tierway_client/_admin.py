"""The client of operators, for threads: what changes how a running server behaves, on the administrators' port."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast

import grpc

from tierway.v1 import admin_service_pb2 as pb
from tierway.v1 import admin_service_pb2_grpc
from tierway_client import _decode_fleet
from tierway_client._channel import channel_options
from tierway_client._enums import BreakerSetting
from tierway_client._fleet import DeploymentStats
from tierway_client._status import FailedCall, error_from_call


class AdminClient:
    """A client of a Tierway server's `AdminService`.

    Every call has a deadline and raises the tree of `TierwayError`. Nothing is repeated.

    Thread-safety: share one client among threads; it is one connection pool.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50052",
        *,
        timeout_s: float = 60.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Opens a channel; connects with the first call.

        Args:
            target: The address of the server's administrators' port, as gRPC writes it.
            timeout_s: The deadline of a call, in seconds.
            credentials: TLS. Default: none, in clear.
        """
        self._timeout_s = timeout_s
        options = channel_options(max_attempts=1, wait_for_ready=False)
        self._channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )
        self._stub: Any = admin_service_pb2_grpc.AdminServiceStub(self._channel)

    def reset_stats(self) -> datetime:
        """Begins the counts of `get_stats` anew, and tells from when they count, in UTC. Breakers, limits and budgets stay as they are."""
        reply: pb.ResetStatsResponse = self._call(self._stub.ResetStats, pb.ResetStatsRequest())
        return reply.count_start_time.ToDatetime(tzinfo=UTC)

    def set_breaker(self, deployment: str, setting: BreakerSetting) -> DeploymentStats:
        """Holds the circuit breaker of a deployment open or closed, or gives it back to its automaton; tells how it stands now."""
        request = pb.SetBreakerRequest(deployment=deployment, setting=cast("pb.BreakerSetting", setting))
        reply: pb.SetBreakerResponse = self._call(self._stub.SetBreaker, request)
        return _decode_fleet.decode_deployment_stats(reply.deployment)

    def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., Any], request: object) -> Any:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as failure:
            raise error_from_call(cast("FailedCall", failure)) from failure

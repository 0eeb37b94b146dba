"""`tierway.v1.AdminService`: what operators change while the server runs."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc

from tierway.v1 import admin_service_pb2 as pb
from tierway_core import Breaker
from tierway_server.errors import InvalidRequestError
from tierway_server.flow.standing import Standing
from tierway_server.rpc import pipeline
from tierway_server.rpc.call import Call
from tierway_server.rpc.decode import parse
from tierway_server.rpc.fleet import Fleet
from tierway_server.telemetry.metrics import Metrics

NAME = pb.DESCRIPTOR.services_by_name["AdminService"].full_name

_SETTINGS: dict[int, Breaker | None] = {
    pb.BREAKER_SETTING_AUTOMATIC: None,
    pb.BREAKER_SETTING_CLOSED: Breaker.CLOSED,
    pb.BREAKER_SETTING_OPEN: Breaker.OPEN,
}


class AdminService:
    """The servicer. Lives on the event loop."""

    def __init__(
        self, standing: Standing, fleet: Fleet, metrics: Metrics, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._standing = standing
        self._fleet = fleet
        self._metrics = metrics
        self._clock = clock

    def handlers(self) -> grpc.GenericRpcHandler:
        """Every method, wrapped in its interceptors."""
        methods = {"ResetStats": self.reset_stats, "SetBreaker": self.set_breaker}
        return grpc.method_handlers_generic_handler(
            NAME, {method: self._handler(method, handler) for method, handler in methods.items()}
        )

    async def reset_stats(self, data: bytes, call: Call) -> bytes:
        """Begin the counts anew."""
        parse(pb.ResetStatsRequest, data)
        return pb.ResetStatsResponse(count_start_time=await self._fleet.reset()).SerializeToString()

    async def set_breaker(self, data: bytes, call: Call) -> bytes:
        """Hold a breaker, or let it go."""
        request = parse(pb.SetBreakerRequest, data)
        if request.setting not in _SETTINGS:
            raise InvalidRequestError("must be automatic, closed or open", field="setting")
        deployment = self._standing.force_breaker(request.deployment, _SETTINGS[request.setting])
        return pb.SetBreakerResponse(deployment=await self._fleet.deployment(deployment)).SerializeToString()

    def _handler(self, method: str, handler: pipeline.Handler) -> grpc.RpcMethodHandler[bytes, bytes]:
        return pipeline.method_handler(
            handler,
            pipeline.errors(self._metrics),
            pipeline.telemetry(self._metrics, "unary", NAME, method, self._clock),
            trailers=(),
            clock=self._clock,
        )

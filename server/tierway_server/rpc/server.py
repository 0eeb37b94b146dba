"""The gRPC servers: the public port, and the administrators' port beside it."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

# What a caller's own options cannot override. Names as gRPC's C core spells them: a misspelt one is ignored without a word.
_FIXED_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients may ping every 10 s while a long answer is silent, without being sent away for "too_many_pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class PortError(Exception):
    """A port cannot be listened on. Its text is for the operator."""


def build(*, receive_bytes: int, max_concurrent_streams: int, shares_ports: bool = False) -> grpc.aio.Server:
    """A server without services. Call it on the running loop.

    Args:
        receive_bytes: the largest message that is read at all.
        max_concurrent_streams: RPCs under way on one connection; more wait at the client.
        shares_ports: whether other processes may listen on its ports, too, so that connections are spread over them.

    """
    options = (
        *_FIXED_OPTIONS,
        # Unless that is meant, a second server on the port must fail, not take half of the calls.
        ("grpc.so_reuseport", int(shares_ports)),
        ("grpc.max_receive_message_length", receive_bytes),
        ("grpc.max_concurrent_streams", max_concurrent_streams),
    )
    return grpc.aio.server(options=options)


def bind(server: grpc.aio.Server, address: str) -> int:
    """Listen on `address` and return the port.

    Raises:
        PortError: the port is taken, or the address is not of this machine.

    """
    try:
        return server.add_insecure_port(address)
    except RuntimeError:
        raise PortError(
            f"cannot listen on {address}: the port is taken, or the address is not of this machine"
        ) from None


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Describe `services` to generic tools, by reflection v1 and v1alpha.

    grpcio-reflection knows v1alpha alone. The two differ in nothing but the package's name, so its servicer answers v1 as well.
    """
    names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME, _describe_reflection_v1())
    servicer = reflection.aio.ReflectionServicer(names)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in names[-2:]:
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}),)
        )


def _describe_reflection_v1() -> str:
    """Put the description of reflection v1 into the pool, made of v1alpha's, and return the service's name."""
    described = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(described)
    text = (
        text_format.MessageToString(described)
        .replace("reflection.v1alpha", "reflection.v1")
        .replace("reflection/v1alpha", "reflection/v1")
    )
    descriptor_pool.Default().AddSerializedFile(
        text_format.Parse(text, descriptor_pb2.FileDescriptorProto()).SerializeToString()
    )
    return "grpc.reflection.v1.ServerReflection"


def add_channelz(server: grpc.aio.Server) -> None:
    """Show gRPC's own connections and calls, for debugging."""
    channelz.add_channelz_servicer(server)


class Health:
    """grpc.health.v1: `""` while the process serves at all, each service while it can do its work."""

    def __init__(self, services: Sequence[str]) -> None:
        self._servicer = health.aio.HealthServicer()
        self._services = services

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve it."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def alive(self) -> None:
        """The process serves; its services are not ready yet."""
        await self._servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        await self.ready(False)

    async def ready(self, is_ready: bool) -> None:
        """The services can, or cannot, do their work."""
        status = health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self._servicer.set(service, status)

    async def draining(self) -> None:
        """Nothing is served from now on, whatever `ready` says later."""
        await self._servicer.enter_graceful_shutdown()

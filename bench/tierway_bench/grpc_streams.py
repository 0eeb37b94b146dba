"""Streams of a Tierway server, by the generated messages and nothing between: the client must not be what is measured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2

STREAM = "/tierway.v1.RouterService/Stream"
_TIMEOUT_S = 300.0


def request(prompt: str, max_tokens: int) -> pb.StreamRequest:
    """A prompt to answer at temperature 1."""
    return pb.StreamRequest(
        query=types_pb2.Query(prompt=prompt), sampling=types_pb2.Sampling(temperature=1.0, max_tokens=max_tokens)
    )


@asynccontextmanager
async def grpc_streams(target: str) -> AsyncIterator[Callable[[str, int], AsyncIterator[int]]]:
    """Opens streams over one connection."""
    async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        call = channel.unary_stream(
            STREAM,
            request_serializer=pb.StreamRequest.SerializeToString,
            response_deserializer=pb.StreamResponse.FromString,
        )

        async def stream(prompt: str, max_tokens: int) -> AsyncIterator[int]:
            async for event in call(request(prompt, max_tokens), timeout=_TIMEOUT_S, wait_for_ready=True):
                if event.HasField("delta"):
                    yield event.delta.token_count

        yield stream

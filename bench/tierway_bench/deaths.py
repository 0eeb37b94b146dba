"""What benchmarks that kill have in common: streams that are under way, and when something first was so."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2
from tierway_bench import grpc_streams

POLL_S = 0.002
CALL_S = 30.0

_SERVICE = "tierway.v1.RouterService"
_EXECUTE = f"/{_SERVICE}/Execute"


def first_time_s(happened: Callable[[], bool], *, since_s: float, within_s: float, poll_s: float) -> float | None:
    """When `happened` first was true, in seconds after `since_s`; None when it was not within `within_s`."""
    while (now_s := time.monotonic() - since_s) < within_s:
        if happened():
            return time.monotonic() - since_s
        time.sleep(min(poll_s, max(within_s - now_s, 0)))
    return None


@contextmanager
def streams_under_way(
    channel: grpc.Channel, pool: ThreadPoolExecutor, count: int
) -> Iterator[Callable[[], Counter[str]]]:
    """Streams that have had their first token; what is yielded waits for their ends and tells them."""
    call = channel.unary_stream(
        grpc_streams.STREAM,
        request_serializer=pb.StreamRequest.SerializeToString,
        response_deserializer=pb.StreamResponse.FromString,
    )
    begun = threading.Barrier(count + 1, timeout=CALL_S)

    def read(number: int) -> str:
        has_begun = False
        try:
            for event in call(grpc_streams.request(f"{number}: tell a very long story.", 4_000), timeout=CALL_S):
                if event.HasField("delta") and not has_begun:
                    has_begun = True
                    begun.wait()
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code.name
        return "OK"

    readers = [pool.submit(read, number) for number in range(count)]
    begun.wait()
    yield lambda: Counter(reader.result(CALL_S) for reader in readers)


def is_serving(channel: grpc.Channel) -> bool:
    """Whether the server says so."""
    try:
        reply = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=_SERVICE), timeout=CALL_S
        )
    except grpc.RpcError:
        return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def answers(channel: grpc.Channel) -> bool:
    """Whether a short answer comes."""
    call = channel.unary_unary(
        _EXECUTE,
        request_serializer=pb.ExecuteRequest.SerializeToString,
        response_deserializer=pb.ExecuteResponse.FromString,
    )
    try:
        call(
            pb.ExecuteRequest(query=types_pb2.Query(prompt="Hello"), sampling=types_pb2.Sampling(max_tokens=2)),
            timeout=CALL_S,
        )
    except grpc.RpcError:
        return False
    return True


def seconds(value: float | None) -> str:
    """For a table."""
    return "never" if value is None else f"{value:.3f}"

"""What surrounds every handler: errors, telemetry, drain, deadline.

These are interceptors in all but the registration: grpc.aio asks its own interceptors anew for every RPC and rebuilds the handler each
time, ours wrap each handler once, when the service is registered (docs/adr/0003). Every handler is a coroutine `(request bytes, call)`
that returns the last message, or the only one; a streaming one has written those before it. That one shape fits all interceptors, and
cancellation can arrive at an `await` only, never at a `yield`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import reduce

import grpc

from tierway_server.errors import DeadlineError, InternalError, TierwayError
from tierway_server.flow.drain import Drain
from tierway_server.rpc.call import Call, Context
from tierway_server.rpc.status import GO_NAMES, code_of, trailing_metadata
from tierway_server.telemetry.metrics import Metrics, RpcMetrics

logger = logging.getLogger(__name__)

Handler = Callable[[bytes, Call], Awaitable[bytes]]
Interceptor = Callable[[Handler], Handler]


def method_handler(
    handler: Handler,
    *interceptors: Interceptor,
    trailers: tuple[tuple[str, str], ...],
    clock: Callable[[], float],
) -> grpc.RpcMethodHandler[bytes, bytes]:
    """Register a handler with grpc, wrapped in `interceptors`, outermost first.

    Bytes in, bytes out: decoding is ours, and so are its errors.
    """
    wrapped: Handler = reduce(lambda inner, interceptor: interceptor(inner), reversed(interceptors), handler)

    async def handle(request: bytes, context: Context) -> bytes:
        call = Call(context, clock())
        call.trailers = trailers
        context.set_trailing_metadata(trailers)
        return await wrapped(request, call)

    # Streaming methods too: on the wire there is no difference, and what a unary handler returns leaves in one batch with the status.
    return grpc.unary_unary_rpc_method_handler(handle)


def telemetry(
    metrics: Metrics, kind: str, service: str, method: str, clock: Callable[[], float] = time.perf_counter
) -> Interceptor:
    """Count and time every RPC by the code that it ends with, before its status leaves: who has it finds it counted."""
    numbers: RpcMetrics = metrics.rpc(kind, service, method, GO_NAMES.values())

    def intercept(handler: Handler) -> Handler:
        async def handle(request: bytes, call: Call) -> bytes:
            numbers.started()
            code = grpc.StatusCode.CANCELLED  # what it is when none of the lines below is reached
            try:
                reply = await handler(request, call)
                code = grpc.StatusCode.OK
                return reply
            except TierwayError as error:
                code = code_of(error)
                raise
            except Exception:
                code = grpc.StatusCode.INTERNAL  # what the interceptor of errors makes of it
                raise
            finally:
                numbers.handled(GO_NAMES[code], clock() - call.arrived_s)

        return handle

    return intercept


def errors(metrics: Metrics) -> Interceptor:
    """Turn domain errors into statuses, and everything else into INTERNAL without its text."""

    def intercept(handler: Handler) -> Handler:
        async def handle(request: bytes, call: Call) -> bytes:
            try:
                return await handler(request, call)
            except TierwayError as error:
                failure = error
            except Exception:  # the edge of the process: a foreign text must not reach the client
                logger.exception("unexpected error", extra={"request_id": call.request_id})
                failure = InternalError("an internal error; the server's log has it under this request's id")
            metrics.failed(failure.reason)
            trailers = call.trailers + trailing_metadata(failure, call.request_id)
            await call.context.abort(code_of(failure), failure.message, trailing_metadata=trailers)
            raise AssertionError("abort raises")

        return handle

    return intercept


def drained(drain: Drain) -> Interceptor:
    """Count the answers under way, so that a shutdown can wait for them."""

    def intercept(handler: Handler) -> Handler:
        async def handle(request: bytes, call: Call) -> bytes:
            with drain.answering():
                return await handler(request, call)

        return handle

    return intercept


def deadline(default_s: float, longest_s: float) -> Interceptor:
    """Bound every call: by the caller's deadline, by `default_s` when there is none, and never longer than `longest_s`."""

    def intercept(handler: Handler) -> Handler:
        async def handle(request: bytes, call: Call) -> bytes:
            remaining_s: float | None = call.context.time_remaining()  # None without a deadline, whatever the stubs say
            limit_s = default_s if remaining_s is None else min(remaining_s, longest_s)
            call.limit_s = limit_s
            if remaining_s is not None:
                call.remaining_s = max(0.0, remaining_s)
            limit = asyncio.timeout(limit_s)
            try:
                async with limit:
                    return await handler(request, call)
            except TimeoutError:
                if not limit.expired():
                    raise  # somebody else's
                raise DeadlineError(
                    f"no complete answer within {limit_s:.3g} s", metadata={"deadline_seconds": f"{limit_s:.3g}"}
                ) from None

        return handle

    return intercept

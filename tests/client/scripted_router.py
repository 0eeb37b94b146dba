"""A Tierway server that does what a test tells it, step by step, on a free port of loopback.

Each call takes the next step of its method's script; without one it gets a plain, good reply. What was called is kept.
"""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2

from tierway.v1 import admin_service_pb2 as admin
from tierway.v1 import admin_service_pb2_grpc, router_service_pb2_grpc
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb

HASH = "cdd01ef066bc6cf2"
REQUEST_ID = "r-1"
DECISION = pb.Decision(
    decision_id="d-1",
    tier=1,
    model="smollm2-135m",
    deployment="smollm2-135m@smollm2",
    provider="vllm",
    complexity=pb.COMPLEXITY_TRIVIAL,
    reasons=[pb.Reason(code=pb.REASON_CODE_CHEAPEST, subject="smollm2-135m@smollm2", detail="Cheapest of 2.")],
    estimated_cost_usd=0.00000125,
    fallback_chain=["qwen3-0.6b"],
    compliance_score=0.82,
)
USAGE = pb.Usage(input_tokens=10, cached_input_tokens=4, output_tokens=8)
TIMINGS = pb.Timings(
    decision_time=Duration(nanos=5_000),
    time_to_first_token=Duration(nanos=45_000_000),
    total_time=Duration(nanos=245_000_000),
)
ANSWERED = pb.Attempt(model=DECISION.model, deployment=DECISION.deployment, outcome=pb.ATTEMPT_OUTCOME_ANSWERED)
STARTED = rpc.StreamResponse(
    started=rpc.StreamStarted(decision=DECISION, constitution_hash=HASH, request_id=REQUEST_ID)
)
FINISHED = rpc.StreamResponse(
    finished=rpc.StreamFinished(
        usage=USAGE,
        cost_usd=0.0000009,
        timings=TIMINGS,
        finish_reason=pb.FINISH_REASON_STOP,
        attempts=[ANSWERED],
        constitution_hash=HASH,
    )
)
ANSWER = rpc.ExecuteResponse(
    decision=DECISION,
    constitution_hash=HASH,
    request_id=REQUEST_ID,
    text="The capital of France is Paris.",
    usage=USAGE,
    cost_usd=0.0000009,
    timings=TIMINGS,
    finish_reason=pb.FINISH_REASON_STOP,
    attempts=[ANSWERED],
)
EXPLANATION = rpc.ExplainResponse(
    decision=DECISION,
    constitution_hash=HASH,
    request_id=REQUEST_ID,
    assessment=pb.Assessment(
        difficulty=-1.25,
        sigma=0.75,
        band_pass=[0.5, 0.625, 0.75, 0.875, 0.9375],
        tier=2,
        domain="history",
        domain_probability=0.625,
        label=pb.LABEL_SIMPLE,
        label_probabilities=[0.75, 0.125, 0.0625, 0.0625],
        confidence=0.8125,
        familiarity=1.0,
    ),
    candidates=[
        pb.Candidate(
            deployment="smollm2-135m@smollm2",
            model="smollm2-135m",
            tier=1,
            expected_quality=0.5,
            cost_usd=0.00000125,
            utility=0.46875,
            rank=1,
        ),
        pb.Candidate(
            deployment="grok-4@openrouter",
            model="grok-4",
            tier=5,
            cost_usd=0.001,
            left_out=pb.Reason(
                code=pb.REASON_CODE_FILTERED_UNAVAILABLE, subject="grok-4@openrouter", detail="It is unavailable."
            ),
        ),
    ],
    features=[
        pb.Feature(kind=pb.FEATURE_KIND_WORD, name="capital", weight=-0.5),
        pb.Feature(kind=pb.FEATURE_KIND_COUNTER, name="questions", weight=0.25),
    ],
)

Step = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]


def delta(text: str) -> rpc.StreamResponse:
    return rpc.StreamResponse(delta=rpc.StreamDelta(text=text, token_count=1))


def status_details(
    *,
    reason: str = "",
    field_path: str = "",
    description: str = "",
    request_id: str = REQUEST_ID,
    retry_after_s: float | None = None,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """What a server puts into `grpc-status-details-bin`."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=reason, domain="tierway", metadata=metadata or {}),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if field_path:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field_path, description=description)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    return status_pb2.Status(details=packed).SerializeToString()


def refuse(code: grpc.StatusCode, message: str = "refused", **details: Any) -> Step:
    """A step that fails the call with the details of `status_details`."""

    async def step(_: object, context: grpc.aio.ServicerContext) -> Any:
        trailers = (("grpc-status-details-bin", status_details(**details)),)
        await context.abort(code, message, trailing_metadata=trailers)

    return step


def queue_full(*, retry_after_s: float | None = 0.001) -> Step:
    return refuse(grpc.StatusCode.UNAVAILABLE, "queue full", reason="QUEUE_FULL", retry_after_s=retry_after_s)


def reply(response: Message) -> Step:
    async def step(_: object, __: object) -> Message:
        return response

    return step


@dataclass
class Hang:
    """A step that never ends by itself; says when it began to hang and when its call was over. Events are good across threads."""

    first: list[rpc.StreamResponse] = field(default_factory=list)
    """What a stream sends before it hangs."""

    began: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, _: object, __: object) -> Any:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


@dataclass(frozen=True)
class Call:
    method: str
    request: Any
    metadata: dict[str, str]
    time_remaining_s: float


class ScriptedRouter(router_service_pb2_grpc.RouterServiceServicer, admin_service_pb2_grpc.AdminServiceServicer):
    """Both services, on one port: what tests of clients need no second one for."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._scripts: defaultdict[str, deque[Any]] = defaultdict(deque)

    def script(self, method: str, *steps: Any) -> None:
        """What the next calls of the method do: a step each. For Stream a step may be a list of responses and steps."""
        self._scripts[method].extend(steps)

    def requests(self, method: str) -> list[Any]:
        return [call.request for call in self.calls if call.method == method]

    async def Route(self, request: Any, context: Any) -> Any:
        good = rpc.RouteResponse(decision=DECISION, constitution_hash=HASH, request_id=request.request_id or REQUEST_ID)
        return await self._step("Route", request, context, good)

    async def Explain(self, request: Any, context: Any) -> Any:
        return await self._step("Explain", request, context, EXPLANATION)

    async def RouteBatch(self, request: Any, context: Any) -> Any:
        results = [rpc.RouteResult(decision=DECISION, request_id=each.request_id) for each in request.requests]
        return await self._step(
            "RouteBatch", request, context, rpc.RouteBatchResponse(results=results, constitution_hash=HASH)
        )

    async def Execute(self, request: Any, context: Any) -> Any:
        return await self._step("Execute", request, context, ANSWER)

    async def ListModels(self, request: Any, context: Any) -> Any:
        models = [rpc.Model(name=f"m{request.page_token or 0}", tier=1)]
        pages = {"": "1", "1": "2", "2": ""}
        page = rpc.ListModelsResponse(models=models, next_page_token=pages[request.page_token])
        return await self._step("ListModels", request, context, page)

    async def GetStats(self, request: Any, context: Any) -> Any:
        return await self._step("GetStats", request, context, rpc.GetStatsResponse(in_flight=3, constitution_hash=HASH))

    async def ResetStats(self, request: Any, context: Any) -> Any:
        good = admin.ResetStatsResponse(count_start_time=Timestamp(seconds=1_700_000_000))
        return await self._step("ResetStats", request, context, good)

    async def SetBreaker(self, request: Any, context: Any) -> Any:
        is_open = request.setting == admin.BREAKER_SETTING_OPEN
        standing = rpc.DeploymentStats(
            deployment=request.deployment,
            breaker=rpc.BREAKER_STATE_OPEN if is_open else rpc.BREAKER_STATE_CLOSED,
            breaker_forced=request.setting != admin.BREAKER_SETTING_AUTOMATIC,
        )
        return await self._step("SetBreaker", request, context, admin.SetBreakerResponse(deployment=standing))

    async def Stream(self, request: Any, context: Any) -> AsyncIterator[Any]:
        good = [STARTED, delta("The capital of France"), delta(""), delta(" is Paris."), FINISHED]
        self._note("Stream", request, context)
        script = self._scripts["Stream"]
        step = script.popleft() if script else good
        parts = step if isinstance(step, list) else [step]
        try:
            for part in parts:
                if isinstance(part, rpc.StreamResponse):
                    yield part
                else:
                    for response in getattr(part, "first", ()):
                        yield response
                    await part(request, context)
        finally:
            # A caller that leaves early may end the stream before it comes to hang.
            for part in parts:
                if isinstance(part, Hang):
                    part.ended.set()

    async def _step(self, method: str, request: Any, context: Any, good: Message) -> Any:
        self._note(method, request, context)
        script = self._scripts[method]
        step = script.popleft() if script else reply(good)
        return await step(request, context)

    def _note(self, method: str, request: Any, context: grpc.aio.ServicerContext) -> None:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        self.calls.append(Call(method, request, metadata, context.time_remaining()))


@asynccontextmanager
async def serving(router: ScriptedRouter) -> AsyncIterator[str]:
    """The router's address, in the running loop."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    router_service_pb2_grpc.add_RouterServiceServicer_to_server(router, server)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(router, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@contextmanager
def serving_in_thread(router: ScriptedRouter) -> Iterator[str]:
    """The router's address, served by a thread of its own: for callers that block."""
    target = ""
    is_serving = threading.Event()
    loop_and_stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        nonlocal target
        async with serving(router) as target:
            stop = asyncio.Event()
            loop_and_stop.append((asyncio.get_running_loop(), stop))
            is_serving.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    is_serving.wait()
    try:
        yield target
    finally:
        loop, stop = loop_and_stop[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()

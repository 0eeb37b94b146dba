"""Bad input that reaches the wire: one clear, typed error each, that names the field and leaves nothing running."""

import math
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from tests.server.asking import IMAGE, execute, route, stream, turn, user
from tests.server.fleet import HASH, text_only
from tests.server.refusal import Refusal, refused
from tests.server.running import SERVICE, RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID = "INVALID_FIELD"
MANY = "x" * 129


def messages(*turns: pb.Message) -> rpc.ExecuteRequest:
    return rpc.ExecuteRequest(query=pb.Query(messages=turns))


def image(**fields: Any) -> rpc.ExecuteRequest:
    return messages(user("Look", pb.Part(image=pb.Image(**fields))))


def form(**fields: Any) -> rpc.ExecuteRequest:
    return rpc.ExecuteRequest(query=pb.Query(prompt="Hi", response_format=pb.ResponseFormat(**fields)))


def tools(*names: str, choice: pb.ToolChoice | None = None, **fields: Any) -> rpc.ExecuteRequest:
    offered = [pb.Tool(name=name, **fields) for name in names]
    return rpc.ExecuteRequest(query=pb.Query(prompt="Hi", tools=offered, tool_choice=choice))


def calls(*turns: pb.Message) -> rpc.ExecuteRequest:
    return messages(user("Hi"), *turns)


def called(*ids: str, name: str = "f", arguments: str = "{}", role: pb.Role = pb.ROLE_ASSISTANT) -> pb.Message:
    return pb.Message(role=role, tool_calls=[pb.ToolCall(id=id_, name=name, arguments=arguments) for id_ in ids])


def result(id_: str, *parts: str | pb.Part, role: pb.Role = pb.ROLE_TOOL) -> pb.Message:
    message = turn(role, *parts or ("7",))
    message.tool_call_id = id_
    return message


def schema(**fields: Any) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(fields)
    return struct


def sampling(**fields: Any) -> rpc.ExecuteRequest:
    return execute(sampling=pb.Sampling(**fields))


def budget(seconds: float) -> rpc.ExecuteRequest:
    request = execute()
    request.preferences.latency_budget.FromNanoseconds(round(seconds * 1e9))
    return request


# The field at fault, what is wrong with it, and a request that has it so.
INVALID_FIELDS: list[tuple[str, str, rpc.ExecuteRequest]] = [
    ("query", "absent", rpc.ExecuteRequest()),
    ("query", "empty", execute("")),
    ("query.prompt", "blank", execute(" \n\t")),
    ("query.prompt", "beside messages", rpc.ExecuteRequest(query=pb.Query(prompt="Hi", messages=[user("Hi")]))),
    ("query.prompt", "5 MiB", execute("x" * (5 << 20))),
    ("query.messages", "5 MiB", messages(user("x" * (5 << 20)))),
    ("query.messages", "too many", messages(*[user("Hi")] * 1_025)),
    ("query.messages[1].role", "the last one of the assistant", messages(user("Hi"), turn(pb.ROLE_ASSISTANT, "Ho"))),
    ("query.messages[0].role", "unspecified", messages(turn(pb.ROLE_UNSPECIFIED, "Hi"), user("Hi"))),
    ("query.messages[0].role", "unknown", messages(pb.Message(role=17, parts=[pb.Part(text="Hi")]), user("Hi"))),  # type: ignore[arg-type]
    ("query.messages[0].parts", "none", messages(user(), user("Hi"))),
    ("query.messages[0].parts", "blank", messages(user(" "))),
    ("query.messages[0].parts[1]", "of no kind", messages(user("Hi", pb.Part()))),
    ("query.messages[0].parts[0].image", "of the system", messages(turn(pb.ROLE_SYSTEM, IMAGE), user("Hi"))),
    ("query.messages[0].parts[1].image", "without source", image()),
    ("query.messages[0].parts[1].image.data", "empty", image(data=b"", mime_type="image/png")),
    ("query.messages[0].parts[1].image.mime_type", "absent", image(data=b"x")),
    ("query.messages[0].parts[1].image.mime_type", "unknown", image(data=b"x", mime_type="image/tiff")),
    (
        "query.messages[0].parts[1].image.mime_type",
        "beside uri",
        image(uri="https://a.example/b.png", mime_type="image/png"),
    ),
    ("query.messages[0].parts[1].image.uri", "not https", image(uri="file:///etc/passwd")),
    ("query.messages[0].tool_calls", "of the user", messages(called("c", role=pb.ROLE_USER))),
    ("query.messages[1].tool_calls[1].id", "twice", calls(called("c", "c"), result("c"))),
    ("query.messages[1].tool_calls[0].id", "empty", calls(called(""), user("Hi"))),
    ("query.messages[1].tool_calls[0].id", "too long", calls(called(MANY), result(MANY))),
    ("query.messages[1].tool_calls[0].name", "with a space", calls(called("c", name="a b"), result("c"))),
    ("query.messages[1].tool_calls[1]", "without a result", calls(called("c", "d"), result("c"))),
    ("query.messages[1].tool_calls[0]", "its result too late", calls(called("c"), user("Hi"), result("c"))),
    ("query.messages[1].role", "the last one calls", calls(called("c"))),
    ("query.messages[2].tool_call_id", "of no call", calls(called("c"), result("d"))),
    ("query.messages[3].tool_call_id", "answered before", calls(called("c"), result("c"), result("c"))),
    ("query.messages[1].tool_call_id", "before any call", calls(result("c"))),
    ("query.messages[0].tool_call_id", "of the user", messages(result("c", role=pb.ROLE_USER))),
    ("query.messages[2].tool_call_id", "absent", calls(called("c"), turn(pb.ROLE_TOOL, "7"))),
    ("query.messages[2].parts[0].image", "of a tool", calls(called("c"), result("c", IMAGE))),
    ("query.tools", "5 MiB", tools("f", description="x" * (5 << 20))),
    ("query.messages", "a call of 5 MiB", calls(called("c", arguments="x" * (5 << 20)), result("c"))),
    ("query.tools", "too many", tools(*(f"f{place}" for place in range(129)))),
    ("query.tools[0].name", "empty", tools("")),
    ("query.tools[0].name", "with a dot", tools("a.b")),
    ("query.tools[0].name", "too long", tools("f" * 65)),
    ("query.tools[2].name", "twice", tools("f", "g", "f")),
    ("query.tools[0].parameters", "no object's", tools("f", parameters=schema(type="string"))),
    ("query.tools[0].parameters", "not a number", tools("f", parameters=schema(minimum=math.nan))),
    ("query.tool_choice", "without tools", tools(choice=pb.ToolChoice(mode=pb.TOOL_MODE_AUTO))),
    ("query.tool_choice", "of no kind", tools("f", choice=pb.ToolChoice(parallel=True))),
    ("query.tool_choice.mode", "unspecified", tools("f", choice=pb.ToolChoice(mode=pb.TOOL_MODE_UNSPECIFIED))),
    ("query.tool_choice.name", "unknown", tools("f", choice=pb.ToolChoice(name="g"))),
    ("query.tool_choice.name", "empty", tools("f", choice=pb.ToolChoice(name=""))),
    ("query.response_format", "of no kind", form()),
    ("query.response_format.json_schema", "not a number", form(json_schema=schema(minimum=math.inf))),
    ("query.response_format.json_schema", "empty", form(json_schema=struct_pb2.Struct())),
    ("preferences.agent", "too long", execute(agent=MANY)),
    ("preferences.task_type", "unknown", execute(task_type="poetry")),
    ("preferences.min_tier", "0", execute(min_tier=0)),
    ("preferences.min_tier", "6", execute(min_tier=6)),
    ("preferences.max_tier", "-1", execute(max_tier=-1)),
    ("preferences.max_tier", "2^31 - 1", execute(max_tier=2**31 - 1)),
    ("preferences.min_tier", "above max_tier", execute(min_tier=3, max_tier=2)),
    *[
        ("preferences.max_cost_usd", f"{value}", execute(max_cost_usd=value))
        for value in (0.0, -1.0, math.nan, math.inf, 1e300)
    ],
    ("preferences.latency_budget", "0", budget(0)),
    ("preferences.latency_budget", "negative", budget(-0.5)),
    ("preferences.max_cache_age", "negative", execute(max_cache_age=Duration(nanos=-1))),
    ("preferences.priority", "unknown", execute(priority=17)),
    *[
        (f"preferences.{name}", f"{value}", execute(**{name: value}))
        for name in ("min_compliance", "cost_quality")
        for value in (-0.1, 1.1, math.nan, -math.inf)
    ],
    *[
        ("sampling.temperature", f"{value}", sampling(temperature=value))
        for value in (-0.1, 2.1, 1e300, math.nan, math.inf)
    ],
    *[("sampling.top_p", f"{value}", sampling(top_p=value)) for value in (0.0, -1.0, 1.1, math.nan, math.inf)],
    *[("sampling.top_k", f"{value}", sampling(top_k=value)) for value in (0, -1, 1_000_001)],
    *[("sampling.max_tokens", f"{value}", sampling(max_tokens=value)) for value in (0, -1)],
    ("sampling.seed", "negative", sampling(seed=-1)),
    *[("sampling.presence_penalty", f"{value}", sampling(presence_penalty=value)) for value in (-2.1, 2.1, math.nan)],
    *[
        ("sampling.frequency_penalty", f"{value}", sampling(frequency_penalty=value))
        for value in (-2.1, 2.1, -math.inf)
    ],
    *[("sampling.top_logprobs", f"{value}", sampling(top_logprobs=value)) for value in (-1, 21)],
    ("sampling.stop", "too many", sampling(stop=["x"] * 17)),
    ("sampling.stop[1]", "empty", sampling(stop=["x", ""])),
    ("sampling.stop[0]", "too long", sampling(stop=["x" * 257])),
    ("request_id", "with a space", execute(request_id="a b")),
    ("request_id", "too long", execute(request_id=MANY)),
    ("request_id", "not ASCII", execute(request_id="é")),
]

# Code, reason, field, request.
OTHERS: list[tuple[str, str, str, rpc.ExecuteRequest]] = [
    ("INVALID_ARGUMENT", "CONTEXT_TOO_LONG", "query", execute("word " * 20_000)),
    ("INVALID_ARGUMENT", "CONTEXT_TOO_LONG", "query", sampling(max_tokens=2**31 - 1)),
    ("NOT_FOUND", "MODEL_NOT_FOUND", "preferences.force_model", execute(force_model="gpt-0")),
    (
        "FAILED_PRECONDITION",
        "CONSTITUTION_MISMATCH",
        "preferences.expected_constitution_hash",
        execute(expected_constitution_hash="0" * 16),
    ),
    ("FAILED_PRECONDITION", "CLASSIFIER_OFF", "preferences.cost_quality", execute(cost_quality=0.0)),
    ("FAILED_PRECONDITION", "NO_CANDIDATE", "preferences.min_compliance", execute(min_compliance=1.0)),
    ("FAILED_PRECONDITION", "NO_CANDIDATE", "preferences.max_cost_usd", execute(max_cost_usd=1e-12)),
    ("FAILED_PRECONDITION", "NO_CANDIDATE", "preferences.latency_budget", budget(0.001)),
    ("FAILED_PRECONDITION", "PIN_UNSATISFIABLE", "preferences.max_tier", execute("Our constitution", max_tier=4)),
    ("FAILED_PRECONDITION", "PIN_UNSATISFIABLE", "preferences.max_tier", execute(force_model="premium", max_tier=3)),
]


def assert_complete(refusal: Refusal, reason: str, field: str) -> None:
    """Every refusal tells machines and people what and where."""
    assert (refusal.reason, refusal.field) == (reason, field)
    assert refusal.info.domain == "tierway"
    assert refusal.message
    request_info = refusal.detail(error_details_pb2.RequestInfo)
    assert request_info is not None
    assert request_info.request_id


async def assert_nothing_left(server: RunningServer) -> None:
    await server.until_idle()
    stats = await server.router.GetStats(rpc.GetStatsRequest())
    assert stats.in_flight == 0
    assert not any(engine.started for engine in server.launcher.engines.values())


@pytest.mark.parametrize(
    ("field", "request_"),
    [pytest.param(field, request, id=f"{field} {what}") for field, what, request in INVALID_FIELDS],
)
async def test_an_invalid_field_is_named(
    shared_server: RunningServer, field: str, request_: rpc.ExecuteRequest
) -> None:
    refusal = await refused(shared_server.router.Execute(request_))
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert_complete(refusal, INVALID, field)
    assert refusal.violated_fields == [field]
    await assert_nothing_left(shared_server)


@pytest.mark.parametrize(
    ("code", "reason", "field", "request_"),
    OTHERS,
    ids=[f"{reason} {field} {at}" for at, (_, reason, field, _) in enumerate(OTHERS)],
)
async def test_what_cannot_be_served_is_refused_by_its_kind(
    shared_server: RunningServer, code: str, reason: str, field: str, request_: rpc.ExecuteRequest
) -> None:
    refusal = await refused(shared_server.router.Execute(request_))
    assert refusal.code.name == code
    assert_complete(refusal, reason, field)
    if code == "INVALID_ARGUMENT":
        assert refusal.violated_fields == [field]
    if code == "FAILED_PRECONDITION":
        failure = refusal.detail(error_details_pb2.PreconditionFailure)
        assert failure is not None
        assert [(violation.type, violation.subject) for violation in failure.violations] == [(reason, field)]
    await assert_nothing_left(shared_server)


async def test_an_unknown_model_is_named_as_a_resource(shared_server: RunningServer) -> None:
    refusal = await refused(shared_server.router.Route(route(force_model="gpt-0")))
    resource = refusal.detail(error_details_pb2.ResourceInfo)
    assert resource is not None
    assert (resource.resource_type, resource.resource_name) == ("model", "gpt-0")


async def test_another_constitution_is_told_with_the_servers_own(shared_server: RunningServer) -> None:
    refusal = await refused(shared_server.router.Route(route(expected_constitution_hash="0" * 16)))
    assert refusal.info.metadata["constitution_hash"] == HASH


@pytest.mark.parametrize("method", ["Route", "Execute", "Stream"])
async def test_every_method_refuses_alike(shared_server: RunningServer, method: str) -> None:
    make: Callable[..., Any] = {"Route": route, "Execute": execute, "Stream": stream}[method]
    call = getattr(shared_server.router, method)(make(min_tier=9))
    refusal = await refused(call.read() if method == "Stream" else call)
    assert refusal.violated_fields == ["preferences.min_tier"]
    await assert_nothing_left(shared_server)


@pytest.mark.parametrize("method", ["Route", "Execute", "Stream"])
async def test_an_image_for_a_fleet_that_only_reads_is_a_pin_that_nothing_satisfies(method: str) -> None:
    query = pb.Query(messages=[user("What is this?", IMAGE)])
    kind: Any = getattr(rpc, f"{method}Request")
    async with serving(text_only()) as server:
        call = getattr(server.router, method)(kind(query=query))
        refusal = await refused(call.read() if method == "Stream" else call)
        assert (refusal.code.name, refusal.reason, refusal.field) == (
            "FAILED_PRECONDITION",
            "PIN_UNSATISFIABLE",
            "query.messages",
        )
        await assert_nothing_left(server)


@pytest.mark.parametrize("method", ["Route", "Explain", "RouteBatch", "Execute", "Stream", "ListModels", "GetStats"])
@pytest.mark.parametrize(
    "data", [b"\x0a\x04\x0a\x02\xff\xfe", b"\x0a\x05x", b"\x0f"], ids=["invalid UTF-8", "cut short", "wire type 7"]
)
async def test_bytes_that_are_no_message_are_refused_with_details(
    shared_server: RunningServer, method: str, data: bytes
) -> None:
    # For every message but the first three, these UTF-8 bytes are an unknown field, which is no fault.
    if data.startswith(b"\x0a\x04") and method not in ("Route", "Explain", "Execute", "Stream"):
        data = {
            "RouteBatch": b"\x0a\x06\x0a\x04\x0a\x02\xff\xfe",
            "ListModels": b"\x12\x02\xff\xfe",
            "GetStats": b"\x0f",
        }[method]
    path = f"/{SERVICE}/{method}"
    channel: Any = shared_server.channel
    call = channel.unary_stream(path)(data) if method == "Stream" else channel.unary_unary(path)(data)
    refusal = await refused(call.read() if method == "Stream" else call)
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", INVALID)
    assert refusal.info.metadata["type"] == f"tierway.v1.{method}Request"
    await assert_nothing_left(shared_server)


@pytest.mark.parametrize("method", ["Route", "Execute", "Stream"])
@pytest.mark.parametrize("key", ["x-request-id", "tierway-tenant", "tierway-priority"])
async def test_malformed_metadata_is_named(shared_server: RunningServer, method: str, key: str) -> None:
    make: Callable[..., Any] = {"Route": route, "Execute": execute, "Stream": stream}[method]
    call = getattr(shared_server.router, method)(make(), metadata=((key, "not a name"),))
    refusal = await refused(call.read() if method == "Stream" else call)
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", INVALID)
    assert refusal.violated_fields == [f"metadata.{key}"]
    await assert_nothing_left(shared_server)


async def test_beyond_the_receive_limit_the_transport_refuses(shared_server: RunningServer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared_server.router.Route(route("x" * (17 << 20)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

"""What a request needs of whoever answers: what it states, and nothing else."""

from typing import Any

import pytest

from tests.server.asking import IMAGE, TRIVIAL, execute, user
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_core import Feature
from tierway_server.rpc.decode import asked, judged

F = Feature
MANY_BYTES = 1 << 20


def query(*messages: pb.Message, **fields: Any) -> rpc.ExecuteRequest:
    return rpc.ExecuteRequest(query=pb.Query(messages=messages or [user(TRIVIAL)], **fields))


def sampling(**fields: Any) -> rpc.ExecuteRequest:
    return execute(sampling=pb.Sampling(**fields))


def tools(**choice: Any) -> rpc.ExecuteRequest:
    return query(tools=[pb.Tool(name="f")], tool_choice=pb.ToolChoice(**choice) if choice else None)


BY_ADDRESS = pb.Part(image=pb.Image(uri="https://a.example/b.png"))
CALLED = (
    user("Hi"),
    pb.Message(role=pb.ROLE_ASSISTANT, tool_calls=[pb.ToolCall(id="c", name="f")]),
    pb.Message(role=pb.ROLE_TOOL, tool_call_id="c", parts=[pb.Part(text="7")]),
)


NEEDED = (
    (execute(), F(0)),
    (sampling(max_tokens=7, stop=["a", "b", "c", "d"]), F(0)),
    (sampling(temperature=1.0), F.SAMPLING),
    (sampling(top_p=0.5), F.SAMPLING),
    (sampling(presence_penalty=0.0, frequency_penalty=0.0), F(0)),
    (sampling(temperature=1.01), F.HIGH_TEMPERATURE | F.SAMPLING),
    (sampling(stop=["a", "b", "c", "d", "e"]), F.MANY_STOPS),
    (sampling(top_k=1), F.TOP_K),
    (sampling(seed=0), F.SEED),
    (sampling(presence_penalty=0.1), F.PENALTIES),
    (sampling(frequency_penalty=-0.1), F.PENALTIES),
    (sampling(top_logprobs=0), F.LOGPROBS),
    (query(user("Look", IMAGE)), F.IMAGE_DATA),
    (query(user("Look", BY_ADDRESS)), F.IMAGE_URI),
    (query(user(IMAGE), user("Look", BY_ADDRESS)), F.IMAGE_DATA | F.IMAGE_URI),
    (query(response_format=pb.ResponseFormat(json_object=pb.JsonObject())), F.JSON_OBJECT),
    (query(response_format=pb.ResponseFormat(json_schema={"type": "object"})), F.JSON_SCHEMA),
    (tools(), F.TOOLS),
    (tools(mode=pb.TOOL_MODE_AUTO), F.TOOLS),
    (tools(mode=pb.TOOL_MODE_NONE), F.TOOLS),
    (tools(mode=pb.TOOL_MODE_REQUIRED), F.TOOLS | F.TOOL_CHOICE),
    (tools(name="f"), F.TOOLS | F.TOOL_CHOICE),
    (tools(mode=pb.TOOL_MODE_AUTO, parallel=True), F.TOOLS | F.PARALLEL_TOOLS),
    (query(*CALLED), F.TOOLS),
)


@pytest.mark.parametrize(("request_", "needs"), NEEDED, ids=[f"{at} {needs!r}" for at, (_, needs) in enumerate(NEEDED)])
def test_only_what_is_stated_is_needed(request_: rpc.ExecuteRequest, needs: Feature) -> None:
    assert asked(request_, 0, MANY_BYTES, "").core.needs == needs


def test_what_is_only_decided_needs_the_same() -> None:
    request = rpc.RouteRequest(query=pb.Query(prompt=TRIVIAL, tools=[pb.Tool(name="f")]))
    assert judged(request, 0, MANY_BYTES, "")[0].needs == F.TOOLS
    assert judged(rpc.RouteRequest(query=pb.Query(prompt=TRIVIAL)), 0, MANY_BYTES, "")[0].needs == F(0)

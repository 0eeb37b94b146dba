"""The bytes that older clients read: replies, events and a status, made by the server's own encoder."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from tests.contract.golden import assert_same_bytes
from tests.server.fleet import HASH, five_tiers
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as types
from tierway_core import Decision, Request, Router, State
from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, ToolCall, Usage
from tierway_server.config import build_table, parse
from tierway_server.errors import InvalidRequestError, NoDeploymentAvailableError, UnknownModelError
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Outcome, Started, Timings, Tried
from tierway_server.rpc import encode, status

TABLE = build_table(parse(five_tiers()))
DECISION_ID = "01990000-0000-7000-8000-000000000001"


def decision() -> Decision:
    """A real one: a critical agent's, so that it has a pin, candidates left out by tier, and a chain."""
    state = State(len(TABLE.deployments))
    for deployment in TABLE.deployments:
        state.set_available(deployment.index, True)
    return Router(TABLE, state).decide(Request("Is this größte code safe?", agent="security_agent"))


def events() -> dict[str, Event]:
    logprob = TokenLogprob("Ja", -0.25, (("Ja", -0.25), ("Nein", -1.5)))
    attempts = (Attempt("nano", "nano@nano", Outcome.FELL_BACK, "ENGINE_LOST"), Attempt("fast", "fast@fast"))
    return {
        "started": Started(decision()),
        "delta": Delta(Chunk("é", 1)),
        "delta_logprobs": Delta(Chunk("Ja", 1, (logprob,))),
        "delta_tool_calls": Delta(
            Chunk(
                "",
                9,
                finish_reason=FinishReason.TOOL_CALLS,
                tool_calls=(ToolCall("call-1", "weather", '{"at": "Köln"}'),),
            )
        ),
        "attempt": Tried(attempts[0]),
        "attempt_broke_off": Tried(
            Attempt("nano", "nano@nano", Outcome.BROKE_OFF, "ENGINE_LOST", text_characters=17, cost_picousd=4_500_000)
        ),
        "finished": Finished(
            Usage(300, 100, 5), 123_456_789, Timings(0.000005, 0.25, 1.5), FinishReason.LENGTH, attempts
        ),
        "finished_thoughtful": Finished(
            Usage(300, 100, 50, reasoning_tokens=40),
            123_456_789,
            Timings(0.000005, 0.25, 1.5, hold_s=0.125),
            FinishReason.TOOL_CALLS,
            attempts[1:],
            confidence=0.75,
        ),
        "finished_cached": Finished(
            Usage(0, 0, 0), 0, Timings(0.000005, 0.25, 1.5), FinishReason.STOP, attempts[1:], is_cached=True
        ),
    }


def assert_golden(name: str, message: Message) -> None:
    assert_same_bytes(name, message, message.SerializeToString(deterministic=True))


def test_route_response() -> None:
    encoded = encode.route_response(encode.DecisionEncoder(TABLE).encode(decision(), DECISION_ID), HASH, "r-1")
    assert_golden("route_response", rpc.RouteResponse.FromString(encoded))


def test_a_route_response_is_framed_as_protobuf_would() -> None:
    decided = encode.DecisionEncoder(TABLE).encode(decision(), DECISION_ID)
    for size in (0, 1, 127, 128, 16_383, 16_384, len(decided)):
        padded = types.Decision(model="m" * size).SerializeToString() if size != len(decided) else decided
        whole = rpc.RouteResponse(decision=types.Decision.FromString(padded), constitution_hash=HASH, request_id="r-1")
        assert rpc.RouteResponse.FromString(encode.route_response(padded, HASH, "r-1")) == whole


@pytest.mark.parametrize("name", events())
def test_stream_response(name: str) -> None:
    message = encode.event_message(
        encode.DecisionEncoder(TABLE), events()[name], decision_id=DECISION_ID, request_id="r-1", constitution_hash=HASH
    )
    assert_golden(f"stream_{name}", message)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("invalid_field", InvalidRequestError("must be 0 to 2", field="sampling.temperature")),
        ("unknown_model", UnknownModelError('no model is called "x"', metadata={"model": "x"})),
        ("unavailable", NoDeploymentAvailableError("no deployment that fits is available", retry_after_s=1.0)),
    ],
)
def test_status(name: str, error: InvalidRequestError | UnknownModelError | NoDeploymentAvailableError) -> None:
    message = status.status_of(error, "r-1")
    # As it goes into the trailer, not made anew.
    data = dict(status.trailing_metadata(error, "r-1"))["grpc-status-details-bin"]
    assert isinstance(data, bytes)
    assert_same_bytes(f"status_{name}", message, data)

"""The bytes that older clients read: replies, events and a status, made by the server's own encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest
from google.protobuf.message import Message

from tests.contract.golden import assert_same_bytes
from tests.server.fleet import HASH, five_tiers
from tierway.v1 import router_service_pb2 as rpc
from tierway_core import Complexity, Decision, ModelSpec, Reason, ReasonCode
from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, Usage
from tierway_server.config import build_table, parse
from tierway_server.errors import InvalidRequestError, NoDeploymentAvailableError, UnknownModelError
from tierway_server.flow.events import Attempt, Delta, Event, FellBack, Finished, Started, Timings
from tierway_server.rpc import encode, status

TABLE = build_table(parse(five_tiers()))
DECISION_ID = "01990000-0000-7000-8000-000000000001"


@dataclass(frozen=True, slots=True)
class FixedDecision:
    """A decision as the encoder reads it, whatever the core decides today and however it words it."""

    deployment: int = 3
    complexity: Complexity = Complexity.MODERATE
    estimated_cost_picousd: int = 272_000_000
    fallback_models: tuple[str, ...] = ("expert",)
    reasons: tuple[Reason, ...] = (
        Reason(ReasonCode.PIN_AGENT, "security_agent", "The critical agent security_agent is pinned."),
        Reason(ReasonCode.CHEAPEST, "premium@premium", "It is the cheapest größte."),
    )

    @property
    def model(self) -> ModelSpec:
        return TABLE.deployments[self.deployment].model


def decision() -> Decision:
    return cast("Decision", FixedDecision())


def events() -> dict[str, Event]:
    logprob = TokenLogprob("Ja", -0.25, (("Ja", -0.25), ("Nein", -1.5)))
    attempts = (Attempt("nano", "nano@nano", "ENGINE_LOST"), Attempt("fast", "fast@fast"))
    return {
        "started": Started(decision()),
        "delta": Delta(Chunk("é", 1)),
        "delta_logprobs": Delta(Chunk("Ja", 1, (logprob,))),
        "attempt": FellBack(attempts[0]),
        "finished": Finished(
            Usage(300, 100, 5), 123_456_789, Timings(0.000005, 0.25, 1.5), FinishReason.LENGTH, attempts
        ),
    }


def assert_golden(name: str, message: Message) -> None:
    assert_same_bytes(name, message, message.SerializeToString(deterministic=True))


def test_route_response() -> None:
    message = encode.decision_message(TABLE, decision(), DECISION_ID)
    assert_golden("route_response", rpc.RouteResponse(decision=message, constitution_hash=HASH, request_id="r-1"))


@pytest.mark.parametrize("name", events())
def test_stream_response(name: str) -> None:
    message = encode.event_message(
        TABLE, events()[name], decision_id=DECISION_ID, request_id="r-1", constitution_hash=HASH
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

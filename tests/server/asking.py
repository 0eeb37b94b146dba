"""Requests, and the reading of streamed answers, with no more words than a test needs."""

from __future__ import annotations

from typing import Any, TypeVar

import grpc

from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb

R = TypeVar("R", rpc.RouteRequest, rpc.ExplainRequest, rpc.ExecuteRequest, rpc.StreamRequest)

TRIVIAL = "Hello there"
SIMPLE = "Tell me in some detail how rivers find their way down to the sea"
MODERATE = "Write a function in Python"
COMPLEX = "Plan the migration step by step and write the code in Python"
IMAGE = pb.Part(image=pb.Image(data=b"\x89PNG", mime_type="image/png"))


def ask(
    kind: type[R],
    prompt: str = TRIVIAL,
    *,
    sampling: pb.Sampling | None = None,
    request_id: str = "",
    **preferences: Any,
) -> R:
    """A request of this kind for one prompt; what is left over are preferences."""
    return kind(
        query=pb.Query(prompt=prompt),
        preferences=pb.Preferences(**preferences),
        sampling=sampling,
        request_id=request_id,
    )


def route(prompt: str = TRIVIAL, **more: Any) -> rpc.RouteRequest:
    return ask(rpc.RouteRequest, prompt, **more)


def explain(prompt: str = TRIVIAL, **more: Any) -> rpc.ExplainRequest:
    return ask(rpc.ExplainRequest, prompt, **more)


def execute(prompt: str = TRIVIAL, **more: Any) -> rpc.ExecuteRequest:
    return ask(rpc.ExecuteRequest, prompt, **more)


def stream(prompt: str = TRIVIAL, **more: Any) -> rpc.StreamRequest:
    return ask(rpc.StreamRequest, prompt, **more)


def user(*parts: str | pb.Part) -> pb.Message:
    """A turn of the user."""
    return turn(pb.ROLE_USER, *parts)


def turn(role: pb.Role, *parts: str | pb.Part) -> pb.Message:
    """A turn of whoever speaks."""
    return pb.Message(role=role, parts=[pb.Part(text=part) if isinstance(part, str) else part for part in parts])


async def remaining(call: Any) -> list[rpc.StreamResponse]:
    """The events of a stream that have not been read yet. Unlike iterating, this may follow `read`."""
    events = []
    while (event := await call.read()) is not grpc.aio.EOF:
        events.append(event)
    return events


def text_of(events: list[rpc.StreamResponse]) -> str:
    """The answer that a stream's events make."""
    return "".join(event.delta.text for event in events)


def kinds_of(events: list[rpc.StreamResponse]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]

"""Tierway before other projects' servers, and what it answers from them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from google.protobuf import struct_pb2

from tests.peers.servers import MODEL
from tests.server.fleet import one_tier
from tests.server.running import RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2

CAPITAL = "What is the capital of France?"


@asynccontextmanager
async def tierway_before(*addresses: tuple[str, str]) -> AsyncIterator[RunningServer]:
    """A server whose models are at providers of these kinds and addresses; each falls back to the next one."""
    names = [f"{kind}-{place}" for place, (kind, _) in enumerate(addresses)]
    document: dict[str, Any] = {
        **one_tier(),
        "breaker": {"enabled": False},
        "providers": {
            name: {"kind": kind, "base_url": address, **_settings(kind)}
            for name, (kind, address) in zip(names, addresses, strict=True)
        },
        "models": [
            {
                "name": name,
                "tier": 1,
                "context_tokens": 2_048,
                "compliance": 0.9,
                # The cheapest is asked first.
                "price_usd_per_million_tokens": {"input": 1.0 + place, "output": 2.0 + place},
                "fallback": names[place + 1 : place + 2],
                "deployments": [{"provider": name, "model": MODEL}],
            }
            for place, name in enumerate(names)
        ],
    }
    async with serving(document, environ={"PEER_KEY": "key"}) as server:
        yield server


def _settings(kind: str) -> dict[str, Any]:
    """With a key nobody looks beforehand whether a server is there; vLLM's gRPC server takes none."""
    if kind == "vllm_grpc":
        return {}
    return {"api_key": "env:PEER_KEY"} | ({"api_version": "2024-10-21"} if kind == "azure" else {})


async def executed(server: RunningServer, prompt: str = CAPITAL, **asked: Any) -> rpc.ExecuteResponse:
    """A whole answer, as certain as the model is."""
    return await server.router.Execute(rpc.ExecuteRequest(**_asking(prompt, **asked)), timeout=60)


async def streamed(server: RunningServer, prompt: str = CAPITAL, **asked: Any) -> list[rpc.StreamResponse]:
    """The events of the same."""
    return await server.stream(rpc.StreamRequest(**_asking(prompt, **asked)), timeout=60)


def _asking(prompt: str, query: Mapping[str, Any] = MappingProxyType({}), **sampling: Any) -> dict[str, Any]:
    return {
        "query": types_pb2.Query(prompt=prompt, **query),
        "sampling": types_pb2.Sampling(**{"temperature": 0.0, "max_tokens": 24, **sampling}),
    }


def text_of(events: list[rpc.StreamResponse]) -> str:
    """What the deltas say."""
    return "".join(event.delta.text for event in events if event.HasField("delta"))


async def check_an_answer_is_its_stream(server: RunningServer) -> None:
    """What every engine has to do: answer with its account, and say the same streamed."""
    reply = await executed(server)
    events = await streamed(server)
    assert "Paris" in reply.text
    assert reply.usage.input_tokens > 8
    assert text_of(events) == reply.text
    assert events[-1].finished.usage.output_tokens == reply.usage.output_tokens > 0


async def check_tokens_are_as_likely_as_it_says(server: RunningServer) -> None:
    """What every engine of ours has to tell: how likely each token was, and its alternatives."""
    reply = await executed(server, max_tokens=6, top_logprobs=2)
    assert len(reply.logprobs) == 6
    assert "".join(each.token for each in reply.logprobs) == reply.text
    assert all(each.logprob <= 0 and len(each.top) == 2 for each in reply.logprobs)


async def check_it_is_held_to_a_schema(server: RunningServer) -> None:
    """An answer in JSON has the properties that are asked for, and no others."""
    schema = struct_pb2.Struct()
    schema.update(_SCHEMA)
    query = {"response_format": types_pb2.ResponseFormat(json_schema=schema)}
    reply = await executed(server, "Describe Paris as JSON.", query=query, max_tokens=64)
    assert set(json.loads(reply.text)) == set(_SCHEMA["required"])


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "is_large": {"type": "boolean"}},
    "required": ["city", "is_large"],
    "additionalProperties": False,
}

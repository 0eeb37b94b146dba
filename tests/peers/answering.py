"""Tierway before other projects' servers, and what it answers from them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.peers.servers import MODEL
from tests.server.running import RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2

CAPITAL = "What is the capital of France?"


@asynccontextmanager
async def tierway_before(*addresses: tuple[str, str]) -> AsyncIterator[RunningServer]:
    """A server whose models are at providers of these kinds and addresses; each falls back to the next one."""
    names = [f"{kind}-{place}" for place, (kind, _) in enumerate(addresses)]
    document: dict[str, Any] = {
        "server": {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0"},
        "routing": {
            "classifier": {"enabled": False},
            "floors": dict.fromkeys(("trivial", "simple", "moderate", "complex"), 1),
            "accurate_tier": 1,
            "governance": {"tier": 1},
        },
        "breaker": {"enabled": False},
        "providers": {
            name: {"kind": kind, "base_url": address, "api_key": "env:PEER_KEY"}
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


async def executed(server: RunningServer, prompt: str = CAPITAL, **sampling: Any) -> rpc.ExecuteResponse:
    """A whole answer, as certain as the model is."""
    sampling = {"temperature": 0.0, "max_tokens": 24, **sampling}
    request = rpc.ExecuteRequest(query=types_pb2.Query(prompt=prompt), sampling=types_pb2.Sampling(**sampling))
    return await server.router.Execute(request, timeout=60)


async def streamed(server: RunningServer, prompt: str = CAPITAL, **sampling: Any) -> list[rpc.StreamResponse]:
    """The events of the same."""
    sampling = {"temperature": 0.0, "max_tokens": 24, **sampling}
    request = rpc.StreamRequest(query=types_pb2.Query(prompt=prompt), sampling=types_pb2.Sampling(**sampling))
    return await server.stream(request, timeout=60)


def text_of(events: list[rpc.StreamResponse]) -> str:
    """What the deltas say."""
    return "".join(event.delta.text for event in events if event.HasField("delta"))

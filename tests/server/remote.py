"""Configurations whose models are elsewhere, and backends of them without a server around."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.server.fleet import Document, five_tiers
from tierway_server.backends.base import Backend, Chunk, Generation, Message, Role, Sampling
from tierway_server.backends.remote_models import RemoteBackend, RemoteModels
from tierway_server.config import Secrets, parse, unavailable_reason
from tierway_server.errors import TierwayError

KEY = "sk-hunter2-0123456789"
ENVIRON = {"UPSTREAM_KEY": KEY}


def remote_fleet(base_url: str, *, deployment: Mapping[str, Any] | None = None, **provider: Any) -> Document:
    """One model, at a provider that is called `upstream`; without coalescing, so that a test sees what comes when."""
    document = five_tiers()
    del document["engines"]
    document["providers"] = {
        "upstream": {
            "kind": "openai",
            "base_url": base_url,
            "api_key": "env:UPSTREAM_KEY",
            "coalesce_window_s": 0,
            **provider,
        }
    }
    document["models"] = [
        {
            "name": "nano",
            "tier": 1,
            "context_tokens": 8_192,
            "compliance": 0.9,
            "price_usd_per_million_tokens": {"input": 1.0, "cached_input": 0.5, "output": 2.0},
            "deployments": [{"provider": "upstream", "model": "scripted-1", **(deployment or {})}],
        }
    ]
    document["routing"] |= {"floors": dict.fromkeys(("trivial", "simple", "moderate", "complex"), 1)}
    document["routing"] |= {"accurate_tier": 1, "governance": {"tier": 1}, "task_types": {}}
    return document


@asynccontextmanager
async def remote_backend(document: Document) -> AsyncIterator[RemoteBackend]:
    """The backend of the only deployment of `document`."""
    config = parse(document)
    secrets = Secrets.of(config, ENVIRON)
    reasons = [unavailable_reason(config, deployment, ENVIRON, secrets) for _, deployment in config.deployments]
    models = RemoteModels(config, reasons, ENVIRON, secrets)
    try:
        yield models.by_deployment[0]
    finally:
        await models.aclose()


def asking(text: str = "Hello?", **changes: Any) -> Generation:
    """A generation for one question."""
    return Generation(
        **{
            "id": "g-1",
            "messages": (Message(Role.USER, text),),
            "sampling": Sampling(),
            "max_tokens": 64,
            **changes,
        }
    )


async def answer(backend: Backend, generation: Generation | None = None) -> list[Chunk]:
    """All chunks of an answer."""
    return [chunk async for chunk in backend.generate(generation or asking())]


def text_of(chunks: list[Chunk]) -> str:
    """What an answer says."""
    return "".join(chunk.text for chunk in chunks)


async def outcome(backend: Backend, generation: Generation | None = None) -> tuple[str, TierwayError | None]:
    """What an answer said, and how it failed, if it did."""
    said = ""
    try:
        async for chunk in backend.generate(generation or asking()):
            said += chunk.text
    except TierwayError as failure:
        return said, failure
    return said, None


async def failure_of(backend: Backend, generation: Generation | None = None) -> tuple[str, TierwayError]:
    """What an answer said before it failed, and how it did."""
    said, failure = await outcome(backend, generation)
    assert failure is not None, f"it did not fail, and said {said}"
    return said, failure

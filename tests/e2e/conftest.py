"""Real servers with real engines. Starting one costs 20 s and more: tests share them and leave them as they found them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.e2e.serving import START_S, Server
from tierway_bench import tiny_model
from tierway_client import AsyncClient

# Two engines of random weights. `one` runs a request at a time and prefills 16 tokens a step, so that a test can find it queueing, or in
# the middle of a prompt; `many` is the dearer one, in a higher tier.
_ONE = {"max_num_seqs": 1, "max_num_batched_tokens": 16, "queue_size": 8}
_MANY = {"max_num_seqs": 32, "max_num_batched_tokens": 512, "queue_size": 64}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Twice the time that the start of a server may take, and some to be used: a test may bring its server, and start an engine anew."""
    item.add_marker(pytest.mark.timeout(2 * START_S + 60))


def two_tiers(folder: Path, **server: object) -> dict[str, object]:
    """A configuration of two tiny engines in different tiers."""
    engine = {
        "model": str(folder),
        "dtype": "bfloat16",
        "context_tokens": 8192,
        "kv_cache_gib": 0.25,
        "enforce_eager": True,
        "restart": {"initial_backoff_s": 0.1, "max_backoff_s": 1.0},
    }
    return {
        "server": {"drain_grace_s": 2, **server},
        "routing": {
            # These tests are about who answers what was decided: the class rules decide predictably.
            "classifier": {"enabled": False},
            "floors": {"trivial": 1, "simple": 2, "moderate": 2, "complex": 2},
            "accurate_tier": 2,
            "critical_agents": ["builder_agent"],
            "governance": {"tier": 2},
        },
        "engines": {"one": {**engine, **_ONE}, "many": {**engine, **_MANY}},
        "models": [
            {
                "name": "cheap",
                "tier": 1,
                "context_tokens": 8192,
                "compliance": 0.8,
                "price_usd_per_million_tokens": {"input": 0.1, "cached_input": 0.01, "output": 0.2},
                "fallback": ["dear"],
                "deployments": [{"engine": "one"}],
            },
            {
                "name": "dear",
                "tier": 2,
                "context_tokens": 8192,
                "compliance": 0.9,
                "price_usd_per_million_tokens": {"input": 10, "output": 20},
                "deployments": [{"engine": "many"}],
            },
        ],
    }


def one_tier(folder: Path, engine: Mapping[str, object] = MappingProxyType({}), **server: object) -> dict[str, Any]:
    """The dearer of the two engines alone, changed by `engine`."""
    document: dict[str, Any] = two_tiers(folder, **server)
    return document | {
        "engines": {"many": {**document["engines"]["many"], **engine}},
        "models": document["models"][1:],
    }


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of the tiny engines."""
    return tiny_model.make(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def server(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that tests share."""
    folder = tmp_path_factory.mktemp("server")
    config = folder / "tierway.yaml"
    config.write_text(yaml.safe_dump(two_tiers(tiny_folder)))
    server = Server.start(config, folder / "log")
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncClient]:
    """A client of the shared server."""
    async with AsyncClient(server.target, max_attempts=1, timeout_s=60) as client:
        yield client

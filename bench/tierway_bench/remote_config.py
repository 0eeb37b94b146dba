"""Configurations of Tierway before mock providers: no engine, no learned classifier, one tier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tierway_bench.mock_provider import MODEL


def write(
    path: Path,
    ports: Mapping[str, int],
    chain: Sequence[str],
    *,
    kind: str = "openai",
    sections: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write a configuration, and return where.

    Args:
        path: the file.
        ports: provider -> where it listens, on 127.0.0.1.
        kind: of all providers. Of `openai` nothing is known but that it is compatible: what is measured is what everybody gets.
        chain: names of providers: one model each, the first is chosen, each next one is the fallback of the one before.
        sections: more of the configuration.

    """
    models = [
        {
            "name": name,
            "tier": 1,
            "context_tokens": 8192,
            "compliance": 0.9,
            # The cheapest is chosen: the first of the chain.
            "price_usd_per_million_tokens": {"input": 0.25 * (1 + place), "output": 0.5 * (1 + place)},
            "fallback": list(chain[place + 1 : place + 2]),
            "deployments": [{"provider": name, "model": MODEL}],
        }
        for place, name in enumerate(chain)
    ]
    # With a key nobody looks beforehand whether a server is there: only requests find out.
    key = path.with_suffix(".key")
    key.write_text("none")
    document = {
        "routing": {
            "classifier": {"enabled": False},
            "floors": {"trivial": 1, "simple": 1, "moderate": 1, "complex": 1},
            "accurate_tier": 1,
            "governance": {"tier": 1},
        },
        "providers": {
            name: {
                "kind": kind,
                "api_key": f"file:{key}",
                "base_url": f"http://127.0.0.1:{port}/v1",
                "max_in_flight": 256,
                "max_connections": 256,
            }
            for name, port in ports.items()
        },
        "models": models,
        **sections,
    }
    path.write_text(yaml.safe_dump(document))
    return path

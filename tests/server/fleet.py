"""Configurations to serve in tests: small fleets of scripted engines."""

from __future__ import annotations

import copy
from typing import Any

Document = dict[str, Any]

HASH = "cdd01ef066bc6cf2"

# Prices in USD for a million tokens: input, cached input, output.
_MODELS: dict[str, dict[str, Any]] = {
    "nano": {"tier": 1, "compliance": 0.82, "price": (0.05, 0.01, 0.1), "fallback": ["fast"]},
    "fast": {"tier": 2, "compliance": 0.86, "price": (0.2, 0.2, 0.3), "fallback": ["balanced"]},
    "balanced": {"tier": 3, "compliance": 0.89, "price": (0.8, 0.8, 1.2), "fallback": ["premium"]},
    "premium": {"tier": 4, "compliance": 0.91, "price": (2.0, 1.0, 4.0), "fallback": ["expert"]},
    "expert": {"tier": 5, "compliance": 0.95, "price": (15.0, 5.0, 20.0), "fallback": []},
}
_CONTEXT_TOKENS = {"nano": 1_024, "fast": 4_096}
_CAPABILITIES = {
    "nano": {"logprobs": False, "response_format": False},
    "premium": {"vision": True},
    "expert": {"vision": True},
}
CAPACITY = 3
"""Generations that each engine holds: two that run, one that waits."""


def engine(**changes: Any) -> Document:
    """The section of one engine."""
    return {
        "model": "embedded",
        "context_tokens": 8_192,
        "max_num_seqs": 2,
        "max_num_batched_tokens": 64,
        "queue_size": CAPACITY - 2,
        "restart": {"initial_backoff_s": 0.01, "max_backoff_s": 0.01},
        **changes,
    }


def one_tier() -> Document:
    """Where a server listens, and how it routes, whose models are all of the first tier."""
    return {
        "server": {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0"},
        "routing": {
            "classifier": {"enabled": False},
            "floors": dict.fromkeys(("trivial", "simple", "moderate", "complex"), 1),
            "accurate_tier": 1,
            "governance": {"tier": 1},
        },
    }


def five_tiers(**server: Any) -> Document:
    """One model and one engine of the same name in each tier; each tier falls back to the next one up. The class rules decide."""
    return {
        "server": {
            "listen": "127.0.0.1:0",
            "admin_listen": "127.0.0.1:0",
            "http_listen": "127.0.0.1:0",
            "drain_grace_s": 20.0,
            **server,
        },
        "routing": {"classifier": {"enabled": False}, "task_types": {"contracts": 3}, "default_max_tokens": 128},
        "engines": {name: engine() for name in _MODELS},
        "models": [_model(name) for name in _MODELS],
    }


def learned(document: Document | None = None, **classifier: Any) -> Document:
    """The same (default: five tiers) with the learned classifier deciding, by the shipped weights."""
    document = copy.deepcopy(document or five_tiers())
    document["routing"]["classifier"] = classifier
    return document


def text_only(**server: Any) -> Document:
    """The lower three tiers: nobody can see."""
    return only(five_tiers(**server), "nano", "fast", "balanced")


def only(document: Document, *names: str) -> Document:
    """The same without the other models."""
    document = copy.deepcopy(document)
    document["engines"] = {name: document["engines"][name] for name in names}
    document["models"] = [model for model in document["models"] if model["name"] in names]
    for model in document["models"]:
        model["fallback"] = [name for name in model["fallback"] if name in names]
    return document


def _model(name: str) -> Document:
    facts = _MODELS[name]
    prices = zip(("input", "cached_input", "output"), facts["price"], strict=True)
    return {
        "name": name,
        "tier": facts["tier"],
        "context_tokens": _CONTEXT_TOKENS.get(name, 8_192),
        "compliance": facts["compliance"],
        "price_usd_per_million_tokens": dict(prices),
        "fallback": facts["fallback"],
        "deployments": [{"engine": name}],
        **_CAPABILITIES.get(name, {}),
    }

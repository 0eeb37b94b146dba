"""What the configuration knows of each kind of provider: where it is, and what it cannot do.

From the vendors' references (November 2026). A deployment that is different says so: `can`, `lacks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

KindName = Literal["openai", "azure", "groq", "openrouter", "gemini", "xai", "ollama", "llamacpp", "vllm"]

BASE_URLS: Mapping[str, str] = MappingProxyType(
    {
        "openai": "https://api.openai.com/v1",
        "groq": "https://api.groq.com/openai/v1",
        "openrouter": "https://openrouter.ai/api/v1",
        "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
        "xai": "https://api.x.ai/v1",
        "ollama": "http://127.0.0.1:11434/v1",
        "llamacpp": "http://127.0.0.1:8080/v1",
        "vllm": "http://127.0.0.1:8000/v1",
    }
)
"""Where the API of each kind is by default; Azure's is everybody's own."""

NEEDS_KEY = frozenset({"openai", "azure", "groq", "openrouter", "gemini", "xai"})
"""Kinds that let nobody in without a key."""

FeatureName = Literal[
    "tools",
    "tool_choice",
    "parallel_tools",
    "image_data",
    "image_uri",
    "json_object",
    "json_schema",
    "logprobs",
    "top_k",
    "seed",
    "penalties",
    "many_stops",
    "high_temperature",
    "prefill",
]
"""What a deployment can lack: what requests may need, by the names of the core's `Feature`, and `PREFILL`."""

PREFILL: FeatureName = "prefill"
"""That an answer can be begun for the model: it goes on after the last character of the assistant's turn that ends the conversation. No
request needs it; who lacks it is asked in words to go on."""

_AS_OPENAI: frozenset[FeatureName] = frozenset({"top_k", "many_stops", PREFILL})

LACKS: Mapping[str, frozenset[FeatureName]] = MappingProxyType(
    {
        "openai": _AS_OPENAI,
        "azure": _AS_OPENAI,
        "groq": _AS_OPENAI | {"logprobs", "penalties"},
        "openrouter": frozenset({"many_stops", PREFILL}),
        "gemini": _AS_OPENAI | {"logprobs", "seed", "penalties", "parallel_tools", "image_uri"},
        "xai": _AS_OPENAI | {"penalties"},
        "ollama": frozenset({"top_k", "tool_choice", "parallel_tools", "image_uri", PREFILL}),
        "llamacpp": frozenset({"image_uri"}),
        "vllm": frozenset({"image_uri"}),
    }
)
"""What each kind cannot do, by all that is known of it."""

"""Engine settings to compare: read from `key=value,key=value`, written as Tierway's configuration and as vLLM's own arguments."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import yaml

ENGINE: dict[str, Any] = {
    "dtype": "bfloat16",
    "context_tokens": 4096,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 512,
    "kv_cache_gib": 1,
    "enforce_eager": True,
}
"""What holds unless a variant says otherwise: the embedded engine's settings."""

# In front of the engine only: the raw engine has no such thing, or stays at vLLM's default.
_TIERWAY_ONLY = ("coalesce_window_s", "stream_interval_tokens")


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings of one engine."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Variant:
        """The variant that `text` describes; an empty one is the default.

        Raises:
            ValueError: it is not `key=value,key=value`.

        """
        settings = {}
        for pair in filter(None, text.split(",")):
            key, equals, value = pair.partition("=")
            if not equals:
                raise ValueError(f"{pair!r} is not key=value")
            settings[key] = yaml.safe_load(value)
        return cls(text or "default", settings)

    def tierway_config(self, folder: str) -> str:
        """A configuration of Tierway in which one model serves everything."""
        price = {"input": 0.05, "output": 0.05}
        model = {
            "name": "bench",
            "tier": 1,
            "context_tokens": 4096,
            "compliance": 0.82,
            "price_usd_per_million_tokens": price,
        }
        document = {
            "routing": {
                "floors": {"trivial": 1, "simple": 1, "moderate": 1, "complex": 1},
                "accurate_tier": 1,
                "governance": {"tier": 1},
            },
            "engines": {"bench": {"model": folder, **ENGINE, **self.settings}},
            "models": [{**model, "deployments": [{"engine": "bench"}]}],
        }
        return yaml.safe_dump(document)

    def vllm_arguments(self) -> dict[str, Any]:
        """The same for vLLM's AsyncEngineArgs."""
        stated = {**ENGINE, **{key: value for key, value in self.settings.items() if key not in _TIERWAY_ONLY}}
        stated.pop("threads_bind", None)
        return {
            "max_model_len": stated.pop("context_tokens"),
            "kv_cache_memory_bytes": int(stated.pop("kv_cache_gib") * 2**30),
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            **stated,
        }

    def vllm_environment(self) -> dict[str, str]:
        """The same for vLLM's environment."""
        bind = self.settings.get("threads_bind") or "auto"
        if bind == "all":
            bind = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        return {
            "HF_HUB_OFFLINE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": bind,
            "VLLM_LOGGING_LEVEL": "ERROR",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        }

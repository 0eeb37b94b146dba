"""A configuration that is whole and small, to break in one place at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tierway_server.config import Config, ConfigError, load, parse

Document = dict[str, Any]

SMALL: Document = {
    "engines": {"tiny": {"model": "/weights/tiny", "context_tokens": 2048}},
    "providers": {
        "groq": {"kind": "openai", "base_url": "https://api.groq.com/openai/v1", "api_key": "env:GROQ_API_KEY"}
    },
    "models": [
        {
            "name": "small",
            "tier": 1,
            "context_tokens": 4096,
            "compliance": 0.82,
            "price_usd_per_million_tokens": {"input": 0.05, "output": 0.1},
            "fallback": ["large"],
            "deployments": [{"engine": "tiny"}],
        },
        {
            "name": "large",
            "tier": 3,
            "context_tokens": 32768,
            "compliance": 0.9,
            "price_usd_per_million_tokens": {"input": 0.8, "cached_input": 0.4, "output": 1.2},
            "deployments": [{"provider": "groq", "model": "vendor/large"}],
        },
    ],
}


@pytest.fixture
def small() -> Document:
    """A document of two models, one on an engine and one on a provider, to be changed at will."""
    return copy.deepcopy(SMALL)


@pytest.fixture
def problems() -> Callable[[Document], list[str]]:
    """What `parse` says of a document, one line each."""

    def of(document: Document) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            parse(document)
        return [str(problem) for problem in caught.value.problems]

    return of


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file beside the others of the test."""

    def to(text: str | bytes, name: str = "tierway.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to


@pytest.fixture
def file_problems(tmp_path: Path) -> Callable[[Path], list[str]]:
    """What `load` says of a file, one line each, with the folder of the test left out."""

    def of(path: Path) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(path, environ={})
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return of


@pytest.fixture
def load_small(write: Callable[..., Path]) -> Callable[..., Config]:
    """Loads the small configuration with something on top of it."""

    def under(
        text: str = "",
        *,
        overrides: Mapping[str, str] = MappingProxyType({}),
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> Config:
        write(yaml.safe_dump(SMALL), "small.yaml")
        return load(write(f"include: [small.yaml]\n{text}"), overrides=overrides, environ=environ)

    return under

"""The section `providers`: remote services that run models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tierway_server.config.provider_kinds import BASE_URLS, NEEDS_KEY, FeatureName, KindName
from tierway_server.config.references import check_secret, check_variables
from tierway_server.config.section import Items, Score, Seconds, Section

_NO_BASE_URL = 'must be an "http:" or "https:" address'
_NO_GRPC_URL = 'must be a "grpc:" or "grpcs:" address'

# Names of header fields that carry credentials or belong to the connection.
_NOT_HEADERS = frozenset(
    {
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "proxy-authorization",
        "host",
        "content-length",
    }
    | {"content-type", "transfer-encoding", "connection", "accept-encoding"}
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")

_OURS = frozenset({"model", "messages", "stream", "n"})
"""Parameters of a request that are not the configuration's to state."""


class ProviderConfig(Section):
    """A remote service that runs models."""

    kind: KindName
    """The API that it speaks: `openai` for anything compatible with OpenAI's that has no kind of its own."""

    base_url: str | None = None
    """Where the API begins, `http:` or `https:`, with its version: `https://api.groq.com/openai/v1`. For `azure` the resource:
    `https://NAME.openai.azure.com`. For `vllm_grpc` `grpc://HOST:PORT`, or `grpcs:` over TLS. Default: the kind's own; `ollama`,
    `llamacpp`, `vllm` and `vllm_grpc` are looked for on this machine."""

    api_key: str | None = None
    """Where the key is: `env:NAME`, `file:PATH` or `vault:PATH#KEY`, never the key itself. Default: the service asks for none."""

    api_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,64}$")] | None = None
    """For `azure`, and required there: the version of its API, such as `2024-10-21`."""

    tokenizer: str | None = None
    """For `vllm_grpc`: folder with the model's `tokenizer.json` and chat template. Default: the server is asked for them."""

    availability: Score = 0.99
    """Expected share of the time that it answers, 0 to 1: what `tierway config report` computes with."""

    connect_timeout_s: Seconds = 5.0
    """Longest time, in seconds, to connect, and to wait for a connection of the pool."""

    idle_timeout_s: Seconds = 60.0
    """Longest silence, in seconds, between two bytes of an answer, and before the first one."""

    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Most answers at once from each of its deployments, over all processes of the server; whoever comes then waits (`queue`)."""

    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 128
    """Most connections to it at once, from each process of the server. Over HTTP/1.1 each answer under way has one."""

    http2: bool = True
    """Whether to speak HTTP/2 where the service offers it. Without TLS nothing is offered."""

    headers: Mapping[str, str] = {}
    """Header fields sent with each request, such as OpenRouter's `X-Title`; nothing secret."""

    coalesce_window_s: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Longest wait, in seconds, for further tokens before a delta is sent; the first goes out at once; 0 sends each alone."""

    lacks: Items[FeatureName] = ()
    """What it cannot do beyond what its kind cannot: requests that need it go elsewhere."""

    can: Items[FeatureName] = ()
    """What it can do although its kind cannot."""

    @property
    def address(self) -> str:
        """Where the API begins, stated or not."""
        return self.base_url or BASE_URLS[self.kind]

    @property
    def needs_key(self) -> bool:
        """Whether nothing can be had there without a key. What stands at an address of one's own may ask for none."""
        return self.base_url is None and self.kind in NEEDS_KEY

    @field_validator("base_url")
    @classmethod
    def _is_base_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        is_grpc = info.data.get("kind") == "vllm_grpc"
        complaint, schemes = (_NO_GRPC_URL, ("grpc", "grpcs")) if is_grpc else (_NO_BASE_URL, ("http", "https"))
        # The text is not told: it may hold a password.
        try:
            url = urlsplit(value)
            is_whole = url.scheme in schemes and bool(url.hostname) and url.port != 0
        except ValueError:
            raise ValueError(complaint) from None
        if not is_whole or any(character.isspace() for character in value):
            raise ValueError(complaint)
        if "@" in url.netloc or url.query or url.fragment:
            raise ValueError("must have no user, query or fragment")
        if is_grpc and (url.port is None or url.path.strip("/")):
            raise ValueError("must be a host and a port")
        return value

    @field_validator("api_key")
    @classmethod
    def _is_reference(cls, value: str | None) -> str | None:
        return None if value is None else check_secret(value)

    @field_validator("tokenizer")
    @classmethod
    def _is_path(cls, value: str | None) -> str | None:
        return None if value is None else check_variables(value)

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in value.items():
            if name.lower() in _NOT_HEADERS:
                raise ValueError(f'must not state "{name}"')
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
                raise ValueError("must be names and values of HTTP header fields, in ASCII")
        return value

    @field_validator("can")
    @classmethod
    def _contradict_nothing(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return check_features(value, info)

    @model_validator(mode="after")
    def _is_whole(self) -> ProviderConfig:
        if self.kind == "azure" and (self.base_url is None or self.api_version is None):
            raise ValueError('of kind "azure" must state "base_url" and "api_version"')
        if self.kind != "azure" and self.api_version is not None:
            raise ValueError('must have no "api_version": only kind "azure" has one')
        if self.kind != "vllm_grpc" and self.tokenizer is not None:
            raise ValueError('must have no "tokenizer": only kind "vllm_grpc" needs one')
        return self


def check_features(can: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Return `can` if `lacks` beside it names none of the same; raise ValueError otherwise."""
    if both := set(can) & set(info.data.get("lacks", ())):
        raise ValueError(f'must not name "{min(both)}", which "lacks" names too')
    return can


def check_parameters(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `parameters` if they are the configuration's to state; raise ValueError otherwise."""
    if ours := _OURS & set(parameters):
        raise ValueError(f'must not state "{min(ours)}"')
    return parameters

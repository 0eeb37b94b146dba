"""The remote deployments of a configuration: a backend for each, a pool of connections for each provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from tierway_server.backends.anthropic_api import AnthropicBackend
from tierway_server.backends.anthropic_endpoint import messages
from tierway_server.backends.base import Availability, Backend
from tierway_server.backends.endpoint import Endpoint
from tierway_server.backends.gemini_api import GeminiBackend, stream_generate_content
from tierway_server.backends.http_backend import RemoteModel
from tierway_server.backends.http_pool import HttpPool, PoolLimits, http_pool
from tierway_server.backends.openai_api import OpenAIBackend
from tierway_server.backends.openai_dialects import DIALECTS, dialect_of
from tierway_server.backends.openai_endpoint import chat_completions
from tierway_server.backends.presence import NOT_ASKED, watch_server
from tierway_server.config import Config, DeploymentConfig, ModelConfig, ProviderConfig, Secrets, expand_path


class RemoteBackend(Backend, Protocol):
    """A backend that is made ready, and told of its availability, from outside."""

    def prepare(self) -> None:
        """Do what would hold the first answer up. Blocks; may be called in a thread, and again."""

    def become(self, availability: Availability) -> None:
        """Tell the watchers, if it is news."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as this process has it."""

    name: str
    config: ProviderConfig
    key: str | None = field(repr=False)
    """Lets one in; None where nothing is asked for."""
    pool: HttpPool
    """Its connections."""
    held: Callable[[float], None]
    """To be told for how many seconds one of its rate limits has nothing left."""
    tokenizer: Path | None
    """Folder with the tokenizer of its model, where it needs one and is not to be asked for it."""


Construct = Callable[[Provider, ModelConfig, DeploymentConfig], RemoteBackend]
"""Makes the backend of a deployment."""


def _openai(provider: Provider, model: ModelConfig, deployment: DeploymentConfig) -> RemoteBackend:
    config = provider.config
    name = deployment.model
    assert name is not None
    dialect = dialect_of(config.kind, is_own_address=config.base_url is not None)

    def endpoint() -> Endpoint:  # no partial, whose repr would tell the key
        return chat_completions(
            config.address, provider.key, dict(config.headers), model=name, api_version=config.api_version
        )

    return OpenAIBackend(remote_model(provider, model, deployment), dialect, endpoint, provider.pool, provider.held)


def _anthropic(provider: Provider, model: ModelConfig, deployment: DeploymentConfig) -> RemoteBackend:
    config = provider.config

    def endpoint(version: str | None) -> Endpoint:
        return messages(config.address, provider.key, dict(config.headers), version)

    return AnthropicBackend(remote_model(provider, model, deployment), endpoint, provider.pool, provider.held)


def _google(provider: Provider, model: ModelConfig, deployment: DeploymentConfig) -> RemoteBackend:
    config = provider.config
    endpoint = stream_generate_content(config.address, provider.key, dict(config.headers), model=deployment.model or "")
    return GeminiBackend(remote_model(provider, model, deployment), endpoint, provider.pool, provider.held)


def _vllm_grpc(provider: Provider, model: ModelConfig, deployment: DeploymentConfig) -> RemoteBackend:
    # Here, not at the top: the stubs are an extra.
    from tierway_server.backends.vllm_grpc import VllmGrpcBackend, VllmServer

    config = provider.config
    scheme, _, target = config.address.partition("://")
    server = VllmServer(
        provider=provider.name,
        target=target.rstrip("/"),
        is_secure=scheme == "grpcs",
        key=provider.key,
        capacity=config.max_in_flight,
        context_tokens=deployment.context_tokens or model.context_tokens,
        connect_timeout_s=config.connect_timeout_s,
        idle_timeout_s=config.idle_timeout_s,
        coalesce_window_s=config.coalesce_window_s,
        tokenizer=provider.tokenizer,
    )
    return VllmGrpcBackend(server)


CONSTRUCT: Mapping[str, Construct] = MappingProxyType(
    {**dict.fromkeys(DIALECTS, _openai), "anthropic": _anthropic, "google": _google, "vllm_grpc": _vllm_grpc}
)
"""What makes the deployments of which kind of provider."""

OWN_WATCH = "vllm_grpc"
"""The kind whose backends watch their own connections, with or without a key."""


def remote_model(provider: Provider, model: ModelConfig, deployment: DeploymentConfig) -> RemoteModel:
    """What a deployment is, by the configuration."""
    config = provider.config
    assert deployment.model is not None
    return RemoteModel(
        provider=provider.name,
        model=deployment.model,
        context_tokens=deployment.context_tokens or model.context_tokens,
        capacity=config.max_in_flight,
        lacks=deployment.lacked_at(config),
        parameters=deployment.parameters,
        coalesce_window_s=config.coalesce_window_s,
    )


class RemoteModels:
    """All that answers from elsewhere. Lives on the event loop."""

    def __init__(
        self,
        config: Config,
        unavailable: Sequence[str],
        environ: Mapping[str, str],
        secrets: Secrets,
        held: Callable[[str, float], None] = lambda _provider, _seconds: None,
        *,
        answers: bool = True,
    ) -> None:
        """Construct the backends; nothing is connected.

        Args:
            config: the whole configuration.
            unavailable: for each deployment why it cannot answer; empty when nothing static stands in its way.
            environ: the environment.
            secrets: resolves credentials.
            held: told of a provider by its name that a rate limit has nothing left, and for how many seconds.
            answers: whether this process asks for answers; a supervisor only wants to know who is there.

        Raises:
            ReferenceUnresolvedError: a credential is gone that was there when `unavailable` was told.

        """
        self._answers = answers
        self._unasked: set[str] = set()
        self._providers: dict[str, Provider] = {}
        self._serving: dict[str, list[RemoteBackend]] = {}
        self.by_deployment: dict[int, RemoteBackend] = {}
        """What serves which deployment, by index."""
        for index, ((model, deployment), reason) in enumerate(zip(config.deployments, unavailable, strict=True)):
            if deployment.provider is None or reason:
                continue
            if (provider := self._providers.get(deployment.provider)) is None:
                name = deployment.provider
                provider = self._providers[name] = _provider(
                    name, config.providers[name], environ, secrets, partial(held, name)
                )
            backend = CONSTRUCT[provider.config.kind](provider, model, deployment)
            if provider.key is None:
                backend.become(NOT_ASKED)  # and prepared when it is there
                self._unasked.add(provider.name)
            elif answers:
                backend.prepare()
            if provider.config.kind == OWN_WATCH:
                self._unasked.add(provider.name)
                backend.watch(partial(self._heard, provider.name))
            self._serving.setdefault(provider.name, []).append(backend)
            self.by_deployment[index] = backend

    @property
    def have_settled(self) -> bool:
        """Whether it is known of every server if it is there."""
        return not self._unasked

    async def run(self) -> None:
        """Keep what is to be kept, and watch the servers that ask for no credential, until cancelled; then close all connections."""
        try:
            async with asyncio.TaskGroup() as group:
                for backend in self.by_deployment.values():
                    group.create_task(backend.run())
                for provider in self._providers.values():
                    if provider.key is None and provider.config.kind != OWN_WATCH:
                        group.create_task(
                            watch_server(
                                provider.pool.client, provider.config.address, partial(self._become, provider.name)
                            ),
                            name=f"watching {provider.name}",
                        )
                await asyncio.Event().wait()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; `run` does so at its end."""
        for provider in self._providers.values():
            await provider.pool.client.aclose()

    def _heard(self, provider: str, availability: Availability) -> None:
        if availability != NOT_ASKED:
            self._unasked.discard(provider)

    async def _become(self, provider: str, availability: Availability) -> None:
        self._unasked.discard(provider)
        for backend in self._serving[provider]:
            if availability.is_available and self._answers:
                await asyncio.to_thread(backend.prepare)
            backend.become(availability)


def _provider(
    name: str, config: ProviderConfig, environ: Mapping[str, str], secrets: Secrets, held: Callable[[float], None]
) -> Provider:
    limits = PoolLimits(
        connect_timeout_s=config.connect_timeout_s,
        idle_timeout_s=config.idle_timeout_s,
        max_connections=config.max_connections,
        http2=config.http2,
    )
    key = None if config.api_key is None else secrets.key(config.api_key)
    tokenizer = None if config.tokenizer is None else expand_path(config.tokenizer, environ)
    return Provider(name, config, key, http_pool(config.address, limits), held, tokenizer)

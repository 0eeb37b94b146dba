"""The engines of a configuration: one supervised engine for each that some deployment uses and that can start at all."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry

from tierway_server.backends import embedded_model
from tierway_server.backends.base import Backend
from tierway_server.backends.remote_engine import RemoteEngine
from tierway_server.backends.supervisor import Engine, SupervisedEngine
from tierway_server.config import Config, EngineConfig, ReferenceUnresolvedError, resolve_weights
from tierway_server.errors import ModelUnavailableError


class NamedEngine(Backend, Protocol):
    """An engine as this process has it: its own, or one of another process."""

    name: str

    @property
    def has_settled(self) -> bool:
        """Whether its first start is over, well or badly."""

    @property
    def registry(self) -> CollectorRegistry | None:
        """The living engine's own metrics, where it lives here."""


E = TypeVar("E", bound=NamedEngine)


@dataclass(frozen=True, slots=True)
class Engines(Generic[E]):
    """The engines that this process uses."""

    all: tuple[E, ...]
    by_deployment: Mapping[int, E]

    @property
    def have_settled(self) -> bool:
        """Whether no engine is in its first start any more."""
        return all(engine.has_settled for engine in self.all)


Launch = Callable[[str, EngineConfig], Awaitable[Engine]]
"""Starts the engine of a name and a section of the configuration."""


def supervised_engines(config: Config, unavailable: Sequence[str], launch: Launch) -> Engines[SupervisedEngine]:
    """The engines of `config` in this process, not started yet.

    Args:
        config: the whole configuration.
        unavailable: for each deployment why it cannot answer; empty when nothing static stands in its way.
        launch: starts one of them.

    """
    return _engines(config, unavailable, partial(_supervised, launch))


def remote_engines(config: Config, unavailable: Sequence[str], socket: str) -> Engines[RemoteEngine]:
    """The same in the process of the engine host that listens on `socket`."""

    def remote(name: str, engine: EngineConfig) -> RemoteEngine:
        return RemoteEngine(name, socket, capacity=engine.places, idle_timeout_s=engine.idle_timeout_s)

    return _engines(config, unavailable, remote)


def _engines(config: Config, unavailable: Sequence[str], make: Callable[[str, EngineConfig], E]) -> Engines[E]:
    engines: dict[str, E] = {}
    by_deployment: dict[int, E] = {}
    for index, ((_, deployment), reason) in enumerate(zip(config.deployments, unavailable, strict=True)):
        if deployment.engine is None or reason:
            continue
        if deployment.engine not in engines:
            engines[deployment.engine] = make(deployment.engine, config.engines[deployment.engine])
        by_deployment[index] = engines[deployment.engine]
    return Engines(tuple(engines.values()), by_deployment)


def _supervised(launch: Launch, name: str, config: EngineConfig) -> SupervisedEngine:
    return SupervisedEngine(
        name,
        partial(launch, name, config),
        capacity=config.places,
        idle_timeout_s=config.idle_timeout_s,
        start_timeout_s=config.start_timeout_s,
        initial_backoff_s=config.restart.initial_backoff_s,
        max_backoff_s=config.restart.max_backoff_s,
    )


async def launch_vllm(name: str, config: EngineConfig, environ: Mapping[str, str]) -> Engine:
    """Start a vLLM engine on the embedded model, or on the folder that `config` names.

    Raises:
        ModelUnavailableError: the model is not there and cannot be made.
        Exception: whatever vLLM's start-up throws.

    """
    from tierway_server.backends import (
        vllm_engine,  # here, so that reading a configuration does not import psutil and vLLM's kin
    )

    try:
        folder = await _embedded_folder() if config.is_embedded else str(resolve_weights(config.model, environ))
    except ReferenceUnresolvedError as missing:
        raise ModelUnavailableError(str(missing)) from missing
    return await vllm_engine.launch(name, folder, config)


async def _embedded_folder() -> str:
    if ready := embedded_model.prepared_folder():
        return str(ready)
    # In a process of its own, whose memory goes when it is done.
    preparing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", embedded_model.__name__, stdout=asyncio.subprocess.PIPE
    )
    try:
        printed, _ = await preparing.communicate()
    finally:
        if preparing.returncode is None:
            preparing.kill()
            await preparing.wait()
    if preparing.returncode != 0:
        raise ModelUnavailableError("the embedded model could not be prepared; the log says why")
    return printed.decode().splitlines()[-1]

"""The process that has the engines: `python -m tierway_server.workers.host`, started by the supervisor."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from functools import partial

import uvloop

from tierway_server.backends.base import Availability
from tierway_server.backends.engine_host import EngineHost
from tierway_server.backends.engines import Launch, launch_vllm, supervised_engines
from tierway_server.config import Secrets, unavailable_reason
from tierway_server.telemetry import logging as telemetry_logging
from tierway_server.telemetry.families import Families, collect
from tierway_server.workers.assignment import Assignment, assigned, host_socket


async def host(assignment: Assignment, launch: Launch) -> None:
    """Run the engines and serve them to the front ends, until SIGTERM.

    Args:
        assignment: of this process.
        launch: starts an engine.

    """
    config = assignment.configuration()
    secrets = Secrets(os.environ, {})  # engines need none
    reasons = [
        unavailable_reason(config, deployment, os.environ, secrets) if deployment.engine else ""
        for _, deployment in config.deployments
    ]
    engines = supervised_engines(config, reasons, launch)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def count() -> Families:
        return collect(engine.registry for engine in engines.all if engine.registry is not None)

    is_frozen = False

    def freeze(_: Availability) -> None:
        nonlocal is_frozen
        if engines.have_settled and not is_frozen:
            # As in `app.py`: the collector need not walk through what start-up made, vLLM's modules above all.
            is_frozen = True
            gc.collect()
            gc.freeze()

    for engine in engines.all:
        engine.watch(freeze)
    listener = EngineHost(engines.all, count).listener(host_socket(assignment.socket))
    await listener.listen()
    running = [asyncio.create_task(engine.run(), name=f"engine {engine.name}") for engine in engines.all]
    try:
        await stop.wait()
    finally:
        await listener.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def main(launch: Launch) -> None:
    """Be the engine host."""
    telemetry_logging.configure(os.environ.get("TIERWAY_LOG_LEVEL", "INFO").upper())
    uvloop.run(host(assigned(), launch))


if __name__ == "__main__":
    main(partial(launch_vllm, environ=os.environ))

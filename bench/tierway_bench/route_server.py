"""The real server with the embedded table and no engine behind it: what `Route` needs, and nothing that would disturb its measurement.

Run as a process of its own (`python -m tierway_bench.route_server`); it prints its addresses as JSON when it serves, and ends on SIGTERM.
The only module of the benchmarks that imports the server: the engine's absence cannot be configured from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

from tierway_server.app import Process
from tierway_server.config import load

_ANY_PORT = {f"server.{name}": "127.0.0.1:0" for name in ("listen", "admin_listen", "http_listen")}


async def serve() -> None:
    """Serve until SIGTERM, with the embedded deployment marked as available."""
    config = load(None, overrides=_ANY_PORT, environ=os.environ)
    embedded = {name for name, engine in config.engines.items() if engine.is_embedded}
    without_weights = {
        name: engine.model_copy(update={"model": "/nonexistent"}) for name, engine in config.engines.items()
    }
    process = Process(config.model_copy(update={"engines": without_weights}), os.environ)
    for index, (_, deployment) in enumerate(config.deployments):
        if deployment.engine in embedded:
            process.state.set_available(index, True)
    process.listen()
    stops: Any = SimpleNamespace(drain=asyncio.Event(), at_once=asyncio.Event())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stops.drain.set)
    print(json.dumps({name: str(address) for name, address in process.addresses.items()}), flush=True)
    await process.run(stops)


def main() -> None:
    """Serve, under a profiler if asked."""
    parser = argparse.ArgumentParser(description="Serves Route without an engine.")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the whole run to this file (pstats reads it)")
    arguments = parser.parse_args()
    if arguments.profile is None:
        uvloop.run(serve())
        return
    profile = cProfile.Profile()
    try:
        profile.runcall(uvloop.run, serve())
    finally:
        profile.dump_stats(arguments.profile)


if __name__ == "__main__":
    main()

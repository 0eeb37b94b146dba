"""The real server with the embedded table and no engine behind it: what `Route` needs, and nothing that would disturb its measurement.

Run as a process of its own (`python -m tierway_bench.route_server`); it prints its addresses as JSON when it serves, and ends on SIGTERM.
It imports the server: the engine's absence cannot be configured from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

from tierway_server.app import Process
from tierway_server.config import load
from tierway_server.workers.supervisor import Supervisor

_ANY_PORT = {f"server.{name}": "127.0.0.1:0" for name in ("listen", "admin_listen", "http_listen")}


async def serve(workers: int) -> None:
    """Serve until SIGTERM in so many processes, with the embedded deployment marked as available."""
    config = load(None, overrides={**_ANY_PORT, "server.workers": str(workers)}, environ=os.environ)
    embedded = {name for name, engine in config.engines.items() if engine.is_embedded}
    without_weights = {
        name: engine.model_copy(update={"model": "/nonexistent"}) for name, engine in config.engines.items()
    }
    without_engines = config.model_copy(update={"engines": without_weights})
    process = Supervisor(without_engines, os.environ) if workers > 1 else Process(without_engines, os.environ)
    for index, (_, deployment) in enumerate(config.deployments):
        if deployment.engine in embedded:
            process.state.set_available(index, True)
    process.listen()
    stops: Any = SimpleNamespace(drain=asyncio.Event(), at_once=asyncio.Event())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stops.drain.set)
    said = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # the server's own greeting
        running = asyncio.create_task(process.run(stops))
        await asyncio.wait((running, asyncio.create_task(process.serves.wait())), return_when=asyncio.FIRST_COMPLETED)
        print(json.dumps({name: str(at) for name, at in process.addresses.items()}), file=said, flush=True)
        await running


def main() -> None:
    """Serve, under a profiler if asked."""
    parser = argparse.ArgumentParser(description="Serves Route without an engine.")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the whole run to this file (pstats reads it)")
    parser.add_argument("--workers", type=int, default=1, help="processes that decide (default 1)")
    arguments = parser.parse_args()
    if arguments.profile is None:
        uvloop.run(serve(arguments.workers))
        return
    profile = cProfile.Profile()
    try:
        profile.runcall(uvloop.run, serve(arguments.workers))
    finally:
        profile.dump_stats(arguments.profile)


if __name__ == "__main__":
    main()

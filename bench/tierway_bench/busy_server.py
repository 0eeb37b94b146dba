"""The real server in front of an engine that answers so many requests at once and no faster than it is told: for drills of overload.

Run as a process of its own (`python -m tierway_bench.busy_server`); it prints its addresses as JSON when it serves, and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from tierway_server.app import Process
from tierway_server.backends.base import Chunk, FinishReason, Generation, Usage
from tierway_server.config import EngineConfig, parse

_CHUNKS = 4
"""Of an answer; each takes a quarter of its time."""
_READY_S = 30.0


class BusyEngine:
    """Answers `width` requests at once, further ones in the order in which they came, as an engine does by itself."""

    def __init__(self, width: int, answer_s: float) -> None:
        self.registry = CollectorRegistry()
        self._places = asyncio.Semaphore(width)
        self._answer_s = answer_s
        self._chance = random.Random(1)

    async def generate(self, _: Generation) -> AsyncGenerator[Chunk, None]:
        """An answer that takes a half to one and a half of the mean time."""
        async with self._places:
            pause_s = self._answer_s * self._chance.uniform(0.5, 1.5) / _CHUNKS
            for number in range(1, _CHUNKS + 1):
                await asyncio.sleep(pause_s)
                is_last = number == _CHUNKS
                yield Chunk(
                    "word ", 1, (), FinishReason.STOP if is_last else None, Usage(8, 0, _CHUNKS) if is_last else None
                )

    async def over(self) -> str:
        """It never is."""
        await asyncio.Event().wait()
        return "died"

    def shutdown(self) -> None:
        """Nothing to bring down."""


def document(width: int, queue_size: int, answer_s: float) -> dict[str, Any]:
    """A server with one model on one engine, which is given `width` requests at once."""
    return {
        "server": dict.fromkeys(("listen", "admin_listen", "http_listen"), "127.0.0.1:0"),
        "routing": {"classifier": {"enabled": False}},
        "engines": {
            "busy": {
                "model": "embedded",
                "context_tokens": 4096,
                "max_num_seqs": width,
                "max_num_batched_tokens": max(width, 64),
                "queue_size": queue_size,
            }
        },
        "models": [
            {
                "name": "busy",
                "tier": 1,
                "context_tokens": 4096,
                "compliance": 0.9,
                "price_usd_per_million_tokens": {"input": 0.05, "output": 0.05},
                "deployments": [{"engine": "busy", "expected_latency_s": answer_s}],
            }
        ],
    }


async def serve(width: int, queue_size: int, answer_s: float, *, is_first_come: bool) -> None:
    """Serve until SIGTERM; where the first to come is the first served, the engine is given all there is, and has the queue itself."""

    async def launch(_name: str, _config: EngineConfig) -> BusyEngine:
        return BusyEngine(width, answer_s)

    held = document(width + queue_size, 0, answer_s) if is_first_come else document(width, queue_size, answer_s)
    process = Process(parse(held), {}, launch=launch)
    process.listen()
    stops: Any = SimpleNamespace(drain=asyncio.Event(), at_once=asyncio.Event())
    stops.at_once.set()  # nobody waits for what is under way at the end of a drill
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stops.drain.set)
    said = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # the server's own greeting
        running = asyncio.create_task(process.run(stops))
        async with asyncio.timeout(_READY_S):
            while not process.deployments.is_ready:
                await process.deployments.changed()
        print(json.dumps({name: str(at) for name, at in process.addresses.items()}), file=said, flush=True)
        await running


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description="Serves an engine that is slow on purpose.")
    parser.add_argument("--width", type=int, required=True, help="requests that the engine answers at once")
    parser.add_argument("--queue-size", type=int, required=True, help="requests that may wait")
    parser.add_argument("--answer-s", type=float, required=True, help="mean seconds of an answer")
    parser.add_argument("--first-come", action="store_true", help="without queues of ours: first come, first served")
    given = parser.parse_args()
    uvloop.run(serve(given.width, given.queue_size, given.answer_s, is_first_come=given.first_come))


if __name__ == "__main__":
    main()

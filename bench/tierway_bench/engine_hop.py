"""What the way between a front end and an engine in another process costs: `python -m tierway_bench.engine_hop`.

The engine is one that costs nothing, in a process of its own; the front end is this process, both on uvloop. Compared are the hop that
serves (frames, a connection for each generation), frames over one shared connection, gRPC over a Unix socket, and no hop at all. Arms
take turns in every round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvloop

from tierway_bench.hop_engine import PacedEngine, generation
from tierway_bench.hop_others import GrpcEngine, SharedEngine, serve_grpc, serve_shared
from tierway_bench.processes import ProcessFailedError, cpu_s, peer
from tierway_bench.report import Machine, Spread, table, write_json
from tierway_server.backends.base import Chunk, Generation
from tierway_server.backends.engine_host import EngineHost
from tierway_server.backends.remote_engine import RemoteEngine

_START_S = 30.0
_PAUSE_S = 0.01

Generate = Callable[[Generation], AsyncGenerator[Chunk, None]]


@dataclass(frozen=True, slots=True)
class Round:
    """What one arm did in one round."""

    first_us: float
    """From asking to the only chunk of an answer, one at a time: the median."""
    answers_per_s: float
    """Answers of one chunk, 32 at a time."""
    chunk_us: float
    """Processor time of both processes for a chunk, of 32 long answers at a time."""


async def own(folder: Path) -> None:
    """Be the process that owns the engine."""
    engine = PacedEngine(_PAUSE_S)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    listener = EngineHost([engine], list).listener(_name(folder))
    await listener.listen()
    shared = await serve_shared(engine, f"{folder}/shared")
    grpc_server = await serve_grpc(engine, f"unix:{folder}/grpc")
    print(json.dumps({}), flush=True)
    await stop.wait()
    await listener.close()
    shared.close()
    await grpc_server.stop(None)


async def measure(folder: Path, owner: int, rounds: int, seconds: float) -> dict[str, list[Round]]:
    """Rounds of all arms."""
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"unix:{folder}/grpc"))
        shared = SharedEngine(*await asyncio.open_unix_connection(f"{folder}/shared"))
        running = asyncio.create_task(shared.run())
        stack.callback(running.cancel)
        arms: dict[str, Generate] = {
            "frames, a connection each": RemoteEngine("paced", _name(folder), capacity=1, idle_timeout_s=60.0).generate,
            "frames, one connection": shared.generate,
            "gRPC": GrpcEngine(channel).generate,
            "no hop": PacedEngine(_PAUSE_S).generate,
        }
        results: dict[str, list[Round]] = {name: [] for name in arms}
        for number in range(rounds + 1):
            for name, generate in list(arms.items()) if number % 2 else reversed(arms.items()):
                result = await _round(generate, owner, seconds)
                if number:  # the first round warms up
                    results[name].append(result)
        return results


async def _round(generate: Generate, owner: int, seconds: float) -> Round:
    firsts = []
    give_up_s = time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < give_up_s:
        await _consume(generate, 1)
        firsts.append(time.perf_counter() - began_s)
    answers = await _many(generate, 1, 32, seconds)
    before_s = cpu_s(owner) + cpu_s(os.getpid(), is_whole=False)
    chunks = 50 * await _many(generate, 50, 32, seconds)
    used_s = cpu_s(owner) + cpu_s(os.getpid(), is_whole=False) - before_s
    return Round(sorted(firsts)[len(firsts) // 2] * 1e6, answers / seconds, used_s / chunks * 1e6)


async def _many(generate: Generate, chunks: int, streams: int, seconds: float) -> int:
    """How many answers `streams` callers got that began within `seconds`."""
    give_up_s = time.perf_counter() + seconds

    async def one() -> int:
        answers = 0
        while time.perf_counter() < give_up_s:
            await _consume(generate, chunks)
            answers += 1
        return answers

    return sum(await asyncio.gather(*(one() for _ in range(streams))))


async def _consume(generate: Generate, chunks: int) -> None:
    counted = 0
    async for _ in generate(generation(0, chunks)):
        counted += 1
    if counted != chunks:
        raise ProcessFailedError(f"{counted} chunks came of {chunks}")


def _name(folder: Path) -> str:
    return f"tierway-bench-{folder.name}"


def main() -> int:
    """Measure and print. Returns 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(description="What the way to an engine in another process costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of each part of a round (default 1.5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument("--own", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.own is not None:
        uvloop.run(own(given.own))
        return 0
    machine = Machine.here()
    print(machine.text(), flush=True)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            command = ["-m", "tierway_bench.engine_hop", "--own", name]
            with peer(command, folder / "owner.log", within_s=_START_S) as (owner, _):
                results = uvloop.run(measure(folder, owner, given.rounds, given.seconds))
    except ProcessFailedError as error:
        print(error, file=sys.stderr)
        return 1
    rows = [
        [
            name,
            Spread.of([one.first_us for one in each]).text(0),
            Spread.of([one.answers_per_s for one in each]).text(0),
            Spread.of([one.chunk_us for one in each]).text(0),
        ]
        for name, each in results.items()
    ]
    print(table(["", "an answer of one chunk, us", "such answers/s, 32 at a time", "CPU of a chunk, us"], rows))
    write_json(given.json, machine, sys.argv, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What Tierway adds to a remote answer: `python -m tierway_bench.added_latency`.

One mock provider in a process of its own, asked directly (through raw aiohttp, and through the openai SDK), through Tierway (gRPC), through
the least that such a server could be (`bare_proxy.py`), and through LiteLLM's proxy and Portkey's gateway where they are installed
(`gateways.py`). All stay up; small blocks of requests take turns, so
that each way meets the same mood of the machine. What is added is the median (P99) of a way less that of raw aiohttp.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tierway_bench import gateways, remote_config, remote_ways
from tierway_bench.processes import ProcessFailedError, peer, tierway
from tierway_bench.remote_ways import Ask, Way
from tierway_bench.report import Machine, percentile, table, write_json

DIRECT = "raw aiohttp"
_START_S = 60.0
_PROMPT = "Tell me about the river that flows through Zürich."


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is asked."""

    rounds: int = 20
    """How often each way has its turn."""
    requests: int = 100
    """Of a turn."""
    warm_up: int = 100
    """Requests of each way before anything counts."""


@dataclass(slots=True)
class Times:
    """What one way took, in seconds."""

    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)


async def measure(ways: Mapping[str, Way], in_flight: int, shape: Shape) -> dict[str, Times]:
    """Ask through every way in turns, `in_flight` at a time."""
    times = {name: Times() for name in ways}
    async with AsyncExitStack() as stack:
        asks = {name: await stack.enter_async_context(way()) for name, way in ways.items()}
        for ask in asks.values():
            await _turn(ask, in_flight, shape.warm_up, Times())
        for turn in range(shape.rounds):
            names = list(asks)
            # Another one begins each time: who comes after whom must not matter.
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                await _turn(asks[name], in_flight, shape.requests, times[name])
    return times


async def _turn(ask: Ask, in_flight: int, requests: int, times: Times) -> None:
    numbers = itertools.count()

    async def one_after_another() -> None:
        while next(numbers) < requests:
            first_s, whole_s = await ask(_PROMPT)
            times.first_s.append(first_s)
            times.whole_s.append(whole_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(one_after_another())


def report(title: str, times: Mapping[str, Times], *, is_streaming: bool) -> str:
    """The table of one measurement, in milliseconds."""
    base = times[DIRECT]

    def cells(values: list[float], baseline: list[float]) -> Iterable[str]:
        for percent in (50, 99):
            value = percentile(values, percent)
            yield f"{value * 1e3:.2f}"
            yield f"{(value - percentile(baseline, percent)) * 1e3:+.2f}"

    kinds = [("first token", "first_s"), ("whole", "whole_s")] if is_streaming else [("whole", "whole_s")]
    header = [title, *(f"{kind} {what}" for kind, _ in kinds for what in ("median", "added", "P99", "added"))]
    rows = [
        [name, *(cell for _, field in kinds for cell in cells(getattr(each, field), getattr(base, field)))]
        for name, each in times.items()
    ]
    return table(header, rows)


def main() -> int:
    """Measure and print. Returns 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(description="What Tierway adds to a remote answer.")
    parser.add_argument("--tokens", type=int, default=32, help="length of an answer (default 32)")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each way (default 20)")
    parser.add_argument("--requests", type=int, default=100, help="requests of a turn (default 100)")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 32], help="requests at a time (default 1 32)")
    parser.add_argument("--without-gateways", action="store_true", help="leave LiteLLM and Portkey out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text(), flush=True)
    shape = Shape(given.rounds, given.requests)
    results: dict[str, object] = {}
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            command = ["-m", "tierway_bench.mock_provider", f"--tokens={given.tokens}"]
            _, said = stack.enter_context(peer(command, folder / "provider.log", within_s=_START_S))
            port = int(said["port"])
            config = remote_config.write(folder / "tierway.yaml", {"mock": port}, ["mock"])
            server = stack.enter_context(tierway(config, folder / "tierway.log"))
            bare = ["-m", "tierway_bench.bare_proxy", f"http://127.0.0.1:{port}/v1"]
            _, proxy = stack.enter_context(peer(bare, folder / "proxy.log", within_s=_START_S))
            others = [] if given.without_gateways else _gateways(stack, port, folder)
            for is_streaming, in_flight in itertools.product((False, True), given.in_flight):
                direct = f"http://127.0.0.1:{port}/v1"
                ways: dict[str, Way] = {
                    DIRECT: remote_ways.raw_http(direct, is_streaming=is_streaming),
                    "openai SDK": remote_ways.openai_sdk(direct, is_streaming=is_streaming),
                    "bare gRPC proxy": remote_ways.tierway(proxy["grpc"], is_streaming=is_streaming),
                    "Tierway": remote_ways.tierway(server.target, is_streaming=is_streaming),
                }
                for other in others:
                    way = remote_ways.raw_http(other.base_url, is_streaming=is_streaming, headers=other.headers)
                    # Portkey 1.15.2 answers streams of a host of one's own with 500 under Node 20.
                    if uvloop.run(_answers(other.name, way)):
                        ways[other.name] = way
                times = uvloop.run(measure(ways, in_flight, shape))
                title = f"{'stream' if is_streaming else 'unary'}, {in_flight} in flight, ms"
                print(report(title, times, is_streaming=is_streaming), end="\n\n", flush=True)
                results[title] = times
    except (ProcessFailedError, remote_ways.WrongAnswerError, ExceptionGroup) as error:
        print(_told(error), file=sys.stderr)
        return 1
    finally:
        write_json(given.json, machine, sys.argv, results)
    return 0


def _gateways(stack: ExitStack, port: int, folder: Path) -> list[gateways.Gateway]:
    found = []
    for name, opened in (("LiteLLM", gateways.litellm), ("Portkey", gateways.portkey)):
        gateway = stack.enter_context(opened(port, folder))
        if gateway is None:
            print(f"{name} is not installed in {gateways.FOLDER}: left out", flush=True)
        else:
            found.append(gateway)
    return found


async def _answers(name: str, way: Way) -> bool:
    """Whether a gateway answers at all; says so where not."""
    try:
        async with way() as ask:
            await ask(_PROMPT)
    except remote_ways.WrongAnswerError as error:
        print(f"{name} does not answer, and is left out here: {error}", flush=True)
        return False
    return True


def _told(error: BaseException) -> str:
    """The text of an error, or of the first of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())

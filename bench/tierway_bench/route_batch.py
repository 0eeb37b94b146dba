"""How many decisions a second `RouteBatch` takes over loopback: `python -m tierway_bench.route_batch`.

The real server, without an engine, in a process of its own; a client that keeps a few batches under way and reads no reply in full until
the clock has stopped, so that the server's process is what is measured. Every prompt of a batch differs from the others. The figure is
taken for short and for longer prompts, with reasons and without, in interleaved rounds; beside it stands the processor time that
the server used for a decision, which other processes disturb least.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvloop

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2
from tierway_bench.closed_route import answer_of
from tierway_bench.decide import PROSE
from tierway_bench.processes import ProcessFailedError, cpu_s, peer
from tierway_bench.report import Machine, Spread, table, write_json

METHOD = "/tierway.v1.RouterService/RouteBatch"
GOALS_PER_S = {12: 100_000, 262: 25_000}
"""The goal for each prompt size in characters, without reasons."""

_START_S = 60.0
_CALL_S = 30.0
_LARGEST_REPLY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Shape:
    """How much load."""

    rounds: int
    calls: int
    """Batches in a round."""
    batch: int
    """Requests in a batch."""
    under_way: int
    """Batches under way at once, each on a connection of its own."""
    workers: int
    """Processes that decide."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one kind of batch."""

    characters: int
    include_reasons: bool
    per_second: Spread
    cpu_us: Spread
    """Processor time of the server for a decision, in microseconds."""


def batch_of(characters: int, requests: int, *, include_reasons: bool) -> bytes:
    """A serialised batch of prompts of so many characters, each ending in a number of its own."""
    digits = len(str(requests - 1))
    text = (PROSE * (characters // len(PROSE) + 1))[: characters - digits]
    prompts = (f"{text}{number:0{digits}}" for number in range(requests))
    return pb.RouteBatchRequest(
        requests=[pb.RouteRequest(query=types_pb2.Query(prompt=prompt)) for prompt in prompts],
        include_reasons=include_reasons,
    ).SerializeToString()


async def per_second(target: str, batch: bytes, shape: Shape) -> float:
    """Decisions a second in one round.

    Raises:
        ProcessFailedError: a query was refused, or a call failed.

    """
    # A connection for each batch under way: workers take connections, not calls.
    options = (("grpc.max_receive_message_length", _LARGEST_REPLY_BYTES), ("grpc.use_local_subchannel_pool", 1))
    async with AsyncExitStack() as stack:
        replies: list[bytes] = []
        left: Iterator[int] = iter(range(shape.calls))

        async def keep_one_under_way(call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
            replies.extend([await call(batch, timeout=_CALL_S) for _ in left])

        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target, options)) for _ in range(shape.under_way)
        ]
        calls: list[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = [each.unary_unary(METHOD) for each in channels]
        await asyncio.gather(*(call(batch, timeout=_CALL_S, wait_for_ready=True) for call in calls))
        began_s = time.perf_counter()
        try:
            await asyncio.gather(*map(keep_one_under_way, calls))
        except grpc.RpcError as error:
            raise ProcessFailedError(f"RouteBatch failed: {error}") from error
        took_s = time.perf_counter() - began_s
    for reply in replies:
        results = pb.RouteBatchResponse.FromString(reply).results
        if len(results) != shape.batch or not all(result.decision.model for result in results):
            raise ProcessFailedError("RouteBatch left a query without a decision")
    return shape.calls * shape.batch / took_s


def measure(folder: Path, shape: Shape, characters: list[int]) -> list[Outcome]:
    """Measure and print.

    Raises:
        ProcessFailedError: the server did not start, or did not decide.

    """
    kinds = [(length, include_reasons) for length in characters for include_reasons in (False, True)]
    batches = {(length, include): batch_of(length, shape.batch, include_reasons=include) for length, include in kinds}
    rates: dict[tuple[int, bool], list[float]] = {kind: [] for kind in kinds}
    cpu_us: dict[tuple[int, bool], list[float]] = {kind: [] for kind in kinds}
    command = ["-m", "tierway_bench.route_server", f"--workers={shape.workers}"]
    with peer(command, folder / "route.log", within_s=_START_S) as (pid, addresses):
        answer_of(addresses, pb.RouteRequest(query=types_pb2.Query(prompt="Hello")).SerializeToString())
        for number in range(shape.rounds + 1):
            for kind in kinds if number % 2 else reversed(kinds):
                used_s = cpu_s(pid)
                rate = uvloop.run(per_second(addresses["grpc"], batches[kind], shape))
                if number:  # the first round warms up
                    rates[kind].append(rate)
                    # A batch on each connection comes before the clock starts.
                    decisions = (shape.calls + shape.under_way) * shape.batch
                    cpu_us[kind].append((cpu_s(pid) - used_s) / decisions * 1e6)
    outcomes = [Outcome(*kind, Spread.of(rates[kind]), Spread.of(cpu_us[kind])) for kind in kinds]
    print(
        f"\n{shape.rounds} rounds of {shape.calls} batches of {shape.batch:,}, {shape.under_way} under way; median (range)"
    )
    rows = [
        [
            f"{one.characters} characters, {'with' if one.include_reasons else 'without'} reasons",
            one.per_second.text(0),
            "" if one.include_reasons or one.characters not in GOALS_PER_S else f"{GOALS_PER_S[one.characters]:,}",
            one.cpu_us.text(1),
        ]
        for one in outcomes
    ]
    print(table(["", "decisions/s", "goal", "server CPU, us/decision"], rows))
    return outcomes


def main() -> int:
    """Measure and print. Returns 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(description="How many decisions a second RouteBatch takes over loopback.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each kind (default 7)")
    parser.add_argument("--calls", type=int, default=40, help="batches in a round (default 40)")
    parser.add_argument("--batch", type=int, default=1_000, help="requests in a batch, 2 to 1,000 (default 1,000)")
    parser.add_argument("--under-way", type=int, default=3, help="batches under way at once (default 3)")
    parser.add_argument("--workers", type=int, default=1, help="processes that decide (default 1)")
    parser.add_argument("--characters", type=int, nargs="+", default=[12, 262], help="lengths of prompts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text(), flush=True)
    results: dict[str, object] = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            shape = Shape(given.rounds, given.calls, given.batch, given.under_way, given.workers)
            results["route_batch"] = measure(Path(folder), shape, given.characters)
    except ProcessFailedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        write_json(given.json, machine, sys.argv, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())

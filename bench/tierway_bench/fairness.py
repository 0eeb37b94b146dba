"""What a flood costs those who have nothing to do with it: `python -m tierway_bench.fairness`.

Through the whole server, before an engine that answers a stated number of requests at once (`busy_server`), in open loop: requests leave at
their appointed times. Each drill is run with the server's queues and, for contrast, without (first come, first served in the engine):

- fairness: a quiet tenant alone, and beside another that asks for three times what can be answered, in the same lane;
- overload: four times what can be answered, in all lanes: what is answered, who is refused and how, what the interactive ones wait.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import uvloop
from google.rpc import error_details_pb2, status_pb2

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2
from tierway_bench.arrivals import arrivals_s
from tierway_bench.processes import ProcessFailedError, peer
from tierway_bench.report import Machine, percentile, table, write_json

TOKENS = 4
"""Of an answer, as `busy_server` has it."""
_METHOD = "/tierway.v1.RouterService/Execute"
_TIMEOUT_S = 10.0
_READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Callers of a kind."""

    name: str
    per_second: float
    tenant: str = ""
    priority: types_pb2.Priority = types_pb2.PRIORITY_NORMAL


@dataclass(slots=True)
class Seen:
    """What became of them. Milliseconds count from the appointed time of sending, of those who were answered."""

    latencies_ms: list[float] = field(default_factory=list)
    took_s: float = 0.0
    """From the first appointed time of all to the last answer of all."""
    refused: dict[str, int] = field(default_factory=dict)
    """By reason; `without a hint` counts those beside that were not told when to come again."""

    def row(self, name: str) -> list[str]:
        """A line of the table."""
        figures = (
            [f"{percentile(self.latencies_ms, share):,.0f}" for share in (50, 99)] if self.latencies_ms else ["-"] * 2
        )
        refusals = ", ".join(f"{reason} {number:,}" for reason, number in sorted(self.refused.items()))
        return [name, f"{len(self.latencies_ms) / self.took_s:.1f}", *figures, refusals or "-"]


@dataclass(frozen=True, slots=True)
class Shape:
    """How much the engine can do, and for how long it is asked."""

    width: int
    answer_s: float
    queue_size: int
    seconds: float
    seed: int

    @property
    def per_second(self) -> float:
        """What can be answered."""
        return self.width / self.answer_s

    def command(self, *, is_first_come: bool) -> list[str]:
        """What starts the server."""
        figures = {"--width": self.width, "--queue-size": self.queue_size, "--answer-s": self.answer_s}
        command = ["-m", "tierway_bench.busy_server", *(str(each) for pair in figures.items() for each in pair)]
        return [*command, "--first-come"] if is_first_come else command


async def load(target: str, streams: list[Stream], shape: Shape) -> dict[str, Seen]:
    """Send what each stream has to send; returns when all of it is answered or refused."""
    seen = {stream.name: Seen() for stream in streams}
    async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        call = channel.unary_unary(
            _METHOD,
            request_serializer=pb.ExecuteRequest.SerializeToString,
            response_deserializer=pb.ExecuteResponse.FromString,
        )
        start_s = time.perf_counter() + 0.1

        async def send(stream: Stream, due_s: float) -> None:
            await asyncio.sleep(due_s - time.perf_counter())
            request = pb.ExecuteRequest(
                query=types_pb2.Query(prompt="Hello there"),
                preferences=types_pb2.Preferences(priority=stream.priority),
                sampling=types_pb2.Sampling(max_tokens=TOKENS),
            )
            metadata = (("tierway-tenant", stream.tenant),) if stream.tenant else ()
            try:
                await call(request, timeout=_TIMEOUT_S, metadata=metadata)
                seen[stream.name].latencies_ms.append((time.perf_counter() - due_s) * 1e3)
            except grpc.aio.AioRpcError as error:
                refused = seen[stream.name].refused
                for reason in _reasons(error):
                    refused[reason] = refused.get(reason, 0) + 1

        async with asyncio.TaskGroup() as under_way:
            for place, stream in enumerate(streams):
                for offset_s in arrivals_s(
                    "poisson", per_second=stream.per_second, seconds=shape.seconds, seed=shape.seed + place
                ):
                    under_way.create_task(send(stream, start_s + offset_s))
        for each in seen.values():
            each.took_s = time.perf_counter() - start_s
    return seen


def _reasons(error: grpc.aio.AioRpcError) -> list[str]:
    """The reason of a refusal, and whether it lacks the hint when to come again; the code of what has no details."""
    trailers = error.trailing_metadata() or ()
    details = next((value for key, value in trailers if key == "grpc-status-details-bin"), None)
    if not isinstance(details, bytes):
        return [error.code().name]
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    status = status_pb2.Status.FromString(details)
    has_hint = any(detail.Unpack(retry) for detail in status.details)
    any(detail.Unpack(info) for detail in status.details)
    return [info.reason] if has_hint else [info.reason, "without a hint"]


def drill(shape: Shape, streams: list[Stream], folder: Path, *, is_first_come: bool = False) -> dict[str, Seen]:
    """One load on one server."""
    with peer(shape.command(is_first_come=is_first_come), folder / "server.log", within_s=_READY_S) as (_, addresses):
        return uvloop.run(load(addresses["grpc"], streams, shape))


def measure(shape: Shape, folder: Path) -> dict[str, dict[str, Seen]]:
    """All drills, by their names."""
    can = shape.per_second
    quiet, flood = Stream("quiet tenant", 0.1 * can, "quiet"), Stream("flooding tenant", 3 * can, "flood")
    lanes = [
        Stream("interactive", 0.4 * can, priority=types_pb2.PRIORITY_INTERACTIVE),
        Stream("normal", 1.6 * can, priority=types_pb2.PRIORITY_NORMAL),
        Stream("batch", 2.0 * can, priority=types_pb2.PRIORITY_BATCH),
    ]
    return {
        "a quiet tenant alone": drill(shape, [quiet], folder),
        "beside a flood": drill(shape, [quiet, flood], folder),
        "beside a flood, first come, first served": drill(shape, [quiet, flood], folder, is_first_come=True),
        "four times what can be answered": drill(shape, lanes, folder),
        "four times, first come, first served": drill(shape, lanes, folder, is_first_come=True),
    }


def main() -> int:
    """Measure and print. Returns 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(description="What a flood costs those who have nothing to do with it.")
    parser.add_argument("--width", type=int, default=8, help="requests that the engine answers at once (default 8)")
    parser.add_argument("--answer-s", type=float, default=0.2, help="mean seconds of an answer (default 0.2)")
    parser.add_argument("--queue-size", type=int, default=128, help="requests that may wait (default 128)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each drill (default 15, at most 120)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    if not 0 < given.seconds <= 120:
        parser.error("--seconds is above 0 and at most 120")
    machine = Machine.here()
    shape = Shape(given.width, given.answer_s, given.queue_size, given.seconds, given.seed)
    print(f"{machine.text()}\n{shape.per_second:g} requests a second can be answered; seed {shape.seed}", flush=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            results = measure(shape, Path(folder))
    except ProcessFailedError as error:
        print(error, file=sys.stderr)
        return 1
    for name, seen in results.items():
        rows = [each.row(stream) for stream, each in seen.items()]
        print(f"\n{name}\n{table(['', 'answered/s', 'P50 ms', 'P99 ms', 'refused'], rows)}")
    write_json(given.json, machine, sys.argv, {"shape": shape, "drills": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Opens streams and leaves them at random moments, then looks for what the server has not given back.

`python -m tierway_bench.cancel_storm --target HOST:PORT --http http://HOST:PORT --pid PID`, against a running server of this machine.
Streams are left before they are sent, while they wait, before and after their first token. Afterwards the engine's running and waiting
requests and the slots must be back at 0, the file descriptors and threads where they were, and a new request must be answered. Exits 1
when anything has leaked.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import uvloop

from tierway.v1 import router_service_pb2 as pb
from tierway_bench import grpc_streams, scrape
from tierway_bench.report import Machine, table, write_json

_LONG_TOKENS = 1_000
_LEAVE_WITHIN_S = 0.5
_SETTLE_S = 15.0
_POLL_S = 0.1
# Gone at once, soon, and at any time: each moment of a request's life gets its share.
_SPANS_S = (0.0, 0.02, _LEAVE_WITHIN_S)

GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting", "tierway_in_flight")
"""What must be back at 0."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the server holds."""

    gauges: dict[str, float]
    descriptors: int
    threads: int

    @classmethod
    def by(cls, http: str, pid: int) -> Held:
        """What it holds now.

        Raises:
            ScrapeError: a gauge is not to be had.

        """
        page = scrape.page(http)
        gauges = {}
        for name in GAUGES:
            if (value := scrape.total(page, name)) is None:
                raise scrape.ScrapeError(f"{http}/metrics has no {name}: is an engine ready?")
            gauges[name] = value
        process = psutil.Process(pid)
        return cls(gauges, process.num_fds(), process.num_threads())

    def leaked_since(self, before: Held) -> list[str]:
        """What it has not given back, in words."""
        kept = [f"{name} is {value:g}" for name, value in self.gauges.items() if value]
        for name, now, then in (
            ("descriptors", self.descriptors, before.descriptors),
            ("threads", self.threads, before.threads),
        ):
            if now > then:
                kept.append(f"{now - then} more {name}")
        return kept


def delays_s(count: int, seed: int) -> list[float]:
    """When each stream is left, in seconds after it was opened."""
    chance = random.Random(seed)
    return [chance.random() * chance.choice(_SPANS_S) for _ in range(count)]


async def storm(target: str, delays: list[float], concurrency: int) -> Counter[str]:
    """Open a stream for each delay, `concurrency` at a time, and leave it then. Returns how they ended."""
    ends: Counter[str] = Counter()
    limit = asyncio.Semaphore(concurrency)
    async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        opened = _method(channel)

        async def one(number: int, delay_s: float) -> None:
            async with limit:
                call = opened(grpc_streams.request(f"{number}: tell a long story.", _LONG_TOKENS), timeout=60)
                seen = "before its first event"

                async def read() -> None:
                    nonlocal seen
                    async for event in call:
                        seen = "before its first token" if event.HasField("started") else "while it was answered"

                try:
                    async with asyncio.timeout(delay_s):
                        await read()
                    ends["finished by itself"] += 1
                except TimeoutError:
                    ends[f"left {seen}"] += 1
                except grpc.aio.AioRpcError as error:
                    ends[f"refused: {error.code().name}"] += 1
                finally:
                    call.cancel()

        await asyncio.gather(*(one(number, delay_s) for number, delay_s in enumerate(delays)))
    return ends


async def answers(target: str) -> None:
    """Have one request answered; also opens what a server opens once, so that it is not taken for a leak."""
    async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        async for _ in _method(channel)(grpc_streams.request("Hello", 4), timeout=60):
            pass


def settled(http: str, pid: int, before: Held) -> tuple[Held, float]:
    """What the server holds as soon as nothing is leaked any more, or after `_SETTLE_S`, and how long that took, in seconds."""
    start_s = time.monotonic()
    while True:
        held = Held.by(http, pid)
        waited_s = time.monotonic() - start_s
        if not held.leaked_since(before) or waited_s > _SETTLE_S:
            return held, waited_s
        time.sleep(_POLL_S)


def main() -> int:
    """Storm, look, print. Returns 1 when something has leaked."""
    parser = argparse.ArgumentParser(description="Cancels streams at random moments and looks for leaks.")
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--http", required=True, metavar="http://HOST:PORT", help="where /metrics is")
    parser.add_argument("--pid", required=True, type=int, help="the server's process")
    parser.add_argument("--count", type=int, default=1_000, help="how many streams (default 1,000, at most 100,000)")
    parser.add_argument("--concurrency", type=int, default=100, help="how many at a time (default 100)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--limit", type=float, default=300.0, help="seconds after which the storm is over (default 300)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    if not 0 < given.count <= 100_000:
        parser.error("--count is 1 to 100,000")
    machine = Machine.here()
    print(machine.text(), flush=True)
    try:
        uvloop.run(answers(given.target))
        time.sleep(1)  # until the connection of the line above is gone from the server's table
        before = Held.by(given.http, given.pid)
        start_s = time.monotonic()
        load = storm(given.target, delays_s(given.count, given.seed), given.concurrency)
        ends = uvloop.run(asyncio.wait_for(load, given.limit))
        took_s = time.monotonic() - start_s
        after, waited_s = settled(given.http, given.pid, before)
        uvloop.run(answers(given.target))
    except (scrape.ScrapeError, grpc.aio.AioRpcError, TimeoutError) as error:
        print(str(error) or f"the storm was not over after {given.limit:g} s", file=sys.stderr)
        return 1
    leaked = after.leaked_since(before)
    print(
        f"\n{given.count:,} streams in {took_s:.1f} s, everything given back {waited_s:.1f} s later; seed {given.seed}"
    )
    print(table(["", "streams"], [[end, f"{number:,}"] for end, number in ends.most_common()]))
    rows = [[name, f"{before.gauges[name]:g}", f"{value:g}"] for name, value in after.gauges.items()]
    rows.append(["file descriptors", str(before.descriptors), str(after.descriptors)])
    rows.append(["threads", str(before.threads), str(after.threads)])
    print(f"\n{table(['', 'before', 'after'], rows)}\n\nleaked: {'; '.join(leaked) or 'nothing'}")
    results = {
        "ends": dict(ends),
        "seconds": took_s,
        "settled_s": waited_s,
        "before": before,
        "after": after,
        "leaked": leaked,
    }
    write_json(given.json, machine, sys.argv, results)
    return 1 if leaked else 0


def _method(channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamMultiCallable[pb.StreamRequest, pb.StreamResponse]:
    return channel.unary_stream(
        grpc_streams.STREAM,
        request_serializer=pb.StreamRequest.SerializeToString,
        response_deserializer=pb.StreamResponse.FromString,
    )


if __name__ == "__main__":
    sys.exit(main())

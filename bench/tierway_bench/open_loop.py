"""Open-loop unary load over gRPC: requests leave at their appointed times, and latency counts from then (no coordinated omission).

`python -m tierway_bench.open_loop --target HOST:PORT --method /package.Service/Method --body FILE --rate 100`
prints its result as JSON. A client process of its own: it shares the machine with the server, not the interpreter.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import uvloop

from tierway_bench.arrivals import Kind, arrivals_s
from tierway_bench.report import percentile

_TIMEOUT_S = 10.0
_WARM_UP_CALLS = 200
# The loop's timers are a millisecond coarse. The last one is waited for by yielding, which keeps the loop's I/O going.
_SPIN_S = 0.0015


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run saw. Milliseconds count from the appointed time of sending."""

    sent: int
    failed: dict[str, int]
    """Calls that did not end OK, by status code."""
    per_second: float
    """Calls answered per second, from the first appointed time to the last answer."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    late_p99_ms: float
    """How late the client itself sent, part of the above: when it is most of P99, the client was the limit."""


async def run(
    target: str, method: str, body: bytes, *, kind: Kind, per_second: float, seconds: float, seed: int
) -> Result:
    """Make the load."""
    latencies_s: list[float] = []
    lateness_s: list[float] = []
    failed: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)

        async def send(due_s: float) -> None:
            try:
                await call(body, timeout=_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                failed[error.code().name] += 1
            latencies_s.append(time.perf_counter() - due_s)

        for _ in range(_WARM_UP_CALLS):
            await call(body, timeout=_TIMEOUT_S, wait_for_ready=True)
        gc.collect()
        gc.freeze()
        start_s = time.perf_counter() + 0.05
        under_way: set[asyncio.Task[None]] = set()
        for offset_s in arrivals_s(kind, per_second=per_second, seconds=seconds, seed=seed):
            due_s = start_s + offset_s
            while (wait_s := due_s - time.perf_counter()) > 0:  # noqa: ASYNC110  # time is what it waits for
                await asyncio.sleep(wait_s - _SPIN_S if wait_s > _SPIN_S else 0)
            lateness_s.append(-wait_s)
            task = asyncio.create_task(send(due_s))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        took_s = time.perf_counter() - start_s
    latencies_ms = [latency_s * 1e3 for latency_s in latencies_s]
    return Result(
        sent=len(latencies_ms),
        failed=dict(failed),
        per_second=(len(latencies_ms) - failed.total()) / took_s,
        p50_ms=percentile(latencies_ms, 50),
        p99_ms=percentile(latencies_ms, 99),
        p999_ms=percentile(latencies_ms, 99.9),
        max_ms=max(latencies_ms),
        late_p99_ms=percentile(lateness_s, 99) * 1e3,
    )


def main() -> None:
    """Make the load and print what it saw."""
    parser = argparse.ArgumentParser(description="Sends unary calls at appointed times; prints JSON.")
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--method", required=True, metavar="/SERVICE/METHOD")
    parser.add_argument("--body", required=True, type=Path, metavar="FILE", help="the serialised request")
    parser.add_argument("--arrivals", choices=("poisson", "fixed"), default="poisson")
    parser.add_argument("--rate", type=float, default=100.0, help="calls per second (default 100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to send (default 10, at most 120)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not 0 < given.seconds <= 120:
        parser.error("--seconds is above 0 and at most 120")
    load = run(
        *(given.target, given.method, given.body.read_bytes()),
        kind=given.arrivals,
        per_second=given.rate,
        seconds=given.seconds,
        seed=given.seed,
    )
    print(json.dumps(asdict(uvloop.run(load))))


if __name__ == "__main__":
    main()

"""Closed-loop streams: a fixed number is open at any time, and one that ends is followed by the next. Counts the tokens that arrive.

`python -m tierway_bench.stream_load --target HOST:PORT --streams 32` drives Tierway's `Stream`; with `--raw HOST:PORT` instead it drives
`raw_engine`, by the same workers. Prints its result as JSON. A client process of its own in both cases, so that they are alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

import uvloop

from tierway_bench.grpc_streams import grpc_streams
from tierway_bench.raw_streams import raw_streams
from tierway_bench.report import percentile
from tierway_bench.vllm_grpc_streams import vllm_grpc_streams

_GIVE_UP_S = 60.0


Streams = Callable[[str, int], AsyncIterator[int]]
"""Opens a stream for a prompt and a number of tokens; it yields the number of tokens of each message that arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What arrived in the measured time."""

    tokens_per_s: float
    tokens: int
    """All that arrived, the time before and after included."""
    messages_per_token: float
    """How many messages carried them: 1 means that nothing was coalesced."""
    answers: int
    """Streams that began in the measured time and reached their end."""
    tokens_per_answer: float
    first_token_p50_ms: float
    first_token_p99_ms: float


class _Count:
    """What the workers have seen so far."""

    def __init__(self) -> None:
        self.is_measuring = False
        self.all_tokens = self.tokens = self.messages = self.answers = self.answered_tokens = 0
        self.first_token_s: list[float] = []


async def run(
    connect: Callable[[], AbstractAsyncContextManager[Streams]],
    *,
    streams: int,
    max_tokens: int,
    warm_up_s: float,
    seconds: float,
    warmed_up: Callable[[], None],
) -> Result:
    """Keep `streams` streams open for `warm_up_s`, then `seconds` in which is measured, then leave them.

    Raises:
        RuntimeError: nothing arrived.

    """
    count = _Count()

    async def work(worker: int, open_stream: Streams) -> None:
        for number in range(1_000_000):
            began_s, began_measured, tokens = time.perf_counter(), count.is_measuring, 0
            # The number comes first: what differs only at the end would be answered from the prefix cache.
            async for token_count in open_stream(
                f"{worker}.{number}: tell a long story about a ship and its crew.", max_tokens
            ):
                if not tokens and token_count and began_measured:
                    count.first_token_s.append(time.perf_counter() - began_s)
                tokens += token_count
                count.all_tokens += token_count
                if count.is_measuring:
                    count.tokens += token_count
                    count.messages += 1
            if began_measured:
                count.answers += 1
                count.answered_tokens += tokens

    async with connect() as open_stream, asyncio.TaskGroup() as group:
        workers = [group.create_task(work(worker, open_stream)) for worker in range(streams)]
        await asyncio.sleep(warm_up_s)
        warmed_up()
        count.is_measuring = True
        start_s = time.perf_counter()
        await asyncio.sleep(seconds)
        count.is_measuring = False
        took_s = time.perf_counter() - start_s
        for worker in workers:
            worker.cancel()
    if not count.tokens:
        raise RuntimeError(f"no token arrived in {seconds:g} s")
    first_ms = [first_s * 1e3 for first_s in count.first_token_s]
    return Result(
        tokens_per_s=count.tokens / took_s,
        tokens=count.all_tokens,
        messages_per_token=count.messages / count.tokens,
        answers=count.answers,
        tokens_per_answer=count.answered_tokens / count.answers if count.answers else 0.0,
        first_token_p50_ms=percentile(first_ms, 50) if first_ms else 0.0,
        first_token_p99_ms=percentile(first_ms, 99) if first_ms else 0.0,
    )


def main() -> None:
    """Make the load and print what arrived."""
    parser = argparse.ArgumentParser(description="Keeps streams open and counts what arrives; prints JSON.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--target", metavar="HOST:PORT", help="a Tierway server")
    where.add_argument("--raw", metavar="HOST:PORT", help="a raw_engine process")
    where.add_argument("--vllm-grpc", metavar="HOST:PORT", help="vLLM's own gRPC server")
    parser.add_argument("--streams", type=int, default=1, help="how many at a time (default 1)")
    parser.add_argument("--max-tokens", type=int, default=64, help="the most tokens of a stream (default 64)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before the measured time (default 1)")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time (default 5, at most 120)")
    parser.add_argument("--signal", action="store_true", help="print {} when the measured time begins")
    given = parser.parse_args()
    if not 0 < given.seconds <= 120:
        parser.error("--seconds is above 0 and at most 120")
    if given.target:
        connection = grpc_streams(given.target)
    else:
        connection = vllm_grpc_streams(given.vllm_grpc) if given.vllm_grpc else raw_streams(given.raw)
    load = run(
        lambda: connection,
        streams=given.streams,
        max_tokens=given.max_tokens,
        warm_up_s=given.warm_up,
        seconds=given.seconds,
        warmed_up=lambda: print("{}", flush=True) if given.signal else None,
    )
    result = uvloop.run(asyncio.wait_for(load, given.warm_up + given.seconds + _GIVE_UP_S))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()

"""What the length of an engine's step costs: how long a prompt takes, and how long a request waits behind one that has been given up.

Against a running server (`max_num_batched_tokens` is the engine's; serve once for each value). A long prompt is timed to its first token;
then another one is cancelled in the middle of its prefill, and a short request is sent at once: its first token comes after the end of the
step in progress. Beside it the same short request on the idle engine.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

from tierway_bench.report import Machine, write_json
from tierway_client import AsyncClient, Delta, Sampling

_SHORT = Sampling(max_tokens=2, temperature=0.0)
_SENTENCE = "The quick brown fox jumps over the lazy dog again and again. "


async def first_token_s(client: AsyncClient, prompt: str) -> float:
    """The time from sending to the first token, in seconds."""
    began_s = time.perf_counter()
    async with client.stream(prompt, sampling=_SHORT) as events:
        async for event in events:
            if isinstance(event, Delta):
                return time.perf_counter() - began_s
    raise RuntimeError("the answer had no token")


async def measure(target: str, sentences: int, rounds: int) -> dict[str, list[float]]:
    """Seconds to the first token: `idle`, `long` prompts, and `after_abort` in the middle of a long one."""
    times_s: dict[str, list[float]] = {"idle": [], "long": [], "after_abort": []}
    async with AsyncClient(target, max_attempts=1) as client:
        for number in range(rounds):
            # Numbered in front: no prompt shares its prefix with another one.
            times_s["idle"].append(await first_token_s(client, f"{number}: hello there."))
            times_s["long"].append(await first_token_s(client, f"{number}, whole: " + _SENTENCE * sentences))
            given_up = asyncio.create_task(first_token_s(client, f"{number}, given up: " + _SENTENCE * sentences))
            await asyncio.sleep(times_s["long"][-1] / 2)  # the middle of the prefill, not a wait for readiness
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            times_s["after_abort"].append(await first_token_s(client, f"{number}: hello again."))
    return times_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the length of an engine's step costs.")
    parser.add_argument("--target", default="127.0.0.1:50051", help="the server (default %(default)s)")
    parser.add_argument(
        "--sentences", type=int, default=160, help="length of the long prompt (default %(default)s, of 13 tokens each)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    times_s = asyncio.run(measure(given.target, given.sentences, given.rounds))
    print(machine.text())
    for name, values in times_s.items():
        print(
            f"{name:<12} {statistics.median(values) * 1000:8.1f} ms ({min(values) * 1000:.1f} to {max(values) * 1000:.1f})"
        )
    write_json(given.json, machine, sys.argv, {"seconds": times_s})


if __name__ == "__main__":
    main()

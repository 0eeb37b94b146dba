"""An hour's traffic, compressed: does anything grow? `python -m tierway_bench.soak`.

At least 100,000 requests through a whole server to providers that fail now and then: answers unary and streamed, streams left by their
callers, retries, fallbacks, takeovers. The server's resident memory, descriptors and threads are read at every twentieth part of the way.
Memory is flat when its line over the second half (the first is warm-up) rises by less than 2 % of where it begins. Afterwards, idle again:
the slots must be free, and no more connections there than pools keep. Exits 1 when something grew, or an answer was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop

from tierway_bench import remote_config, scrape
from tierway_bench.fallback_drill import Outcome
from tierway_bench.processes import ProcessFailedError, Server, peer, tierway
from tierway_bench.remote_calls import Calls, calls
from tierway_bench.report import Machine, table, write_json

GOAL_GROWTH = 0.02
_SAMPLES = 20
_TOKENS = 16
_PROMPTS = 5_000
_FAULTS = ("--errors=0.02", "--cuts=0.03")
_START_S = 60.0
_SETTLE_S = 15.0
_POLL_S = 0.1
_LEFT = 10
"""Of so many requests one is left by its caller."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server held at a moment."""

    requests: int
    rss_mib: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process, requests: int) -> Sample:
        """What it holds now."""
        return cls(requests, process.memory_info().rss / 2**20, process.num_fds(), process.num_threads())


@dataclass(slots=True)
class Soak:
    """What was seen."""

    samples: list[Sample] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)
    left: int = 0
    """Streams that their callers left."""
    seconds: float = 0.0
    in_flight: float = 0.0
    """Slots held at the end."""
    to_providers: int = 0
    """Connections to providers at the end."""

    @property
    def growth(self) -> float:
        """The rise of memory over the second half, as a share: by a straight line through its samples."""
        second = self.samples[len(self.samples) // 2 :]
        slope, start = statistics.linear_regression(
            [each.requests for each in second], [each.rss_mib for each in second]
        )
        return slope * (second[-1].requests - second[0].requests) / (start + slope * second[0].requests)

    def grown(self, in_flight: int) -> list[str]:
        """What is not as it must be, in words."""
        found = [f"{count} x {what}" for what, count in self.outcome.errors.items()]
        if self.outcome.error_share > 0.01:
            found.append(f"{self.outcome.error_share:.2%} of the callers saw an error")
        if self.outcome.wrong:
            found.append(f"{self.outcome.wrong} wrong texts")
        if self.growth > GOAL_GROWTH:
            found.append(f"memory grew by {self.growth:.1%}")
        if self.in_flight:
            found.append(f"{self.in_flight:g} slots are held")
        if self.to_providers > 2 * in_flight:
            found.append(f"{self.to_providers} connections to providers are open")
        return found


async def soak(server: Server, ports: set[int], requests: int, in_flight: int) -> Soak:
    """Send the requests, and look."""
    seen, process, done = Soak(), psutil.Process(server.pid), 0
    numbers = iter(range(requests))
    every = max(1, requests // _SAMPLES)

    async def one_after_another(call: Calls) -> None:
        nonlocal done
        for number in numbers:
            # Prompts come again: what the providers keep of them must not grow either.
            prompt = f"Story {number % _PROMPTS}"
            if number % _LEFT == 0:
                await call.leave(prompt)
                seen.left += 1
            else:
                seen.outcome.count(await (call.stream if number % 2 else call.execute)(prompt))
            done += 1
            if done % every == 0:
                seen.samples.append(Sample.of(process, done))

    began_s = time.monotonic()
    async with calls(server.target, _TOKENS) as call, asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(one_after_another(call))
    seen.seconds = time.monotonic() - began_s
    give_up_s = time.monotonic() + _SETTLE_S
    while (held := scrape.total(await asyncio.to_thread(scrape.page, server.http), "tierway_in_flight")) != 0:
        if time.monotonic() > give_up_s:
            break
        await asyncio.sleep(_POLL_S)
    seen.in_flight = held or 0.0
    connections = process.net_connections("tcp")
    seen.to_providers = sum(bool(each.raddr) and each.raddr.port in ports for each in connections)
    return seen


def main() -> int:
    """Soak and print. Returns 1 when something grew, or nothing could be measured."""
    parser = argparse.ArgumentParser(description="An hour's traffic, compressed: does anything grow?")
    parser.add_argument("--requests", type=int, default=100_000, help="default 100,000")
    parser.add_argument("--in-flight", type=int, default=32, help="requests at a time (default 32)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text(), flush=True)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            ports = {}
            for name, faults in (("first", _FAULTS), ("second", ())):
                command = ["-m", "tierway_bench.mock_provider", f"--tokens={_TOKENS}", *faults]
                _, said = stack.enter_context(peer(command, folder / f"{name}.log", within_s=_START_S))
                ports[name] = int(said["port"])
            # Breakers off: the first provider is to be asked, and to fail, all the way.
            sections = {"breaker": {"enabled": False}}
            config = remote_config.write(folder / "tierway.yaml", ports, list(ports), sections=sections)
            server = stack.enter_context(tierway(config, folder / "tierway.log"))
            seen = uvloop.run(soak(server, set(ports.values()), given.requests, given.in_flight))
    except (ProcessFailedError, scrape.ScrapeError) as error:
        print(error, file=sys.stderr)
        return 1
    write_json(given.json, machine, sys.argv, {"soak": seen})
    rows = [
        [f"{each.requests:,}", f"{each.rss_mib:.1f}", f"{each.descriptors}", f"{each.threads}"] for each in seen.samples
    ]
    print(table(["requests", "RSS, MiB", "descriptors", "threads"], rows))
    outcome = seen.outcome
    print(
        f"{seen.seconds:.0f} s; {outcome.failed_over:,} failed over, {seen.left:,} left, {outcome.errors.total()} errors; "
        f"memory over the second half {seen.growth:+.2%}; "
        f"at the end {seen.in_flight:g} slots held, {seen.to_providers} connections to providers"
    )
    grown = seen.grown(given.in_flight)
    for each in grown:
        print(f"  {each}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())

"""How many answers arrive when providers fail: `python -m tierway_bench.fallback_drill`.

Three providers in a chain: nobody listens at the first, the second fails in 30 % of its requests (half are refused with 500, half break off
in the midst of the text), the third is well. Once with circuit breakers, as configured by default, and once without, so that every request
meets both failures. Goals: at least 95 % of the requests that meet a failure are answered nevertheless, and rightly; at most 1 % of all
callers see an error. Exits 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tierway_bench import remote_config
from tierway_bench.processes import ProcessFailedError, free_port, peer, tierway
from tierway_bench.remote_calls import Calls, Told, calls
from tierway_bench.report import Machine, table, write_json

GOAL_FALLBACK = 0.95
GOAL_ERRORS = 0.01
_TOKENS = 32
_FLAPPING = 0.15
"""Share of refusals, and as much again of cuts."""
_START_S = 60.0


@dataclass(slots=True)
class Outcome:
    """What the callers of one run saw."""

    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """By code and message."""
    wrong: int = 0
    """Answers whose text was not right."""
    failed_over: int = 0
    """Right answers that met at least one failure on their way."""

    def count(self, told: Told) -> None:
        """Count one call."""
        self.requests += 1
        if told.error:
            self.errors[told.error] += 1
        elif not told.is_right:
            self.wrong += 1
        elif told.failed_over:
            self.failed_over += 1

    @property
    def error_share(self) -> float:
        """Of all callers, those that saw an error or a wrong text."""
        return (self.errors.total() + self.wrong) / self.requests

    @property
    def fallback_share(self) -> float:
        """Of the requests that met a failure, those that were answered rightly; 1 when none met any."""
        met = self.failed_over + self.errors.total() + self.wrong
        return self.failed_over / met if met else 1.0

    @property
    def is_good(self) -> bool:
        """Whether the goals are met."""
        return self.fallback_share >= GOAL_FALLBACK and self.error_share <= GOAL_ERRORS


async def drill(target: str, requests: int, in_flight: int) -> Outcome:
    """Send so many requests, unary and streamed in turns."""
    outcome = Outcome()
    numbers = iter(range(requests))

    async def one_after_another(call: Calls) -> None:
        for number in numbers:
            ask = call.stream if number % 2 else call.execute
            outcome.count(await ask(f"Story {number}"))

    async with calls(target, _TOKENS) as call, asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(one_after_another(call))
    return outcome


def run(requests: int, in_flight: int, *, has_breakers: bool, seed: int = 0) -> Outcome:
    """Start the processes, drill, and end them.

    Raises:
        ProcessFailedError: one of them did not start.

    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = ["-m", "tierway_bench.mock_provider", f"--tokens={_TOKENS}", f"--seed={seed}"]
        # Half of the requests are not streamed to callers, but all are to the provider: each can break off.
        faults = [f"--errors={_FLAPPING}", f"--cuts={_FLAPPING}"]
        ports = {"down": free_port()}
        for name, arguments in (("flapping", faults), ("good", [])):
            _, said = stack.enter_context(peer([*base, *arguments], folder / f"{name}.log", within_s=_START_S))
            ports[name] = int(said["port"])
        breaker = {} if has_breakers else {"breaker": {"enabled": False}}
        config = remote_config.write(folder / "tierway.yaml", ports, list(ports), sections=breaker)
        server = stack.enter_context(tierway(config, folder / "tierway.log"))
        return uvloop.run(drill(server.target, requests, in_flight))


def main() -> int:
    """Drill and print. Returns 1 when a goal was missed, or nothing could be measured."""
    parser = argparse.ArgumentParser(description="How many answers arrive when providers fail.")
    parser.add_argument("--requests", type=int, default=5_000, help="of each run (default 5,000)")
    parser.add_argument("--in-flight", type=int, default=16, help="requests at a time (default 16)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text(), flush=True)
    outcomes: dict[str, Outcome] = {}
    try:
        for name, has_breakers in (("with breakers", True), ("without breakers", False)):
            outcomes[name] = run(given.requests, given.in_flight, has_breakers=has_breakers)
    except ProcessFailedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        write_json(given.json, machine, sys.argv, outcomes)
    rows = [
        [
            name,
            f"{each.requests:,}",
            f"{each.failed_over:,}",
            f"{each.fallback_share:.2%}",
            f"{each.errors.total()}",
            f"{each.wrong}",
            f"{each.error_share:.2%}",
        ]
        for name, each in outcomes.items()
    ]
    print(table(["", "requests", "failed over", "fallback success", "errors", "wrong texts", "seen by callers"], rows))
    for what, count in itertools.chain.from_iterable(each.errors.most_common(5) for each in outcomes.values()):
        print(f"  {count} x {what}")
    return 0 if all(each.is_good for each in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Streams that are cut, and go on: `python -m tierway_bench.takeover`.

The first provider ends every stream at a random byte: in the midst of an event, a character, a chunk's length. The second takes over. Every
text is compared with the story that was to be told, so a character that is lost or comes twice is found; the cuts are many at a time. Then,
one at a time, how long after the cut the next model's first piece of text is with the caller. Both providers live in this process, so that
the moment of the cut is known on the caller's clock. As compatible services are by default (asked in words to go on), and as vLLM is (the
answer so far is the beginning of the assistant's turn). Exits 1 when a text is wrong or a call failed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tierway_bench import remote_config
from tierway_bench.mock_provider import Faults, mock_provider
from tierway_bench.processes import ProcessFailedError, Server, tierway
from tierway_bench.remote_calls import Told, calls
from tierway_bench.report import Machine, percentile, table, write_json

KINDS = ("openai", "vllm")
_TOKENS = 64


@dataclass(slots=True)
class Outcome:
    """What came of the cuts."""

    cuts: int = 0
    """Streams that were cut."""
    taken_over: int = 0
    """Those of them whose text had begun; the others fell back."""
    right: int = 0
    """Texts without a character lost or doubled."""
    errors: Counter[str] = field(default_factory=Counter)
    gaps_s: list[float] = field(default_factory=list)
    """From a cut to the next piece of text, where the text had begun."""

    def count(self, told: Told) -> None:
        """Count one stream."""
        self.taken_over += told.broke_off
        self.right += told.is_right
        if told.error or not told.is_right:
            self.errors[told.error or "the text is wrong"] += 1


async def drill(kind: str, folder: Path, cuts: int, timed: int, in_flight: int, seed: int = 0) -> Outcome:
    """Serve both providers here, Tierway in a process of its own, and have so many streams cut.

    Raises:
        ProcessFailedError: Tierway did not start.

    """
    outcome = Outcome()
    cut_s = 0.0

    def cut() -> None:
        nonlocal cut_s
        outcome.cuts += 1
        cut_s = time.perf_counter()

    def resumed() -> None:
        outcome.gaps_s.append(time.perf_counter() - cut_s)

    async with (
        mock_provider(_TOKENS, Faults(cuts=1.0), seed=seed, cut=cut) as cutting,
        mock_provider(_TOKENS) as good,
    ):
        with ExitStack() as stack:
            sections = {"breaker": {"enabled": False}, "retries": {"max_retries": 0}}
            ports = {"cutting": cutting, "good": good}
            config = remote_config.write(folder / f"{kind}.yaml", ports, list(ports), kind=kind, sections=sections)
            # Starting it blocks, and nobody asks the providers meanwhile.
            server: Server = stack.enter_context(tierway(config, folder / f"{kind}.log"))
            async with calls(server.target, _TOKENS) as call:
                numbers = iter(range(cuts))

                async def one_after_another() -> None:
                    for number in numbers:
                        outcome.count(await call.stream(f"Story {number}"))

                async with asyncio.TaskGroup() as group:
                    for _ in range(in_flight):
                        group.create_task(one_after_another())
                for number in range(timed):
                    outcome.count(await call.stream(f"Timed {number}", resumed))
    return outcome


def main() -> int:
    """Drill and print. Returns 1 when a text was wrong, or nothing could be measured."""
    parser = argparse.ArgumentParser(description="Streams that are cut, and go on.")
    parser.add_argument("--cuts", type=int, default=10_000, help="of each kind of provider (default 10,000)")
    parser.add_argument("--timed", type=int, default=500, help="and so many one at a time, timed (default 500)")
    parser.add_argument("--in-flight", type=int, default=16, help="streams at a time (default 16)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text(), flush=True)
    outcomes: dict[str, Outcome] = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for kind in given.kinds:
                outcomes[kind] = uvloop.run(drill(kind, Path(folder), given.cuts, given.timed, given.in_flight))
    except ProcessFailedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        write_json(given.json, machine, sys.argv, outcomes)
    rows = [
        [
            kind,
            f"{each.cuts:,}",
            f"{each.taken_over:,}",
            f"{each.right:,}",
            *(f"{percentile(each.gaps_s, percent) * 1e3:.2f}" if each.gaps_s else "-" for percent in (50, 99)),
        ]
        for kind, each in outcomes.items()
    ]
    print(table(["kind", "cuts", "taken over", "right texts", "gap median, ms", "gap P99, ms"], rows))
    for kind, each in outcomes.items():
        for what, count in each.errors.most_common(5):
            print(f"  {kind}: {count} x {what}")
    return 1 if any(each.errors for each in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

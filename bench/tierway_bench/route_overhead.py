"""What `Route` costs over gRPC, against the least that grpc.aio can do: `python -m tierway_bench.route_overhead`.

Closed loop: h2load drives the real server and a bare echo of the same request with a constant reply of the same size, each in a process of
its own on uvloop, in interleaved rounds; what counts is the ratio of each pair of rounds. Open loop: latency from the appointed time of
sending, at 100 requests/s and at half the knee, the knee being the highest open-loop rate that the server sustains. With an engine: the
same latency while streams decode on the same cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tierway_bench import closed_route, open_route
from tierway_bench.h2load import H2loadError
from tierway_bench.processes import ProcessFailedError
from tierway_bench.report import Machine, write_json

_TEXT = "What is the capital of France, and which river flows through it? "


def main() -> int:
    """Measure and print. Returns 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(description="What Route costs over gRPC, against a bare grpc.aio echo.")
    parser.add_argument("--mode", choices=("closed", "open", "both"), default="both")
    parser.add_argument(
        "--with-engine", type=int, metavar="STREAMS", default=0, help="open loop beside so many decoding streams, too"
    )
    parser.add_argument("--characters", type=int, default=30, help="length of the prompt (default 30)")
    parser.add_argument("--rounds", type=int, default=7, help="closed-loop rounds (default 7)")
    parser.add_argument("--requests", type=int, default=8_000, help="requests a round (default 8,000)")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        default=1,
        help="closed loop: N processes beside the one, too (default 1: not)",
    )
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--streams", type=int, default=8, help="calls under way on each connection (default 8)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of an open-loop run (default 10)")
    parser.add_argument("--rate", type=float, help="instead of looking for the knee, take half of it to be this rate")
    parser.add_argument("--arrivals", choices=("poisson", "fixed"), default="poisson")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text(), flush=True)
    prompt = (_TEXT * (given.characters // len(_TEXT) + 1))[: given.characters]
    results: dict[str, object] = {}

    def measure(name: str, measurement: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measurement(Path(folder))

    try:
        if given.mode != "open":
            shape = closed_route.Shape(given.rounds, given.requests, given.connections, given.streams, given.workers)
            measure("closed", lambda folder: closed_route.measure(folder, prompt, shape))
        if given.mode != "closed":
            load = open_route.Load(given.seconds, given.arrivals, given.rate, given.with_engine)
            measure("open", lambda folder: open_route.measure(folder, prompt, load))
    except (H2loadError, ProcessFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        write_json(given.json, machine, sys.argv, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())

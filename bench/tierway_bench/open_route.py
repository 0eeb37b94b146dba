"""Latency of `Route` in an open loop: at 100 requests/s and at half the knee, alone and while an engine decodes on the same cores.

A bare echo of the same messages stands beside it at the same rates: what it shows too is the machine's and the generator's, not ours.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2
from tierway_bench import closed_route, echo_server
from tierway_bench.knee import find_knee
from tierway_bench.processes import call, peer, tierway
from tierway_bench.report import table

_START_S = 60.0
_ECHO = echo_server.MESSAGES
_STEADY_RATE = 100.0
_KNEE_SECONDS = 3.0
_KNEE_START, _KNEE_LIMIT = 400.0, 20_000.0
# Beyond the knee the queue grows for as long as the run lasts: with one that is 3 s long, this is a rate missed by less than 2 %.
_KNEE_P99_MS = 50.0


@dataclass(frozen=True, slots=True)
class Load:
    """What load to make."""

    seconds: float
    arrivals: str
    half_knee: float | None
    """The second rate, in requests per second; None to look for the knee."""
    decoding_streams: int
    """How many streams decode in the second part; 0 leaves it out."""


def measure(folder: Path, prompt: str, load: Load) -> dict[str, Any]:
    """Measure and print.

    Raises:
        ProcessFailedError: a process did not do its work.

    """
    body = folder / "request"
    body.write_bytes(pb.RouteRequest(query=types_pb2.Query(prompt=prompt)).SerializeToString())
    results: dict[str, Any] = {}
    with ExitStack() as stack:
        _, addresses = stack.enter_context(
            peer(["-m", "tierway_bench.route_server"], folder / "route.log", within_s=_START_S)
        )
        (folder / "reply").write_bytes(closed_route.answer_of(addresses, body.read_bytes()))
        echo_command = ["-m", "tierway_bench.echo_server", str(folder / "reply")]
        _, echo = stack.enter_context(peer(echo_command, folder / "echo.log", within_s=_START_S))
        if (half_knee := load.half_knee) is None:
            knee = find_knee(
                lambda rate: _is_sustained(_run(addresses["grpc"], body, load, rate, _KNEE_SECONDS)),
                start=_KNEE_START,
                limit=_KNEE_LIMIT,
            )
            print(f"\nKnee: {knee:,.0f} requests/s (this client and the server on the same cores)")
            results["knee_per_second"], half_knee = knee, knee / 2
        rates = [rate for rate in (_STEADY_RATE, half_knee) if rate]
        for rate in rates:
            results[f"alone at {rate:,.0f}/s"] = _run(addresses["grpc"], body, load, rate, load.seconds)
            results[f"the echo at {rate:,.0f}/s"] = _run(echo["grpc"], body, load, rate, load.seconds, _ECHO)
        if load.decoding_streams:
            server = stack.enter_context(tierway(None, folder / "serve.log"))
            for rate in rates:
                # Its first line says that the streams decode, its end that they went on all the time.
                command = ["-m", "tierway_bench.stream_load", "--target", server.target, "--signal"]
                command += [f"--streams={load.decoding_streams}", "--max-tokens=256", "--seconds=120"]
                with peer(command, folder / "decode.log", within_s=_START_S):
                    beside = f"beside {load.decoding_streams} streams at {rate:,.0f}/s"
                    results[beside] = _run(server.target, body, load, rate, load.seconds)
                    results[f"the echo {beside}"] = _run(echo["grpc"], body, load, rate, load.seconds, _ECHO)
    columns = ("p50_ms", "p99_ms", "p999_ms", "max_ms", "late_p99_ms")
    rows = [
        [name, f"{one['sent']:,}", str(sum(one["failed"].values())), *(f"{one[column]:.2f}" for column in columns)]
        for name, one in results.items()
        if isinstance(one, dict)
    ]
    print(f"\nOpen loop, {load.arrivals} arrivals, ms from the appointed time of sending")
    print(table(["", "sent", "failed", "P50", "P99", "P99.9", "max", "of it, client P99"], rows))
    return results


def _run(
    target: str, body: Path, load: Load, rate: float, seconds: float, method: str = closed_route.ROUTE
) -> dict[str, Any]:
    command = ["-m", "tierway_bench.open_loop", "--target", target, "--method", method, "--body", str(body)]
    command += [f"--rate={rate}", f"--seconds={seconds}", f"--arrivals={load.arrivals}"]
    return call(command, within_s=3 * seconds + 30)


def _is_sustained(result: dict[str, Any]) -> bool:
    return not result["failed"] and result["p99_ms"] <= _KNEE_P99_MS

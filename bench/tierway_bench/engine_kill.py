"""Kills the engine's processes and takes the time until the server says so, and until it answers again.

`python -m tierway_bench.engine_kill --target HOST:PORT --http http://HOST:PORT --pid PID`, against a running server of this machine with
one engine. First EngineCore is killed (-9), then a worker; each time streams are under way. Exits 1 when the server did not recover in
time, when a stream was left hanging, or when a process of the dead engine is left over.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import psutil

from tierway_bench.deaths import POLL_S, answers, first_time_s, is_serving, seconds, streams_under_way
from tierway_bench.processes import fetch
from tierway_bench.report import Machine, table, write_json

VICTIMS = ("EngineCore", "Worker")
"""What the names of vLLM's processes contain."""

_NOT_READY_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one kill came to. Seconds count from the kill; None where it did not happen in time."""

    victim: str
    http_not_ready_s: float | None
    health_not_serving_s: float | None
    streams: dict[str, int]
    """How the streams under way ended."""
    streams_ended_s: float
    first_success_s: float | None
    orphans: int
    """Processes of the dead engine that are still there after the first success."""


def engine_processes(pid: int) -> list[psutil.Process]:
    """EngineCore and its workers, below the server's process. Its other children, such as multiprocessing's own, outlive engines."""
    cores = [child for child in psutil.Process(pid).children() if _is_called(child, VICTIMS[0])]
    return [process for core in cores for process in (core, *core.children(recursive=True))]


def _is_called(process: psutil.Process, name: str) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any(name in word for word in process.cmdline()[:1])
    return False


def kill_round(given: argparse.Namespace, name: str) -> Round | None:
    """Kill one process and watch; None when there is no such process."""
    processes = engine_processes(given.pid)
    victim = next((process for process in processes if _is_called(process, name)), None)
    if victim is None:
        return None
    with (
        grpc.insecure_channel(given.target) as channel,
        ThreadPoolExecutor(given.streams + 3) as pool,
        streams_under_way(channel, pool, given.streams) as ended,
    ):
        killed_s = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)

        def watch(happened: Callable[[], bool], within_s: float, poll_s: float) -> Future[float | None]:
            return pool.submit(first_time_s, happened, since_s=killed_s, within_s=within_s, poll_s=poll_s)

        http = watch(lambda: fetch(f"{given.http}/ready")[0] == 503, _NOT_READY_WITHIN_S, POLL_S)
        health = watch(lambda: not is_serving(channel), _NOT_READY_WITHIN_S, POLL_S)
        # Not before it is down: until then a request may still slip through to the dying engine's last answers.
        http_s, health_s = http.result(), health.result()
        success = watch(lambda: answers(channel), given.recover_within, 10 * POLL_S)
        ends = ended()
        ended_s = time.monotonic() - killed_s
        success_s = success.result()
    return Round(
        victim=f"{name} ({victim.pid})",
        http_not_ready_s=http_s,
        health_not_serving_s=health_s,
        streams=dict(ends),
        streams_ended_s=ended_s,
        first_success_s=success_s,
        orphans=sum(_is_alive(process) for process in processes),
    )


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running()  # a zombie counts: nobody has collected it
    except psutil.NoSuchProcess:
        return False


def main() -> int:
    """Kill, watch, print. Returns 1 when the server did not recover wholly."""
    parser = argparse.ArgumentParser(description="Kills the engine's processes and times what follows.")
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--http", required=True, metavar="http://HOST:PORT", help="where /ready is")
    parser.add_argument("--pid", required=True, type=int, help="the server's process")
    parser.add_argument("--streams", type=int, default=4, help="streams under way when it happens (default 4)")
    parser.add_argument(
        "--recover-within", type=float, default=120.0, help="seconds to wait for an answer (default 120)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    machine = Machine.here()
    print(machine.text(), flush=True)
    rounds, missing = [], []
    for name in VICTIMS:
        outcome = kill_round(given, name)
        (missing.append(name) if outcome is None else rounds.append(outcome))
    header = ["killed", "/ready 503, s", "health, s", "streams ended, s", "as", "first success, s", "orphans"]
    rows = [
        [
            one.victim,
            seconds(one.http_not_ready_s),
            seconds(one.health_not_serving_s),
            seconds(one.streams_ended_s),
            ", ".join(f"{number} {code}" for code, number in one.streams.items()),
            seconds(one.first_success_s),
            str(one.orphans),
        ]
        for one in rounds
    ]
    print(f"\n{table(header, rows)}")
    for name in missing:
        print(f"no process named {name} below {given.pid}")
    write_json(given.json, machine, sys.argv, {"rounds": [asdict(one) for one in rounds], "missing": missing})
    has_recovered = all(
        one.http_not_ready_s is not None
        and one.first_success_s is not None
        and not one.orphans
        and grpc.StatusCode.DEADLINE_EXCEEDED.name not in one.streams
        for one in rounds
    )
    return 0 if rounds and has_recovered else 1


if __name__ == "__main__":
    sys.exit(main())

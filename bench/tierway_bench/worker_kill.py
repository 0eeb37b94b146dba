"""Kills the workers of a server and its engine host, and takes the time until nothing of it can be felt any more.

`python -m tierway_bench.worker_kill --target HOST:PORT --pid PID`, against a running `tierway serve --workers 2` of this machine (or more
workers) whose deployments are engines of its own. In each round one worker is killed (-9) with streams under way on a connection to it,
and it is taken when they had ended, when another worker answered, when what the dead one held was given back, and when its successor
answered. Then the engine host is killed with streams under way at every worker, and it is taken when each of them said that it serves no
more, and when each of them answered again. Exits 1 when any of this did not happen in time, or a stream was left hanging.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import grpc
import psutil

from tierway.v1 import router_service_pb2 as pb
from tierway_bench.deaths import CALL_S, POLL_S, answers, first_time_s, is_serving, seconds, streams_under_way
from tierway_bench.report import Machine, table, write_json

WORKER = "tierway_server.workers.worker"
HOST = "tierway_server.workers.host"
"""What the command lines of the processes contain."""

_GET_STATS = "/tierway.v1.RouterService/GetStats"
_LEAST_STREAMS = 2
_CONNECT_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDeath:
    """What one worker's death came to. Seconds count from the kill; None where it did not happen in time."""

    victim: int
    streams: dict[str, int]
    """How the streams under way ended."""
    streams_ended_s: float
    others_answered_s: float | None
    share_returned_s: float | None
    """When the requests in flight that it held were counted out, as another worker told."""
    successor_answered_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDeath:
    """What the engine host's death came to, likewise; of all workers, the last one counts."""

    victim: int
    streams: dict[str, int]
    streams_ended_s: float
    all_knew_s: float | None
    all_answered_s: float | None


def children(pid: int, name: str) -> list[int]:
    """The processes of this name below the supervisor."""
    found = []
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            if name in child.cmdline():
                found.append(child.pid)
    return found


def _ports(pid: int, server_port: int) -> set[int]:
    """The client's ports of all connections to the server that a process has an end of."""
    with suppress(psutil.NoSuchProcess):
        connections = psutil.Process(pid).net_connections("tcp")
        pairs = [(each.laddr.port, each.raddr.port) for each in connections if each.status == psutil.CONN_ESTABLISHED]
        return {one for pair in pairs for one, other in (pair, pair[::-1]) if other == server_port}
    return set()


@contextmanager
def connected(target: str, workers: list[int]) -> Iterator[tuple[grpc.Channel, int | None]]:
    """A connection of its own, and the worker that has accepted it; None: none of these has."""
    server_port = int(target.rpartition(":")[2])
    before = _ports(os.getpid(), server_port)
    with grpc.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        grpc.channel_ready_future(channel).result(CALL_S)
        own = _ports(os.getpid(), server_port) - before
        yield channel, next((worker for worker in workers if own & _ports(worker, server_port)), None)


def channels(stack: ExitStack, target: str, workers: list[int]) -> dict[int, grpc.Channel]:
    """A connection to each of the workers."""
    found: dict[int, grpc.Channel] = {}
    while len(found) < len(workers):
        channel, worker = stack.enter_context(connected(target, workers))
        if worker is not None:
            found.setdefault(worker, channel)
    return found


def in_flight(channel: grpc.Channel) -> int:
    """How many requests are in flight, of all workers."""
    call = channel.unary_unary(
        _GET_STATS,
        request_serializer=pb.GetStatsRequest.SerializeToString,
        response_deserializer=pb.GetStatsResponse.FromString,
    )
    reply: pb.GetStatsResponse = call(pb.GetStatsRequest(), timeout=CALL_S)
    return reply.in_flight


def successor_answers(target: str, pid: int, before: list[int]) -> bool:
    """Whether a worker that was not there before answers; most connections reach another while it starts."""
    new = [worker for worker in children(pid, WORKER) if worker not in before]
    if not new:
        return False
    with connected(target, new) as (channel, worker):
        return worker is not None and answers(channel)


class Watching:
    """Waits for several things at once, all counted from one moment."""

    def __init__(self, pool: ThreadPoolExecutor, within_s: float) -> None:
        self._pool = pool
        self._within_s = within_s
        self._since_s = time.monotonic()

    def until(self, happened: Callable[[], bool], poll_s: float = POLL_S) -> Future[float | None]:
        """When it first happened."""
        return self._pool.submit(first_time_s, happened, since_s=self._since_s, within_s=self._within_s, poll_s=poll_s)

    @property
    def now_s(self) -> float:
        """Since the moment, in seconds."""
        return time.monotonic() - self._since_s


def kill_worker(given: argparse.Namespace) -> WorkerDeath:
    """Kill a worker that streams, and watch."""
    workers = children(given.pid, WORKER)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(given.streams + 4))
        [(victim, its), (_, another), *_] = channels(stack, given.target, workers).items()
        ended = stack.enter_context(streams_under_way(its, pool, given.streams))
        os.kill(victim, signal.SIGKILL)
        watching = Watching(pool, given.recover_within)
        # One that waits for an answer is in flight itself.
        share = watching.until(lambda: in_flight(another) < _LEAST_STREAMS)
        others = watching.until(partial(answers, another))
        ends = ended()
        ended_s = watching.now_s
        # Alone: who opens a connection tells it from all others by its port.
        successor_s = watching.until(lambda: successor_answers(given.target, given.pid, workers), _CONNECT_S).result()
        return WorkerDeath(
            victim=victim,
            streams=dict(ends),
            streams_ended_s=ended_s,
            others_answered_s=others.result(),
            share_returned_s=share.result(),
            successor_answered_s=successor_s,
        )


def kill_host(given: argparse.Namespace) -> HostDeath:
    """Kill the engine host while every worker streams from it, and watch."""
    workers = children(given.pid, WORKER)
    [victim] = children(given.pid, given.host)
    each = max(given.streams // len(workers), 1)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(workers) * (each + 2)))
        all_ = channels(stack, given.target, workers).values()
        ended = [stack.enter_context(streams_under_way(channel, pool, each)) for channel in all_]
        os.kill(victim, signal.SIGKILL)
        watching = Watching(pool, given.recover_within)
        known = [watching.until(partial(serves_no_more, channel)) for channel in all_]
        ends = sum((streams() for streams in ended), Counter[str]())
        ended_s = watching.now_s
        all_knew_s = last_s([one.result() for one in known])
        # Not before they know: until then an answer may still slip through.
        answered = [watching.until(partial(answers, channel), 10 * POLL_S) for channel in all_]
        return HostDeath(
            victim=victim,
            streams=dict(ends),
            streams_ended_s=ended_s,
            all_knew_s=all_knew_s,
            all_answered_s=last_s([one.result() for one in answered]),
        )


def serves_no_more(channel: grpc.Channel) -> bool:
    """Whether the worker at the other end says so."""
    return not is_serving(channel)


def last_s(moments_s: list[float | None]) -> float | None:
    """The last of these moments; None if one of them never came."""
    came_s = [moment_s for moment_s in moments_s if moment_s is not None]
    return max(came_s) if len(came_s) == len(moments_s) else None


def main() -> int:
    """Kill, watch, print. Returns 1 when the server did not recover wholly."""
    parser = argparse.ArgumentParser(description="Kills workers and the engine host, and times what follows.")
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--pid", required=True, type=int, help="the server's process")
    parser.add_argument("--rounds", type=int, default=3, help="deaths of each kind (default 3)")
    parser.add_argument("--streams", type=int, default=4, help="streams under way, 2 or more (default 4)")
    parser.add_argument("--host", default=HOST, metavar="MODULE", help=f"what the engine host runs (default {HOST})")
    parser.add_argument(
        "--recover-within", type=float, default=120.0, help="seconds to wait for each thing (default 120)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    given = parser.parse_args()
    if given.streams < _LEAST_STREAMS or len(children(given.pid, WORKER)) < 2:
        parser.error("it takes two streams, and a server of two workers")
    machine = Machine.here()
    print(machine.text(), flush=True)
    workers = [kill_worker(given) for _ in range(given.rounds)]
    hosts = [kill_host(given) for _ in range(given.rounds)]
    header = ["killed", "streams ended, s", "as", "another answered, s", "share returned, s", "successor answered, s"]
    rows = [
        [
            f"worker ({one.victim})",
            seconds(one.streams_ended_s),
            _ends(one.streams),
            seconds(one.others_answered_s),
            seconds(one.share_returned_s),
            seconds(one.successor_answered_s),
        ]
        for one in workers
    ]
    print(f"\n{table(header, rows)}")
    header = ["killed", "streams ended, s", "as", "all workers knew, s", "all answered, s"]
    rows = [
        [
            f"engine host ({one.victim})",
            seconds(one.streams_ended_s),
            _ends(one.streams),
            seconds(one.all_knew_s),
            seconds(one.all_answered_s),
        ]
        for one in hosts
    ]
    print(f"\n{table(header, rows)}")
    figures = {"workers": [asdict(one) for one in workers], "hosts": [asdict(one) for one in hosts]}
    write_json(given.json, machine, sys.argv, figures)
    deaths: list[WorkerDeath | HostDeath] = [*workers, *hosts]
    has_recovered = all(None not in asdict(one).values() for one in deaths)
    return 0 if has_recovered and not any("DEADLINE_EXCEEDED" in one.streams for one in deaths) else 1


def _ends(streams: dict[str, int]) -> str:
    return ", ".join(f"{number} {code}" for code, number in streams.items())


if __name__ == "__main__":
    sys.exit(main())

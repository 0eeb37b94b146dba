"""Requests per second of `Route` and of bare echoes, driven by h2load in interleaved rounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2
from tierway_bench import echo_server, h2load, scrape
from tierway_bench.framing import framed
from tierway_bench.processes import ProcessFailedError, cpu_s, fetch, peer
from tierway_bench.report import Spread, ratios, table

ROUTE = "/tierway.v1.RouterService/Route"
_START_S = 60.0
_CALL_S = 5.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How much load."""

    rounds: int
    requests: int
    connections: int
    streams: int
    workers: int = 1
    """How many processes serve in an arm of their own; 1 leaves that arm out."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing that is measured."""

    name: str
    pid: int
    address: str
    method: str
    answered: Callable[[], int]
    """How many calls it has answered with OK so far."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one arm."""

    per_second: Spread
    ratio_of_route: Spread
    """Requests per second of Route over those of this arm, round by round."""
    cpu_us: Spread
    """Processor time of the server for a request, in microseconds: other processes disturb it least."""


def measure(folder: Path, prompt: str, shape: Shape) -> dict[str, Outcome]:
    """Measure and print.

    Raises:
        H2loadError: there is no h2load, or a run did not count.
        ProcessFailedError: a server did not start.

    """
    h2load.executable()
    request = pb.RouteRequest(query=types_pb2.Query(prompt=prompt)).SerializeToString()
    (folder / "request").write_bytes(framed(request))
    with ExitStack() as stack:

        def started(module: str, *arguments: str) -> tuple[int, dict[str, str]]:
            log = folder / f"{module}{len(arguments)}.log"
            command = ["-m", f"tierway_bench.{module}", *arguments]
            return stack.enter_context(peer(command, log, within_s=_START_S))

        route_pid, route = started("route_server")
        reply = answer_of(route, request)
        (folder / "reply").write_bytes(reply)
        echo_pid, echo = started("echo_server", str(folder / "reply"))
        arms = [
            Arm("Route", route_pid, route["grpc"], ROUTE, lambda: _ok_of_route(route["http"])),
            Arm("echo, bytes", echo_pid, echo["grpc"], echo_server.BYTES, lambda: _ok_of_echo(echo["grpc"])),
            Arm("echo, messages", echo_pid, echo["grpc"], echo_server.MESSAGES, lambda: _ok_of_echo(echo["grpc"])),
        ]
        if shape.workers > 1:
            many_pid, many = started("route_server", "--workers", str(shape.workers))
            name = f"Route, {shape.workers} workers"
            arms.append(Arm(name, many_pid, many["grpc"], ROUTE, lambda: _ok_of_route(many["http"])))
        rates, cpu_us = _rounds(arms, folder / "request", shape)
    outcomes = {
        name: Outcome(Spread.of(rate), ratios(rates["Route"], rate), Spread.of(cpu_us[name]))
        for name, rate in rates.items()
    }
    print(
        f"\nClosed loop: {len(request)} bytes in, {len(reply)} out; {shape.rounds} rounds of {shape.requests:,} requests,"
        f" {shape.connections} connections of {shape.streams} calls; median (range)"
    )
    rows = [
        [name, one.per_second.text(0), one.ratio_of_route.text(3), one.cpu_us.text(0)] for name, one in outcomes.items()
    ]
    print(table(["", "requests/s", "Route, of that", "server CPU, us/request"], rows))
    return outcomes


def answer_of(addresses: dict[str, str], request: bytes) -> bytes:
    """What the server answers, as soon as it does."""
    give_up_s = time.monotonic() + _CALL_S
    while fetch(f"http://{addresses['http']}/health")[0] != 200 and time.monotonic() < give_up_s:
        time.sleep(0.05)
    with grpc.insecure_channel(addresses["grpc"]) as channel:
        try:
            return _bytes_call(channel, ROUTE)(request, timeout=_CALL_S, wait_for_ready=True)
        except grpc.RpcError as error:
            raise ProcessFailedError(f"Route failed: {error}") from error


def _rounds(arms: list[Arm], body: Path, shape: Shape) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    rates: dict[str, list[float]] = {arm.name: [] for arm in arms}
    cpu_us: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for number in range(shape.rounds + 1):
        # Each other round backwards, so that no arm always comes after the same neighbour.
        for arm in arms if number % 2 else reversed(arms):
            before, cpu_before_s = arm.answered(), cpu_s(arm.pid)
            load = h2load.run(
                *(arm.address, arm.method, body),
                requests=shape.requests,
                connections=shape.connections,
                streams=shape.streams,
            )
            used_s = cpu_s(arm.pid) - cpu_before_s
            if (counted := arm.answered() - before) != shape.requests:
                raise h2load.H2loadError(f"{arm.name} answered {counted} of {shape.requests} requests with OK")
            if number:  # the first round warms up
                rates[arm.name].append(load.per_second)
                cpu_us[arm.name].append(used_s / shape.requests * 1e6)
    return rates, cpu_us


def _ok_of_route(http: str) -> int:
    page = scrape.page(f"http://{http}")
    return int(scrape.total(page, "grpc_server_handled_total", grpc_method="Route", grpc_code="OK") or 0)


def _ok_of_echo(address: str) -> int:
    with grpc.insecure_channel(address) as channel:
        return int(_bytes_call(channel, echo_server.COUNT)(b"", timeout=_CALL_S))


def _bytes_call(channel: grpc.Channel, method: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(method)

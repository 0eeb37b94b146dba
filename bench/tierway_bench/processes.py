"""The processes that a benchmark starts: each ends with the block that started it, and takes what it started along."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_STOP_S = 15.0
_POLL_S = 0.05
_LOG_LINES = 20
_NOT_GIVEN_AWAY = range(20_000, 32_000)
"""Ports that Linux gives nobody who asks for any."""


class ProcessFailedError(Exception):
    """A process of the benchmark did not do its work; the text quotes the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running `tierway serve`."""

    pid: int
    target: str
    """Where gRPC is, `host:port`."""
    http: str
    """Where `/ready` and `/metrics` are, `http://host:port`."""


@contextlib.contextmanager
def peer(command: Sequence[str], log: Path, *, within_s: float) -> Iterator[tuple[int, dict[str, Any]]]:
    """A Python process that says in one line of JSON on stdout that it is ready: its pid, and what it said.

    Args:
        command: what follows the interpreter.
        log: where its stderr goes.
        within_s: how long it may take to be ready.

    Raises:
        ProcessFailedError: it ended, or was not ready in time.

    """
    with running(command, log, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # a pipe
        # Reading has no time limit of its own: the end of the process ends it.
        watchdog = threading.Timer(within_s, process.kill)
        watchdog.start()
        with process.stdout:
            line = process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise ProcessFailedError(f"{' '.join(command)} ended, or was not ready within {within_s:g} s\n{_tail(log)}")
        yield process.pid, json.loads(line)


@contextlib.contextmanager
def tierway(config: Path | None, log: Path, *, within_s: float = 180.0) -> Iterator[Server]:
    """`tierway serve` on free ports of loopback, ready to answer.

    Raises:
        ProcessFailedError: it ended, or was not ready within `within_s`.

    """
    target, admin, http = (f"127.0.0.1:{free_port()}" for _ in range(3))
    command = ["-c", "from tierway_cli.main import main; main()", "serve"]
    command += ["--listen", target, "--admin-listen", admin, "--http-listen", http]
    command += ["--config", str(config)] if config else []
    with running(command, log, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: fetch(f"http://{http}/ready")[0] == 200, process, log, within_s=within_s)
        yield Server(process.pid, target, f"http://{http}")


def wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[str], log: Path, *, within_s: float) -> None:
    """Return when a process is ready.

    Raises:
        ProcessFailedError: it ended, or was not ready within `within_s`.

    """
    give_up_s = time.monotonic() + within_s
    while not is_ready():
        if process.poll() is not None:
            raise ProcessFailedError(f"process {process.pid} ended with {process.returncode}\n{_tail(log)}")
        if time.monotonic() > give_up_s:
            raise ProcessFailedError(f"process {process.pid} was not ready within {within_s:g} s\n{_tail(log)}")
        time.sleep(_POLL_S)


def call(command: Sequence[str], *, within_s: float, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a Python process, such as a load generator, prints as JSON; `environment` is added to ours.

    Raises:
        ProcessFailedError: it failed, or took longer than `within_s`.

    """
    try:
        done = subprocess.run(
            [sys.executable, *command],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProcessFailedError(f"{' '.join(command)} took longer than {within_s:g} s") from None
    if done.returncode:
        raise ProcessFailedError(f"{' '.join(command)} failed\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def fetch(url: str, timeout_s: float = 5.0) -> tuple[int, str]:
    """Status and body of a GET; status 0 while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310  # an http: address of ours
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def cpu_s(pid: int, *, is_whole: bool = True) -> float:
    """Processor seconds that a process has used so far, its descendants included if `is_whole`."""
    process = psutil.Process(pid)
    family = (process, *process.children(recursive=True)) if is_whole else (process,)
    used = [member.cpu_times() for member in family]
    return sum(times.user + times.system for times in used)


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, stdout: int, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A Python process, and all that it started, for the length of a block; `environment` is added to ours."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=errors,
            text=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    # Remembered first: what the process leaves behind cannot be found any more when it is gone.
    descendants = []
    with contextlib.suppress(psutil.NoSuchProcess):
        descendants = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for descendant in descendants:
        with contextlib.suppress(psutil.NoSuchProcess):
            descendant.kill()


def free_port() -> int:
    """A port of loopback that is free, and stays so until somebody takes just this one, who may be long in starting."""
    for port in random.SystemRandom().sample(_NOT_GIVEN_AWAY, len(_NOT_GIVEN_AWAY)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are taken")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

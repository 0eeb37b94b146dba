"""How the benchmark of deaths tells processes and their connections apart."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import pytest

from tierway_bench.worker_kill import channels, children, connected, last_s, successor_answers


@pytest.fixture
def target() -> Iterator[str]:
    """A server without a service, in this process."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_who_accepted_a_connection_is_known(target: str):
    with connected(target, [os.getpid()]) as (_, worker):
        assert worker == os.getpid()
    with connected(target, [os.getppid()]) as (_, worker):
        assert worker is None


def test_each_worker_gets_a_connection(target: str):
    with ExitStack() as stack:
        assert list(channels(stack, target, [os.getpid()])) == [os.getpid()]


def test_nobody_answers_in_the_place_of_a_worker_that_has_no_successor(target: str):
    assert not successor_answers(target, os.getpid(), before=[])


def test_children_are_told_by_the_module_that_they_run():
    command = [sys.executable, "-c", "input()", "a.module"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert children(os.getpid(), "a.module") == [child.pid]
        assert children(os.getpid(), "another.module") == []
        child.communicate(b"\n")
    assert children(os.getpid(), "a.module") == []


def test_what_one_never_did_all_never_did():
    assert last_s([0.5, 2.0, 1.0]) == 2.0
    assert last_s([0.5, None]) is None

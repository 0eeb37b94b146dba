"""What a child process is told when it starts: one JSON document on its standard input."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

import msgspec

from tierway_server.config import Config, VaultAnswer, parse

_PR_SET_PDEATHSIG = 1


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A place among the processes of one server."""

    config: dict[str, Any]
    """The whole configuration, as it was when the server started: a file that changes later splits no server in two."""
    supervisor_pid: int
    socket: str
    """What the names of the server's local sockets begin with."""
    worker: int = 0
    """Which of the front ends it is; 0 is the first."""
    vault: dict[str, VaultAnswer] = {}
    """What Vault answered, by reference; see `config.Secrets`."""
    memory_fd: int = -1
    """The state that the front ends share."""
    addresses: dict[str, str] = {}
    """What to listen on, by `grpc` and `admin`."""
    started_s: float = 0.0
    """When the server started, Unix time."""

    def encode(self) -> bytes:
        """What to write to the child's standard input."""
        return msgspec.json.encode(self)

    def configuration(self) -> Config:
        """The configuration, checked."""
        return parse(self.config)


def assigned() -> Assignment:
    """This process's assignment. From here on it ends with its supervisor, whatever ends that.

    Raises:
        SystemExit: the supervisor has ended already.

    """
    assignment = msgspec.json.decode(sys.stdin.buffer.read(), type=Assignment)
    # By the kernel, which does it even where this process hangs.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != assignment.supervisor_pid:
        sys.exit("tierway: the supervisor ended before this process began")
    return assignment


def supervisor_socket(base: str) -> str:
    """Where the supervisor listens."""
    return f"{base}-supervisor"


def worker_socket(base: str, worker: int) -> str:
    """Where a front end listens."""
    return f"{base}-worker-{worker}"


def host_socket(base: str) -> str:
    """Where the engine host listens."""
    return f"{base}-engines"

"""Memory that the processes of one server share: anonymous, so that nothing is left of it when they have ended, however they ended."""

from __future__ import annotations

import mmap
import os


class SharedMemory:
    """A piece of memory behind a file descriptor, which child processes inherit."""

    def __init__(self, size_bytes: int, fd: int | None = None) -> None:
        """Make new memory, all zeros; or attach to that behind `fd`."""
        if fd is None:
            fd = os.memfd_create("tierway-state")
            os.truncate(fd, size_bytes)
        self.fd = fd
        self.buffer = mmap.mmap(fd, size_bytes)
        """What is in it; every process that attached sees the same."""

"""How urgent a request is among those that wait for a place."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """The lanes of a queue, the most urgent first; numbers as in the contract."""

    INTERACTIVE = 1
    """A person waits for it."""
    NORMAL = 2
    BATCH = 3
    """Nobody waits for it: it is shed first."""

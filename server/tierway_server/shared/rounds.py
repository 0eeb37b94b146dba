"""What a round of synchronisation consists of: calls of scripts, and parts that make them and read their replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Reply = list[object] | None
"""What a script returns: numbers and bytes; None when it came too late to count."""


@dataclass(frozen=True, slots=True)
class Call:
    """One script to run."""

    script: str
    """Its name, without `.lua`."""
    key: str
    """The record that it works on, within the namespace; empty: none but the replicas."""
    arguments: tuple[str | int | float, ...] = ()
    """What follows the replica and the round."""


class Part(Protocol):
    """One kind of record. Lives on the event loop; neither of its methods blocks."""

    def tell(self, now_ns: int) -> Sequence[Call]:
        """What is to be told at this moment, a call a record. No reply may come: tell sums, not differences."""

    def hear(self, replies: Sequence[Reply], now_ns: int, replicas: int) -> None:
        """Take in the replies to the last `tell`, one for each call; so many replicas are alive."""

    def lost(self, replicas: int) -> None:
        """Go on alone, as one of so many."""

    def found(self, now_ns: int) -> None:
        """Others are heard again."""


def numbers(reply: Sequence[object]) -> tuple[int, ...]:
    """The reply of a script that returns numbers only."""
    return tuple(int(each) for each in reply if isinstance(each, int))

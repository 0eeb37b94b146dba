"""Counts that can begin anew, over metrics that never go back."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from tierway_server.telemetry.families import Counts, Family, Sample, is_lasting

_Key = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and its labels."""


class Counting(Protocol):
    """What all processes of a server have counted."""

    async def counts(self) -> Counts:
        """What has been counted since the start, or since the counts began anew."""

    async def reset(self) -> float:
        """Begin the counts anew, and tell when that was, Unix time."""


class SinceReset:
    """Counts above what there was when they last began anew. Lives on the event loop."""

    def __init__(self, read: Callable[[], Awaitable[Counts]], unix_s: Callable[[], float] = time.time) -> None:
        """Begin to count.

        Args:
            read: tells what has been counted since the start.
            unix_s: the time of day; it starts now.

        """
        self._read = read
        self._unix_s = unix_s
        self._since_s = unix_s()
        self._before: Mapping[_Key, float] = {}

    async def counts(self) -> Counts:
        """What has been counted since then, and how things stand; a count of which there is nothing is left out."""
        now = await self._read()
        families = [self._since(family) if is_lasting(family) else family for family in now.families]
        return msgspec.structs.replace(now, families=families, since_s=self._since_s)

    async def reset(self) -> float:
        """Begin the counts anew, and tell when that was, Unix time."""
        now = await self._read()
        counted = filter(is_lasting, now.families)
        self._before = {_key(sample): sample.value for family in counted for sample in family.samples}
        self._since_s = self._unix_s()
        return self._since_s

    def _since(self, family: Family) -> Family:
        counted = (
            Sample(sample.name, sample.labels, sample.value - self._before.get(_key(sample), 0.0))
            for sample in family.samples
        )
        return Family(family.name, family.documentation, family.kind, [each for each in counted if each.value > 0])


def _key(sample: Sample) -> _Key:
    return sample.name, tuple(sample.labels.items())

"""Names of calls of functions that the conversation can go on with: whoever answers next, they are sent back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tierway_server.backends.base import ToolCall

_MOST_CHARACTERS = 128
"""As the contract has it; longer ones could not be sent back."""


def with_own_ids(calls: Iterable[ToolCall]) -> Iterator[ToolCall]:
    """The calls of one answer, each with the service's name for it, or with one of ours where that is none, too long, or another call's."""
    seen: set[str] = set()
    for call in calls:
        is_usable = 0 < len(call.id) <= _MOST_CHARACTERS and call.id not in seen
        named = call if is_usable else replace(call, id=f"call_{secrets.token_hex(12)}")
        seen.add(named.id)
        yield named

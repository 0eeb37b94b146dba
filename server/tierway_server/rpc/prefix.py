"""Which beginning prompts share, as one number: what a deployment that was sent it lately may still hold in its cache.

Later turns of a conversation have all in common up to its first answer, first turns of many the application's instructions. The numbers
are the same in every process: workers and replicas agree on who holds what.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from tierway_server.backends.base import Message, Role


def prefix_key(conversation: Sequence[Message]) -> int:
    """64 bits for the beginning that this prompt shares with others; 0 where it shares none."""
    roles = [message.role for message in conversation]
    if Role.ASSISTANT in roles:
        return _key(conversation[: roles.index(Role.ASSISTANT)])
    return _key(conversation[: next(place for place, role in enumerate(roles) if role is not Role.SYSTEM)])


def next_prefix_key(conversation: Sequence[Message]) -> int:
    """What `prefix_key` will be at the next turn."""
    roles = [message.role for message in conversation]
    return _key(conversation[: roles.index(Role.ASSISTANT)] if Role.ASSISTANT in roles else conversation)


def _key(messages: Sequence[Message]) -> int:
    if not messages:
        return 0
    digest = blake2b(digest_size=8)
    for message in messages:
        encoded = message.text.encode()
        digest.update(b"%d %d " % (message.role, len(encoded)))
        digest.update(encoded)
        if any(message[2:]):  # images and tool calls
            rest = repr(message[2:]).encode()
            digest.update(b"%d " % len(rest))
            digest.update(rest)
    return int.from_bytes(digest.digest())

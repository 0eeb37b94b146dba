"""Which beginning two prompts share, as one number: what a deployment that was sent it lately may still hold in its cache."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from tierway_server.backends.base import Message, Role


def prefix_key(conversation: Sequence[Message]) -> int:
    """64 bits that stand for the beginning of a conversation; 0 where there is none that others could share.

    Later turns have the beginning up to the first answer in common, first turns the application's instructions. The same in every
    process: workers and replicas agree on who holds what.
    """
    roles = [message.role for message in conversation]
    if Role.ASSISTANT in roles:
        shared = roles.index(Role.ASSISTANT)
    else:
        shared = next((place for place, role in enumerate(roles) if role is not Role.SYSTEM), 0)
    if not shared:
        return 0
    digest = blake2b(digest_size=8)
    for role, text in conversation[:shared]:
        encoded = text.encode()
        digest.update(b"%d %d " % (role, len(encoded)))
        digest.update(encoded)
    return int.from_bytes(digest.digest())

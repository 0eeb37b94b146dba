"""Identifiers that sort by time: UUIDv7 (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def uuid7(clock_ns: Callable[[], int] = time.time_ns, entropy: Callable[[int], bytes] = os.urandom) -> str:
    """A new UUIDv7 in its usual text form: 48 bits of milliseconds, 74 random bits."""
    milliseconds = clock_ns() // 1_000_000
    random = int.from_bytes(entropy(10), "big")
    number = (
        (milliseconds << 80)
        | (0x7 << 76)
        | ((random >> 68 & 0xFFF) << 64)
        | (0b10 << 62)
        | (random & 0x3FFF_FFFF_FFFF_FFFF)
    )
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

"""Identifiers that sort by time: UUIDv7 (RFC 9562, section 5.7)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

_LOW_62_BITS = (1 << 62) - 1


def uuid7(clock_ns: Callable[[], int] = time.time_ns, random_bits: Callable[[int], int] = random.getrandbits) -> str:
    """A new UUIDv7 in its usual text form: 48 bits of milliseconds, 74 random bits. A name, not a secret."""
    bits = random_bits(74)
    number = (clock_ns() // 1_000_000 << 80) | (0x7 << 76) | (bits >> 62 << 64) | (0b10 << 62) | (bits & _LOW_62_BITS)
    text = number.to_bytes(16).hex()  # quicker than a format: a batch makes a thousand
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

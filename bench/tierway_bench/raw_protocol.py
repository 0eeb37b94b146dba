"""What `raw_engine` and its client say to each other over TCP: about as little as can be said.

Client to engine: one line of JSON a request, `{"id": 7, "prompt": "...", "max_tokens": 64}`. Engine to client: one record for each output
of the engine. Closing the connection ends all its requests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_RECORD = struct.Struct("!IHBI")


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the engine."""

    request: int
    token_count: int
    is_last: bool
    text: bytes


def packed(output: Output) -> bytes:
    """The record of an output."""
    return _RECORD.pack(output.request, output.token_count, output.is_last, len(output.text)) + output.text


def unpacked(buffer: bytearray) -> Iterator[Output]:
    """Take all whole records off the front of `buffer`."""
    while len(buffer) >= _RECORD.size:
        request, token_count, is_last, size = _RECORD.unpack_from(buffer)
        end = _RECORD.size + size
        if len(buffer) < end:
            return
        text = bytes(buffer[_RECORD.size : end])
        del buffer[:end]
        yield Output(request, token_count, bool(is_last), text)

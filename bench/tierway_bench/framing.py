"""gRPC's message framing, for load generators that speak HTTP/2 but not gRPC: one byte of flags, four of length, the message."""

from __future__ import annotations

import struct

_HEADER = struct.Struct(">BI")


def framed(message: bytes) -> bytes:
    """An uncompressed message as it travels in a DATA frame."""
    return _HEADER.pack(0, len(message)) + message


def unframed(frame: bytes) -> bytes:
    """The message of exactly one uncompressed frame.

    Raises:
        ValueError: it is none.

    """
    if len(frame) < _HEADER.size:
        raise ValueError("shorter than a frame's header")
    flags, length = _HEADER.unpack_from(frame)
    if flags:
        raise ValueError("compressed")
    if len(frame) != _HEADER.size + length:
        raise ValueError(f"{len(frame) - _HEADER.size} bytes follow the header, which announces {length}")
    return frame[_HEADER.size :]

"""About how many tokens a model reads of an image: nobody tells before it is billed, and providers count by different rules.

The rule here is Anthropic's, a token for 750 pixels (docs.anthropic.com, "Vision"), which over common sizes is near what the others bill,
with the 258 of Gemini's smallest tile (ai.google.dev, "Understand and count tokens") as the least. Most who read large images scale them
down, to 1,600 or 3,000 tokens: so they were billed in ten sizes (huggingface.co/datasets/JOHNISKING/image-token-cost), of which this takes
the dearer. Of an image by its address, and of one whose header says nothing, the size is not known.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from tierway_server.backends.base import Image

PIXELS_OF_A_TOKEN: Final = 750
LEAST: Final = 258
MOST: Final = 3_000
UNKNOWN: Final = 1_600
"""Of an image whose size nobody knows: about 1,100 by 1,100 pixels."""

_JPEG_SEGMENTS: Final = 64
"""So far the size is looked for: nothing but metadata stands before it, and no sender decides how long we look."""
_JPEG_NO_SIZE: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Markers among those of frames that are none: tables and extensions."""

_PNG, _GIF, _VP8, _VP8L, _JPEG_LENGTH, _JPEG_SIZE = map(Struct, (">II", "<HH", "<HH", "<I", ">H", ">HH"))


def image_tokens(image: Image) -> int:
    """How many tokens an image is taken to be."""
    size = _size(image.data) if image.data else None
    if size is None:
        return UNKNOWN
    width, height = size
    return min(max(-(-width * height // PIXELS_OF_A_TOKEN), LEAST), MOST)


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, as the header tells, whatever the media type says; None where it does not."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return _PNG.unpack_from(data, 16)
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        return _GIF.unpack_from(data, 6)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp_size(data)
    return _jpeg_size(data) if data.startswith(b"\xff\xd8") else None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8 ":  # 14 bits each, above them how it is scaled for display
            width, height = _VP8.unpack_from(data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":  # 14 bits each, less one
            [bits] = _VP8L.unpack_from(data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":  # 24 bits each, less one
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        if at + 9 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _JPEG_NO_SIZE:
            height, width = _JPEG_SIZE.unpack_from(data, at + 5)
            return width, height
        at += 2 + _JPEG_LENGTH.unpack_from(data, at + 2)[0]
    return None

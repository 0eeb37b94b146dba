"""How many tokens an image is taken to be: by the size that its header tells, in files that another library wrote."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from tierway_server.backends.base import Image
from tierway_server.backends.image_tokens import LEAST, MOST, UNKNOWN, image_tokens

SIZE = (1_000, 600)
TOKENS = 800
"""Of 600,000 pixels."""

WRITTEN: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "jpeg": {"format": "JPEG"},
    "jpeg, progressive": {"format": "JPEG", "progressive": True},
    "jpeg, behind metadata": {"format": "JPEG", "icc_profile": bytes(200_000), "exif": b"Exif\0\0" + bytes(60_000)},
    "gif": {"format": "GIF"},
    "webp": {"format": "WEBP"},
    "webp, lossless": {"format": "WEBP", "lossless": True},
    "webp, extended": {"format": "WEBP", "exif": b"Exif\0\0" + bytes(100)},
}


def written(size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", size, "white").save(file, **options)
    return file.getvalue()


def tokens(data: bytes) -> int:
    return image_tokens(Image(data=data, mime_type="image/png"))


@pytest.mark.parametrize("kind", WRITTEN)
def test_it_goes_by_the_pixels(kind: str) -> None:
    assert tokens(written(**WRITTEN[kind])) == TOKENS


@pytest.mark.parametrize(("size", "expected"), [((16, 16), LEAST), ((751, 1_000), 1_002), ((4_000, 3_000), MOST)])
def test_a_small_one_is_a_tile_and_a_large_one_is_scaled_down(size: tuple[int, int], expected: int) -> None:
    assert tokens(written(size, format="PNG")) == expected


def test_of_an_address_the_size_is_not_known() -> None:
    assert image_tokens(Image(uri="https://example.org/cat.png")) == UNKNOWN


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_file_that_is_cut_anywhere_is_counted_all_the_same(kind: str) -> None:
    data = written(**WRITTEN[kind])
    assert {tokens(data[:length]) for length in range(min(len(data), 400))} <= {UNKNOWN, TOKENS}


@given(
    st.sampled_from([b"", b"\xff\xd8", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBPVP8 "]), st.binary(max_size=64)
)
def test_whatever_the_bytes_are_it_is_a_number_within_bounds(head: bytes, rest: bytes) -> None:
    assert LEAST <= tokens(head + rest) <= MOST


def test_a_table_before_the_size_is_passed_over() -> None:
    table = b"\xff\xc4\0\7\x11\0\1\0\1"
    assert tokens(b"\xff\xd8" + table + written(format="JPEG")[2:]) == TOKENS


def test_it_is_not_looked_for_as_long_as_a_sender_likes() -> None:
    segments = 64
    size = written(format="JPEG")[2:]
    assert tokens(b"\xff\xd8" + b"\xff\xfe\0\2" * (segments // 2) + size) == TOKENS
    assert tokens(b"\xff\xd8" + b"\xff\xfe\0\2" * segments + size) == UNKNOWN

"""Server-sent events: payloads as they were sent, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierway_server.backends.sse import EventReader, EventTooLongError

PAYLOADS = st.lists(st.binary(min_size=1).filter(lambda payload: not {10, 13} & set(payload)))


def read(wire: bytes, size: int) -> list[bytes]:
    reader = EventReader(10_000)
    pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
    return [payload for piece in pieces for payload in reader.feed(piece)] + reader.end()


@given(PAYLOADS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.integers(1, 40))
def test_payloads_come_as_they_were_sent(payloads: list[bytes], line_end: bytes, size: int) -> None:
    wire = b"".join(b"data: " + payload + 2 * line_end for payload in payloads)
    assert read(wire, size) == payloads


@pytest.mark.parametrize(
    ("wire", "payloads"),
    [
        (b": OPENROUTER PROCESSING\n\ndata: a\n\n", [b"a"]),
        (b"event: message\nid: 7\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b'error: {"code": 500}\n\n', [b'{"code": 500}']),
        (b"data: a", [b"a"]),
        (b"\n\n\n", []),
        (b"data\n\nother: a\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [b"a\nb", b"c"]),
    ],
)
def test_the_format(wire: bytes, payloads: list[bytes]) -> None:
    assert read(wire, 1_000) == payloads
    assert read(wire, 1) == payloads


@pytest.mark.parametrize("wire", [b"data: " + b"x" * 100, b"data: x\n" * 100, b"data:\n" * 100])
def test_an_event_without_end_is_refused(wire: bytes) -> None:
    reader = EventReader(50)
    with pytest.raises(EventTooLongError):
        reader.feed(wire)

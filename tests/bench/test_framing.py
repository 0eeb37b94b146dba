import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierway_bench.framing import framed, unframed


def test_frame_is_flags_length_message():
    assert framed(b"abc") == b"\x00\x00\x00\x00\x03abc"


@given(message=st.binary())
def test_frame_gives_back_its_message(message):
    assert unframed(framed(message)) == message


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"\x00\x00", "header"),
        (b"\x01\x00\x00\x00\x00", "compressed"),
        (b"\x00\x00\x00\x00\x02a", "announces 2"),
        (b"\x00\x00\x00\x00\x00a", "announces 0"),
    ],
)
def test_what_is_not_one_whole_frame_is_refused(frame, why):
    with pytest.raises(ValueError, match=why):
        unframed(frame)

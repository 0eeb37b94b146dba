from hypothesis import given
from hypothesis import strategies as st

from tierway_bench.raw_protocol import Output, packed, unpacked

OUTPUTS = st.builds(
    Output,
    request=st.integers(0, 2**32 - 1),
    token_count=st.integers(0, 2**16 - 1),
    is_last=st.booleans(),
    text=st.binary(max_size=50),
)


@given(outputs=st.lists(OUTPUTS, max_size=8), cut=st.integers(0, 400))
def test_records_survive_being_cut_anywhere(outputs, cut):
    stream = b"".join(map(packed, outputs))
    buffer = bytearray(stream[:cut])
    received = list(unpacked(buffer))
    buffer += stream[cut:]
    received += unpacked(buffer)
    assert received == outputs
    assert not buffer

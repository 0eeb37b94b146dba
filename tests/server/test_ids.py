import uuid

from hypothesis import given
from hypothesis import strategies as st

from tierway_server.flow.ids import uuid7

milliseconds = st.integers(min_value=0, max_value=2**48 - 1)
entropy = st.binary(min_size=10, max_size=10)


def made(at_ms: int, random: bytes) -> str:
    return uuid7(clock_ns=lambda: at_ms * 1_000_000 + 999_999, entropy=lambda count: random[:count])


@given(milliseconds, entropy)
def test_is_a_uuid_of_version_7_that_tells_its_time(at_ms: int, random: bytes) -> None:
    identifier = uuid.UUID(made(at_ms, random))
    assert str(identifier) == made(at_ms, random)
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert identifier.int >> 80 == at_ms


@given(milliseconds, milliseconds, entropy, entropy)
def test_sorts_by_time_whatever_the_rest(first_ms: int, second_ms: int, first: bytes, second: bytes) -> None:
    if first_ms != second_ms:
        assert (made(first_ms, first) < made(second_ms, second)) is (first_ms < second_ms)


@given(entropy, entropy)
def test_carries_74_random_bits(first: bytes, second: bytes) -> None:
    def random_bits(random: bytes) -> int:
        whole = int.from_bytes(random, "big")
        return whole & (1 << 80) - 1

    used = (0xFFF << 68) | 0x3FFF_FFFF_FFFF_FFFF
    is_same = random_bits(first) & used == random_bits(second) & used
    assert (made(0, first) == made(0, second)) is is_same


def test_two_are_never_the_same() -> None:
    assert len({uuid7() for _ in range(10_000)}) == 10_000

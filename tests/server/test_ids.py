import uuid

from hypothesis import given
from hypothesis import strategies as st

from tierway_server.flow.ids import uuid7

milliseconds = st.integers(min_value=0, max_value=2**48 - 1)
entropy = st.integers(min_value=0, max_value=2**74 - 1)


def made(at_ms: int, random: int) -> str:
    return uuid7(clock_ns=lambda: at_ms * 1_000_000 + 999_999, random_bits=lambda bits: random & ((1 << bits) - 1))


@given(milliseconds, entropy)
def test_is_a_uuid_of_version_7_that_tells_its_time(at_ms: int, random: int) -> None:
    identifier = uuid.UUID(made(at_ms, random))
    assert str(identifier) == made(at_ms, random)
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert identifier.int >> 80 == at_ms


@given(milliseconds, milliseconds, entropy, entropy)
def test_sorts_by_time_whatever_the_rest(first_ms: int, second_ms: int, first: int, second: int) -> None:
    if first_ms != second_ms:
        assert (made(first_ms, first) < made(second_ms, second)) is (first_ms < second_ms)


@given(entropy, entropy)
def test_carries_74_random_bits(first: int, second: int) -> None:
    assert (made(0, first) == made(0, second)) is (first == second)


def test_two_are_never_the_same() -> None:
    assert len({uuid7() for _ in range(10_000)}) == 10_000

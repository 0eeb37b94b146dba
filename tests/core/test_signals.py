"""The compiled reader and `signals.py` read the same, to the last bit, in any text; and what is never read."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.test_equivalence import TEXTS
from tierway_core import InvalidTextError, signals
from tierway_core._signals import Reader

PIECES = st.sampled_from(
    [
        "A) 12 ", "\nB. x", "\n  ", "\t", "camelCase", "snake_case", "__", "f(x)", "HTTP2", "Ab", "3rd", "x^2 + \\frac{1}{2}", "“q”",
        "¿Qué?", "。", "、", "\uff01", "\uff1f", "٪", "؟", "\u06d4", "।", "漢字", "かな", "한국어", "ไทย", "Ω", "Жук", "ß", "é", "😀",
        "\U0001b000", "\U0001efff", "\U0001f000",
    ]
)  # fmt: skip
MIXED = st.one_of(TEXTS, st.lists(st.one_of(PIECES, TEXTS), max_size=12).map("".join))
LONG = st.builds(lambda piece, times: piece * times, st.one_of(PIECES, st.text(max_size=5)), st.integers(0, 5000))


def read(content: str) -> signals.Signals:
    reader = Reader()
    words, pairs, grams = reader.buckets(content)
    return signals.Signals(list(words), list(pairs), list(grams), reader.counters(content))


@given(MIXED)
@example("")
@example("\x00")
@example("😀")
@example("a" * 4096)
@example("。" * 1366)
@settings(max_examples=500)
def test_both_read_the_same_in_any_text(content):
    assert read(content) == signals.signals(content)


@given(LONG, st.integers(0, 9))
@settings(max_examples=40)
def test_both_cut_the_same_window(content, before):
    """The cuts fall anywhere within a code point."""
    content = "." * before + content
    assert read(content) == signals.signals(content)


def test_both_class_every_code_point_alike():
    for first in (*range(0, 0xD800, 512), *range(0xE000, 0x110000, 512)):
        content = "".join(f"{chr(point)}a" for point in range(first, first + 512))
        assert read(content) == signals.signals(content), f"from U+{first:04X}"


@pytest.mark.parametrize("character", ["a", "é", "字", "😀"])
def test_the_middle_of_a_long_text_is_not_read(character):
    """3,072 bytes at its start and 1,024 at its end; of the rest, only how long it is."""
    head, tail = character * 3072, character * 1024
    one, other = (read(head + middle * 1000 + tail) for middle in ("x yz", "?! 9"))
    assert one == other


def test_a_window_ends_with_a_whole_code_point():
    _, stretches = signals.window("字" * 3000)
    assert [len(stretch) for stretch in stretches] == [1024, 341]


def test_nothing_spans_the_cut():
    words, pairs, _ = Reader().buckets("a" * 3072 + " " * 1000 + "b" * 1024)
    alone = Reader().buckets("b" * 1024)
    assert len(words) == 2
    assert (words[1], pairs[1]) == (alone[0][0], alone[1][0])


def test_200_kilobytes_read_as_much_as_four():
    words, pairs, grams = Reader().buckets("the quick brown fox " * 10_000)
    assert len(words) == len(pairs) <= signals.WINDOW_BYTES
    assert len(grams) <= 3 * (signals.WINDOW_BYTES + 2)


def test_the_densest_texts_fit():
    for piece in ("a", "a ", "字", "字a", "é", "\x00", "😀"):
        assert read(piece * 5000) == signals.signals(piece * 5000)


def test_a_lone_surrogate_is_an_error_that_says_where():
    for read_it in (Reader().buckets, Reader().counters, signals.signals):
        with pytest.raises(InvalidTextError) as caught:
            read_it("ab\ud800")
        assert caught.value.position == 2


def test_a_mark_is_no_space_and_spaces_are_those_of_python():
    marks = {
        point
        for _, points in signals.MARKS
        for entry in points
        for point in (range(entry[0], entry[1] + 1) if isinstance(entry, tuple) else (entry,))
    }
    assert not marks & set(signals.SPACES)
    assert {point for point in range(0x110000) if chr(point).isspace()} == set(signals.SPACES)

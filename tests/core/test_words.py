import pytest

from tierway_core import InvalidTextError, estimate_tokens


@pytest.mark.parametrize("text", ["\ud800", "fine until here \udfff", "\udc80" * 3])
def test_a_lone_surrogate_is_an_error_that_tells_where(extract, text):
    with pytest.raises(InvalidTextError) as caught:
        extract(text)
    assert ord(text[caught.value.position]) in range(0xD800, 0xE000)


def test_estimating_a_lone_surrogate_is_the_same_error():
    with pytest.raises(InvalidTextError, match="lone surrogate at index 1"):
        estimate_tokens("a\ud800")


def test_deciding_on_a_lone_surrogate_is_the_same_error(decide):
    with pytest.raises(InvalidTextError, match="lone surrogate at index 3"):
        decide("abc\ud800")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000", 0),
        ("one", 1),
        ("one two\u3000three\x85four", 4),
        ("a - b", 3),  # as str.split() sees it
        ("NUL\x00inside \x00", 2),
        ("zero\u200bwidth", 1),
        ("e\u0301te\u0301 cafe\u0301", 2),
        ("\U0001f600 \U0001f469\u200d\U0001f680", 2),
        ("שלום עולם", 2),
        ("안녕하세요 세계", 2),  # Hangul has spaces
        ("你好", 1),
        ("你好吗", 2),  # rounded up
        ("你好。世界。", 2),  # punctuation among them is no word
        ("你好, 世界", 2),
        ("你好 - 世界", 3),  # a run of its own is
        ("用Python写代码", 3),
        ("こんにちは", 3),
        ("コーヒー・カップ", 4),
        ("สวัสดี", 3),
        ("ສະບາຍດີ", 4),
        ("ជំរាបសួរ", 4),
        ("မင်္ဂလာပါ", 5),
        ("\U00020000\U00020001", 1),
    ],
)
def test_words_are_runs_and_half_the_code_points_of_scripts_without_spaces(extract, text, words):
    assert extract(text).words == words


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("é", 1),
        ("abé", 2),
        ("你好", 2),
        ("\U0001f600" * 3, 3),
        ("\x00" * 8, 2),
    ],
)
def test_four_ascii_characters_are_a_token_and_so_is_any_other_code_point(extract, text, tokens):
    assert extract(text).input_tokens == tokens


def test_characters_are_code_points(extract):
    found = extract("aé你\U0001f600ก")
    assert (found.characters, found.cjk_characters, found.unspaced_characters) == (5, 1, 2)

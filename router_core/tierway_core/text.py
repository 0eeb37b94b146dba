"""What is counted in a text: the normative rules, and the pure-Python `extract` that follows them to the letter.

`_features.pyx` finds the same in one pass over the UTF-8. No tokenizer, no language detection, no I/O.

Words: whitespace-separated runs, as `str.split()` sees them. Where a run holds code points of scripts written without
spaces, those count one word for two (rounded up over the whole text), and each stretch between them counts as one
word if it holds a token.

Tokens: maximal runs of ASCII letters, ASCII digits, `_`, and of code points from U+0080 that are neither whitespace
nor PUNCTUATION; ASCII is lower-cased, nothing else is. Terms are 1 to 4 consecutive tokens; what stands between the
tokens does not matter ("mock-up" is "mock up"). Overlapping terms all count.

Code: a score. A fence or a term that proves code counts 4, a term that hints at it 2, a mark of MARKS 1; 4 make code.
So one stray mark, or a lone "function", is prose.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tierway_core.errors import InvalidTextError
from tierway_core.types import Features
from tierway_core.vocabulary import MAX_TERM_TOKENS, Category, Term

__all__ = ["CJK", "CODE_SCORE_MIN", "PUNCTUATION", "UNSPACED", "estimate_tokens", "extract", "tokens"]

CODE_SCORE_MIN = 4
"""The score from which a text is code."""

CJK: Sequence[tuple[int, int]] = (
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark, zero
    (0x3041, 0x309F),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana without its middle dot
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1B000, 0x1B16F),  # Kana supplements
    (0x20000, 0x3FFFF),  # Han extensions B and on
)
"""Han, Hiragana and Katakana, as inclusive ranges."""

UNSPACED: Sequence[tuple[int, int]] = (
    *CJK,
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),  # Khmer symbols
    (0xA9E0, 0xA9FF),  # Myanmar extensions
    (0xAA60, 0xAA7F),
)
"""Scripts written without spaces. Hangul is not among them: Korean has spaces."""

PUNCTUATION: Sequence[tuple[int, int]] = (
    (0x0080, 0x00A9),  # C1 controls and Latin-1 signs, around the letters U+00AA, U+00B5, U+00BA
    (0x00AB, 0x00B4),
    (0x00B6, 0x00B9),
    (0x00BB, 0x00BF),
    (0x00D7, 0x00D7),
    (0x00F7, 0x00F7),
    (0x2000, 0x206F),  # general punctuation
    (0x2E00, 0x2E7F),  # supplemental punctuation
    (0x3000, 0x3004),  # CJK punctuation
    (0x3008, 0x303F),
    (0x30FB, 0x30FB),  # Katakana middle dot
    (0xFE30, 0xFE6F),  # vertical and small forms
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFF00, 0xFF0F),  # full-width ASCII punctuation
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65),
)
"""Code points from U+0080 that part tokens though they are not whitespace."""


def _class(ranges: Sequence[tuple[int, int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


_TOKEN = re.compile(rf"[^\x00-/:-@\[-^`{{-\x7f\s{_class(PUNCTUATION)}]+")
_CJK = re.compile(f"[{_class(CJK)}]")
_UNSPACED = re.compile(f"[{_class(UNSPACED)}]")
_FENCE = re.compile(r"(?<!`)`{3,}")
_LOWER_ASCII = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

MARKS = (
    re.compile(r"(?<=[0-9A-Za-z_]{2})\((?!e?s\))"),  # name(  but not word(s)
    re.compile(r"[;{](?=[\r\n]|\Z)"),  # a line that ends in ; or {
    re.compile(r"(?<!=)={2,3}(?!=)"),  # == and ===, not an underline
    re.compile(r"(?<!:)::(?!:)|(?<!&)&&(?!&)|(?<!\|)\|\|(?!\|)"),
    re.compile(r"[!+*-]="),  # != += *= -=
    re.compile(r"(?<![-=])[-=]>"),  # -> and =>, not the long arrows of prose
    re.compile(r"</[A-Za-z]|/>"),  # tags
)
"""Marks of code structure; each match scores 1."""


def tokens(text: str) -> Iterator[str]:
    """Yields the tokens of `text` in order, ASCII lower-cased."""
    return (match[0].translate(_LOWER_ASCII) for match in _TOKEN.finditer(text))


def estimate_tokens(text: str) -> int:
    """Four ASCII characters to a token, rounded up; every other code point is one."""
    ascii_characters = sum(character.isascii() for character in text)
    return (ascii_characters + 3) // 4 + len(text) - ascii_characters


def extract(text: str, terms: Mapping[Term, Category]) -> Features:
    """Finds the features of `text`, with the vocabulary `terms`.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidTextError(error.start) from None

    counts = _count_terms(text, terms)
    unspaced_characters = len(_UNSPACED.findall(text))
    code_score = (
        4 * (len(_FENCE.findall(text)) + counts[Category.CODE])
        + 2 * counts[Category.CODE_HINT]
        + sum(len(mark.findall(text)) for mark in MARKS)
    )
    return Features(
        words=_count_spaced_words(text) + (unspaced_characters + 1) // 2,
        characters=len(text),
        input_tokens=estimate_tokens(text),
        cjk_characters=len(_CJK.findall(text)),
        unspaced_characters=unspaced_characters,
        code_score=code_score,
        planning_terms=counts[Category.PLANNING],
        math_terms=counts[Category.MATH],
        vision_terms=counts[Category.VISION],
        governance_terms=counts[Category.GOVERNANCE],
        code=code_score >= CODE_SCORE_MIN,
        planning=counts[Category.PLANNING] > 0,
        math=counts[Category.MATH] > 0,
        vision=counts[Category.VISION] > 0,
        governance=counts[Category.GOVERNANCE] > 0,
    )


def _count_spaced_words(text: str) -> int:
    words = 0
    for run in text.split():
        if _UNSPACED.search(run) is None:
            words += 1
        else:
            words += sum(_TOKEN.search(stretch) is not None for stretch in _UNSPACED.split(run))
    return words


def _count_terms(text: str, terms: Mapping[Term, Category]) -> dict[Category, int]:
    counts = dict.fromkeys(Category, 0)
    recent: Term = ()
    for token in tokens(text):
        recent = (*recent, token)[-MAX_TERM_TOKENS:]
        for start in range(len(recent)):
            for category in terms.get(recent[start:], Category(0)):
                counts[category] += 1
    return counts

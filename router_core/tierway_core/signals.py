"""What the learned classifier reads from a text: the normative rules, and the pure-Python `signals` that follows them.

`_classifier.pyx` finds the same in one pass over the UTF-8. No tokenizer, no language detection, no Unicode database:
every range is spelt out here or in `text.py`. Changing a rule makes new weights necessary: see SIGNALS_VERSION.

Window: all of a text of at most WINDOW_BYTES of UTF-8, else its first HEAD_BYTES and its last TAIL_BYTES, each cut
back to whole code points. These are two stretches: nothing spans the cut. Only the counter `bytes` knows of the rest.

Characters: a mark (MARKS), whitespace, a word character (a token character of `text.py` that is no mark), an unspaced
character (`text.UNSPACED`), or something else. Folded: ASCII upper case to lower case, ASCII digits to "0".

Words: maximal runs of word characters; each unspaced character is a word of its own. A word's hash is FNV-1a over its
folded code points. Pairs: each word after the one before it in its stretch, whatever stands between; the first follows
START. Grams: 3, 4 and 5 consecutive folded characters of the stretch, where each run of whitespace is one space, and one
space stands before the stretch and behind it. All occurrences count. Buckets are in order of where they end.

Sentences: end at a line feed, at a STOP of scripts that write no space behind it, at an ASCII one before whitespace or the end of
the stretch, and at that end; without a word in it there is none. Lengths are in units: a word is one, two CJK
characters or Hangul syllables are one, five characters of other unspaced scripts are one (in tenths: 10, 5, 5, 2).
"""

from collections.abc import Sequence
from enum import IntEnum
from math import log1p
from typing import NamedTuple

from tierway_core.errors import InvalidTextError
from tierway_core.text import CJK, PUNCTUATION, UNSPACED

__all__ = ["BUCKETS", "COUNTERS", "SIGNALS_VERSION", "Signals", "signals", "window"]

SIGNALS_VERSION = 1
"""Rises with every change of what is read."""

BUCKETS = 1 << 16
"""Size of the table that hashes are reduced to."""
WINDOW_BYTES = 4096
HEAD_BYTES = 3072
TAIL_BYTES = 1024

FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
PAIR_FACTOR = 0x9E3779B97F4A7C15
GRAM_FACTOR = 0xD6E8FEB86659FD93
BUCKET_FACTOR = 0xFF51AFD7ED558CCD
START = 1
"""Stands for the hash of the word before the first."""

_MASK = (1 << 64) - 1


class Mark(IntEnum):
    """Characters that are counted by what they do, in whatever script."""

    COMMA = 1
    STOP = 2
    WIDE_STOP = 3
    QUESTION = 4
    WIDE_QUESTION = 5
    COLON = 6
    OPEN = 7
    QUOTE = 8
    HYPHEN = 9
    SLASH = 10
    MATH = 11
    LATEX = 12
    CODE = 13
    BACKTICK = 14
    PERCENT = 15


MARKS: Sequence[tuple[Mark, Sequence[int | tuple[int, int]]]] = (
    (Mark.COMMA, (0x2C, 0x60C, 0x3001, 0xFF0C, 0xFF64)),
    (Mark.STOP, (0x21, 0x2E)),
    # Arabic full stop, dandas, Myanmar, Ethiopic, Khmer, ideographic, full-width
    (Mark.WIDE_STOP, (0x6D4, 0x964, 0x965, 0x104B, 0x1362, 0x17D4, 0x3002, 0xFF01, 0xFF0E, 0xFF61)),
    (Mark.QUESTION, (0x3F, 0x37E)),
    (Mark.WIDE_QUESTION, (0x61F, 0x1367, 0xFF1F)),
    (Mark.COLON, (0x3A, 0x3B, 0x61B, 0xFF1A, 0xFF1B)),
    (Mark.OPEN, (0x28, 0x5B, 0x3008, 0x300A, 0x3010, 0xFF08, 0xFF3B)),
    (Mark.QUOTE, (0x22, 0x27, 0xAB, (0x2018, 0x201F), 0x300C, 0x300E)),
    (Mark.HYPHEN, (0x2D, (0x2010, 0x2015), 0xFF0D)),
    (Mark.SLASH, (0x2F, 0xFF0F)),
    (Mark.MATH, (0x2A, 0x2B, (0x3C, 0x3E), 0x5E, 0xB0, 0xB1, 0xB2, 0xB3, 0xB9, 0xD7, 0xF7,
                 (0x2070, 0x208E), (0x2190, 0x21FF), (0x2200, 0x22FF), (0x27C0, 0x27EF), (0x2980, 0x2AFF), 0xFF0B, 0xFF1D)),
    (Mark.LATEX, (0x24, 0x5C)),
    (Mark.CODE, (0x23, 0x26, 0x40, 0x7B, 0x7C, 0x7D, 0x7E)),
    (Mark.BACKTICK, (0x60,)),
    (Mark.PERCENT, (0x25, 0xA2, 0xA3, 0xA5, 0x20AC, 0xFF05)),
)  # fmt: skip
"""Code points and inclusive ranges of each mark; a character has at most one."""

HANGUL = ((0x1100, 0x11FF), (0x3131, 0x318E), (0xAC00, 0xD7A3))
UPPER = ((0x41, 0x5A), (0xC0, 0xD6), (0xD8, 0xDE), (0x391, 0x3A9), (0x400, 0x42F))
"""Upper case where a range is all it takes: ASCII, Latin-1, Greek, Cyrillic."""
GREEK = (0x370, 0x3FF)
OTHER_SCRIPTS = ((0x370, 0x1DFF), (0x2C00, 0x1EFFF), (0x20000, 0x10FFFF))
"""Word and unspaced characters here are of another script than Latin."""
SPACES = (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)  # fmt: skip
"""Whitespace, as `str.isspace` has it."""

COUNTERS: tuple[str, ...] = (
    "bytes",  # of the whole text
    "units",
    "weight",  # letters, one each; CJK characters count three, Hangul syllables two
    "words",  # without the unspaced ones
    "sentences",
    "units a sentence",
    "units of the longest sentence",
    "commas",
    "commas of the richest sentence",
    "colons",  # and semicolons
    "question marks",
    "ends with a question",  # 1 or 0: the last mark or word of the window, whitespace and quotes aside
    "ends with a full stop",  # likewise
    "ends with a colon",  # likewise
    "opening brackets",
    "quotes",
    "hyphens",
    "slashes",
    "mathematical symbols",
    "LaTeX marks",  # dollars and backslashes
    "percent and money",
    "digits",
    "numbers",  # words that start with a digit
    "acronyms",  # words of ASCII capitals and digits with two capitals or more
    "capitalised words",  # other words that start with a capital, but not a sentence
    "single letters",  # words of one ASCII letter
    "long words",  # of nine characters or more
    "letters a word",
    "Latin words in other scripts",
    "mixed words",  # letters with digits, an underscore, or an ASCII capital after a small letter
    "code marks",
    "calls",  # a bracket right behind a word
    "backticks",
    "lines",
    "indented lines",
    "answer options",  # lines that start with a capital and a full stop or a bracket
    "units before the options",
    "digits in the options",
    "blanks to fill",  # words that start with two underscores
    "share beyond ASCII",  # of the characters
    "share of unspaced characters",
    "share of other scripts",
    "Greek letters",
)
"""Names of the counters, in order. Counts are log1p'd, shares are within 0 and 1."""


class Signals(NamedTuple):
    """What was read from a text."""

    words: Sequence[int]
    """Buckets of the words."""
    pairs: Sequence[int]
    """Buckets of the pairs, as many as words."""
    grams: Sequence[int]
    """Buckets of the n-grams."""
    counters: tuple[float, ...]
    """Numbers, as COUNTERS names them."""


def _within(point: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= point <= last for first, last in ranges)


_MARK = {
    point: mark
    for mark, points in MARKS
    for entry in points
    for point in (range(entry[0], entry[1] + 1) if isinstance(entry, tuple) else (entry,))
}
_SPACES = frozenset(SPACES)


def bucket(hashed: int) -> int:
    """The bucket of a 64-bit hash."""
    return ((hashed ^ hashed >> 32) * BUCKET_FACTOR & _MASK) >> 48


def window(text: str) -> tuple[int, list[str]]:
    """Length of `text` in bytes of UTF-8, and the one or two stretches of it that are read.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    try:
        utf8 = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidTextError(error.start) from None
    if len(utf8) <= WINDOW_BYTES:
        return len(utf8), [text]
    head_end, tail_start = HEAD_BYTES, len(utf8) - TAIL_BYTES
    while utf8[head_end] & 0xC0 == 0x80:
        head_end -= 1
    while utf8[tail_start] & 0xC0 == 0x80:
        tail_start += 1
    return len(utf8), [utf8[:head_end].decode(), utf8[tail_start:].decode()]


def signals(text: str) -> Signals:
    """Reads `text`.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    size, stretches = window(text)
    reader = Reader()
    for stretch in stretches:
        reader.read(stretch)
    return Signals(reader.words, reader.pairs, reader.grams, reader.counters(size))


class Reader:
    """The state of one pass."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.pairs: list[int] = []
        self.grams: list[int] = []
        self.marks = [0] * (len(Mark) + 1)
        self.characters = self.beyond_ascii = self.unspaced = self.others = self.greek = self.digits = 0
        self.weight = self.tenths = self.spaced_words = self.letters = 0
        self.sentences = self.sentence_tenths = self.longest = self.sentence_commas = self.richest = 0
        self.numbers = self.acronyms = self.capitalised = self.singles = self.long = self.latin = self.mixed = 0
        self.calls = self.blanks = self.lines = self.indented = self.options = 0
        self.stem_tenths = self.stem_digits = 0
        self.last = 0  # the last mark; 0 after a word
        self.start_stretch()

    def start_stretch(self) -> None:
        self.before = START
        self.recent = [0x20]  # the last characters, for grams
        self.line: list[int] = []  # the first two characters of the line
        self.pending_stop = False
        self.start_word()

    def start_word(self) -> None:
        self.word_hash = FNV_OFFSET
        self.length = self.capitals = self.word_digits = self.small = self.hangul = self.underscores = 0
        self.first = self.second = 0
        self.camel = False
        self.word_letters = 0

    # ---- the pass ------------------------------------------------------------------------------------------------

    def read(self, stretch: str) -> None:
        self.start_stretch()
        self.lines += bool(stretch)
        for character in stretch:
            self.read_character(ord(character))
        self.end_word()
        self.end_sentence()
        if self.recent[-1] != 0x20:
            self.add_gram_character(0x20)

    def read_character(self, point: int) -> None:
        self.characters += 1
        self.beyond_ascii += point >= 0x80
        folded = point + 32 if 0x41 <= point <= 0x5A else 0x30 if 0x30 <= point <= 0x39 else point
        mark = _MARK.get(point, 0)
        space = point in _SPACES
        if not space or self.recent[-1] != 0x20:
            self.add_gram_character(0x20 if space else folded)
        if self.pending_stop:
            self.pending_stop = False
            if space:
                self.end_sentence()
        if mark == 0 and not space and _is_word_character(point):
            self.add_word_character(point, folded)
        else:
            in_word = self.length > 0
            self.end_word()
            if mark:
                self.add_mark(mark, point, in_word)
            elif not space and _within(point, UNSPACED):
                self.add_unspaced(point)
            if point == 0x0A:
                self.end_sentence()
        self.follow_line(point)

    def add_gram_character(self, folded: int) -> None:
        recent = self.recent = [*self.recent, folded][-5:]
        hashed, factor = 0, 1
        for length, point in enumerate(reversed(recent), 1):
            hashed = hashed + point * factor & _MASK
            factor = factor * GRAM_FACTOR & _MASK
            if length >= 3:
                self.grams.append(bucket(hashed))

    def add_word(self, word_hash: int) -> None:
        self.words.append(bucket(word_hash))
        self.pairs.append(bucket(self.before * PAIR_FACTOR + word_hash & _MASK))
        self.before = word_hash
        self.last = 0

    # ---- words ---------------------------------------------------------------------------------------------------

    def add_word_character(self, point: int, folded: int) -> None:
        self.word_hash = (self.word_hash ^ folded) * FNV_PRIME & _MASK
        if self.length == 0:
            self.first = point
        elif self.length == 1:
            self.second = point
        self.length += 1
        if 0x30 <= point <= 0x39:
            self.word_digits += 1
            self.digits += 1
            return
        if point == 0x5F:
            self.underscores += 1
            return
        self.word_letters += 1
        if 0x41 <= point <= 0x5A:
            self.capitals += 1
            self.camel = self.camel or self.small > 0
        elif 0x61 <= point <= 0x7A:
            self.small += 1
        elif _within(point, HANGUL):
            self.hangul += 1
        if point >= 0x370:
            self.others += _within(point, OTHER_SCRIPTS)
            self.greek += GREEK[0] <= point <= GREEK[1]

    def end_word(self) -> None:
        if self.length == 0:
            return
        self.add_word(self.word_hash)
        self.spaced_words += 1
        self.letters += self.word_letters
        self.weight += self.word_letters + self.hangul
        acronym = self.capitals >= 2 and self.capitals + self.word_digits == self.length
        self.acronyms += acronym
        self.capitalised += not acronym and self.sentence_tenths > 0 and _within(self.first, UPPER)
        self.numbers += 0x30 <= self.first <= 0x39
        self.singles += self.length == 1 and self.capitals + self.small == 1
        self.long += self.length >= 9
        self.latin += 0x41 <= self.first <= 0x5A or 0x61 <= self.first <= 0x7A
        self.mixed += self.camel or self.underscores > 0 or (self.word_digits > 0 and self.word_letters > 0)
        self.blanks += self.first == 0x5F and self.second == 0x5F
        self.add_tenths(5 * self.hangul + (10 if self.length > self.hangul else 0))
        self.start_word()

    def add_unspaced(self, point: int) -> None:
        self.add_word((FNV_OFFSET ^ point) * FNV_PRIME & _MASK)
        cjk = _within(point, CJK)
        self.unspaced += 1
        self.others += 1
        self.weight += 3 if cjk else 1
        self.add_tenths(5 if cjk else 2)

    def add_tenths(self, tenths: int) -> None:
        self.tenths += tenths
        self.sentence_tenths += tenths

    # ---- marks, sentences, lines ---------------------------------------------------------------------------------

    def add_mark(self, mark: int, point: int, in_word: bool) -> None:
        self.marks[mark] += 1
        if mark != Mark.QUOTE:
            self.last = mark
        if mark == Mark.COMMA:
            self.sentence_commas += 1
        elif mark in (Mark.STOP, Mark.QUESTION):
            self.pending_stop = True
        elif mark in (Mark.WIDE_STOP, Mark.WIDE_QUESTION):
            self.end_sentence()
        elif point == 0x28 and in_word:
            self.calls += 1

    def end_sentence(self) -> None:
        if self.sentence_tenths > 0:
            self.sentences += 1
            self.longest = max(self.longest, self.sentence_tenths)
            self.richest = max(self.richest, self.sentence_commas)
        self.sentence_tenths = self.sentence_commas = 0

    def follow_line(self, point: int) -> None:
        """Looks at the first two characters of each line."""
        if point == 0x0A:
            self.lines += 1
            self.line = []
            return
        if len(self.line) == 2:
            return
        self.line.append(point)
        if len(self.line) == 1:
            self.indented += point == 0x09
        elif self.line == [0x20, 0x20]:
            self.indented += 1
        elif 0x41 <= self.line[0] <= 0x5A and point in (0x2E, 0x29):
            if self.options == 0:
                self.stem_tenths, self.stem_digits = self.tenths, self.digits
            self.options += 1

    # ---- what it comes to ----------------------------------------------------------------------------------------

    def counters(self, size: int) -> tuple[float, ...]:
        marks = self.marks
        characters = max(1, self.characters)
        questions = marks[Mark.QUESTION] + marks[Mark.WIDE_QUESTION]
        has_other_scripts = self.others > 0
        return (
            log1p(size),
            log1p(self.tenths / 10),
            log1p(self.weight),
            log1p(self.spaced_words),
            log1p(self.sentences),
            log1p(self.tenths / 10 / max(1, self.sentences)),
            log1p(self.longest / 10),
            log1p(marks[Mark.COMMA]),
            log1p(self.richest),
            log1p(marks[Mark.COLON]),
            log1p(questions),
            float(self.last in (Mark.QUESTION, Mark.WIDE_QUESTION)),
            float(self.last in (Mark.STOP, Mark.WIDE_STOP)),
            float(self.last == Mark.COLON),
            log1p(marks[Mark.OPEN]),
            log1p(marks[Mark.QUOTE]),
            log1p(marks[Mark.HYPHEN]),
            log1p(marks[Mark.SLASH]),
            log1p(marks[Mark.MATH]),
            log1p(marks[Mark.LATEX]),
            log1p(marks[Mark.PERCENT]),
            log1p(self.digits),
            log1p(self.numbers),
            log1p(self.acronyms),
            log1p(self.capitalised),
            log1p(self.singles),
            log1p(self.long),
            log1p(self.letters / max(1, self.spaced_words)),
            log1p(self.latin if has_other_scripts else 0),
            log1p(self.mixed),
            log1p(marks[Mark.CODE]),
            log1p(self.calls),
            log1p(marks[Mark.BACKTICK]),
            log1p(self.lines),
            log1p(self.indented),
            log1p(self.options),
            log1p((self.stem_tenths if self.options else self.tenths) / 10),
            log1p(self.digits - self.stem_digits if self.options else 0),
            log1p(self.blanks),
            self.beyond_ascii / characters,
            self.unspaced / characters,
            self.others / characters,
            log1p(self.greek),
        )


def _is_word_character(point: int) -> bool:
    """Whether it is a token character of `text.py` that stands in a run; the caller has sorted out marks and whitespace."""
    if point < 0x80:
        return 0x30 <= point <= 0x39 or 0x41 <= point <= 0x5A or 0x61 <= point <= 0x7A or point == 0x5F
    return not _within(point, PUNCTUATION) and not _within(point, UNSPACED)

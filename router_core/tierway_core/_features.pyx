# cython: language_level=3, freethreading_compatible=True
"""Features of a text, in one pass over its UTF-8. `tierway_core.text` holds the rules; here is only how it is fast.

The bytes are those that CPython keeps with the string: ASCII is not copied, anything else is encoded once. Terms are
looked up by hash: each token is hashed as it is scanned (FNV-1a, 64 bit), the terms that end at it are combined from
the hashes of the terms that ended before it, and an open-addressing table tells what they are evidence of. A text can
be made to collide with a term, which gains its author nothing that writing the term would not.
"""

from functools import cache

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tierway_core.errors import InvalidTextError
from tierway_core.terms import build_terms
from tierway_core.types import Features


cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL


cdef enum CharacterC:
    CHARACTER_SPACE
    CHARACTER_PUNCTUATION
    CHARACTER_TOKEN
    CHARACTER_UNSPACED
    CHARACTER_CJK


# What was seen of the current stretch of non-space, spaced characters.
cdef enum StretchC:
    STRETCH_NONE
    STRETCH_BARE  # no token in it
    STRETCH_TOKEN


cdef enum:
    CODE_SCORE_MIN = 4
    CATEGORY_CODE = 0  # positions of the bits of Category
    CATEGORY_CODE_HINT = 1
    CATEGORY_PLANNING = 2
    CATEGORY_MATH = 3
    CATEGORY_VISION = 4
    CATEGORY_GOVERNANCE = 5
    CATEGORIES = 6
    TERM_TOKENS = 4


cdef extern from *:
    """
    #define TIERWAY_FNV_OFFSET 0xcbf29ce484222325ULL
    #define TIERWAY_FNV_PRIME 0x100000001b3ULL
    #define TIERWAY_TERM_FACTOR 0x9e3779b97f4a7c15ULL
    """
    const uint64_t FNV_OFFSET "TIERWAY_FNV_OFFSET"
    const uint64_t FNV_PRIME "TIERWAY_FNV_PRIME"
    const uint64_t TERM_FACTOR "TIERWAY_TERM_FACTOR"


# ---- hashes and the table of terms ----------------------------------------------------------------------------------

@cython.overflowcheck(False)  # wraps by design
cdef inline uint64_t hash_byte(uint64_t hash, unsigned char byte) noexcept nogil:
    return (hash ^ byte) * FNV_PRIME


@cython.overflowcheck(False)  # wraps by design
cdef inline uint64_t hash_term(uint64_t before, uint64_t token) noexcept nogil:
    """The hash of a term, from that of all but its last token. Order counts; a term of one token hashes as its token."""
    return before * TERM_FACTOR + token


cdef inline uint32_t look_up(const LexiconC* lexicon, uint64_t hash) noexcept nogil:
    """What the term is evidence of; 0 when it is none. The table is never full, so every search ends."""
    cdef uint64_t place = (hash ^ hash >> 32) & lexicon.mask
    while lexicon.slots[place].hash != 0:
        if lexicon.slots[place].hash == hash:
            return lexicon.slots[place].categories
        place = (place + 1) & lexicon.mask
    return 0


cdef struct RecentC:
    uint64_t[TERM_TOKENS] ending  # hashes of the terms of 1, 2, 3, 4 tokens that end at the last token
    int tokens  # how many of them there are


cdef inline void count_terms(const LexiconC* lexicon, RecentC* recent, uint64_t token, FeaturesC* found) noexcept nogil:
    cdef int length, category
    cdef uint32_t categories
    if recent.tokens < TERM_TOKENS:
        recent.tokens += 1
    for length in range(recent.tokens - 1, 0, -1):
        recent.ending[length] = hash_term(recent.ending[length - 1], token)
    recent.ending[0] = token
    for length in range(recent.tokens):
        categories = look_up(lexicon, recent.ending[length])
        if categories != 0:
            for category in range(CATEGORIES):
                found.terms[category] += categories >> category & 1


# ---- characters -----------------------------------------------------------------------------------------------------

cdef inline bint is_letter(unsigned char byte) noexcept nogil:
    return 97 <= (byte | 32) <= 122


cdef inline bint is_word_byte(unsigned char byte) noexcept nogil:
    return is_letter(byte) or 48 <= byte <= 57 or byte == 95


cdef inline bint is_space_byte(unsigned char byte) noexcept nogil:
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


cdef inline bint is_within(uint32_t point, uint32_t first, uint32_t last) noexcept nogil:
    return first <= point <= last


cdef inline CharacterC character_of(uint32_t point) noexcept nogil:
    """The class of a code point from U+0080. Common scripts leave early."""
    if point < 0x100:
        if point == 0x85 or point == 0xA0:
            return CHARACTER_SPACE
        if point == 0xAA or point == 0xB5 or point == 0xBA or (point >= 0xC0 and point != 0xD7 and point != 0xF7):
            return CHARACTER_TOKEN
        return CHARACTER_PUNCTUATION
    if point < 0x0E00:
        return CHARACTER_TOKEN
    if point < 0x2000:
        if point < 0x0F00 or is_within(point, 0x1000, 0x109F) or is_within(point, 0x1780, 0x17FF) or is_within(point, 0x19E0, 0x19FF):
            return CHARACTER_UNSPACED
        return CHARACTER_SPACE if point == 0x1680 else CHARACTER_TOKEN
    if point < 0x2070:
        if point < 0x200B or point == 0x2028 or point == 0x2029 or point == 0x202F or point == 0x205F:
            return CHARACTER_SPACE
        return CHARACTER_PUNCTUATION
    if point < 0x3000:
        return CHARACTER_PUNCTUATION if is_within(point, 0x2E00, 0x2E7F) else CHARACTER_TOKEN
    if is_within(point, 0x3400, 0x4DBF) or is_within(point, 0x4E00, 0x9FFF):
        return CHARACTER_CJK
    if point < 0x3400:
        if point == 0x3000:
            return CHARACTER_SPACE
        if is_within(point, 0x3005, 0x3007) or is_within(point, 0x3041, 0x309F) or is_within(point, 0x31F0, 0x31FF):
            return CHARACTER_CJK
        if point < 0x3040 or point == 0x30FB:
            return CHARACTER_PUNCTUATION
        return CHARACTER_CJK if is_within(point, 0x30A1, 0x30FF) else CHARACTER_TOKEN
    if point < 0xF900:
        if is_within(point, 0xA9E0, 0xA9FF) or is_within(point, 0xAA60, 0xAA7F):
            return CHARACTER_UNSPACED
        return CHARACTER_TOKEN
    if point < 0x10000:
        if point < 0xFB00 or is_within(point, 0xFF66, 0xFF9F):
            return CHARACTER_CJK
        if is_within(point, 0xFE30, 0xFE6F) or point == 0xFEFF:
            return CHARACTER_PUNCTUATION
        if is_within(point, 0xFF00, 0xFF0F) or is_within(point, 0xFF1A, 0xFF20) or is_within(point, 0xFF3B, 0xFF40):
            return CHARACTER_PUNCTUATION
        return CHARACTER_PUNCTUATION if is_within(point, 0xFF5B, 0xFF65) else CHARACTER_TOKEN
    if is_within(point, 0x1B000, 0x1B16F) or is_within(point, 0x20000, 0x3FFFF):
        return CHARACTER_CJK
    return CHARACTER_TOKEN


# ---- marks of code --------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t run_length(const unsigned char* text, Py_ssize_t at) noexcept nogil:
    """How often the byte at `at` is repeated from there; the NUL behind the text ends every run."""
    cdef Py_ssize_t end = at + 1
    while text[end] == text[at]:
        end += 1
    return end - at


cdef inline void count_marks(const unsigned char* text, Py_ssize_t at, Py_ssize_t size, FeaturesC* found) noexcept nogil:
    """Counts the marks that start at the ASCII punctuation at `at`. Looks ahead no further than the NUL behind the text."""
    cdef unsigned char byte = text[at]
    cdef unsigned char after = text[at + 1]
    cdef unsigned char before = text[at - 1] if at > 0 else 0
    cdef Py_ssize_t length
    if byte == c"(":
        if at > 1 and is_word_byte(before) and is_word_byte(text[at - 2]):
            if after == c"e":
                found.code_marks += not (text[at + 2] == c"s" and text[at + 3] == c")")
            else:
                found.code_marks += not (after == c"s" and text[at + 2] == c")")
    elif byte == c";" or byte == c"{":
        found.code_marks += after == c"\n" or after == c"\r" or at + 1 == size
    elif byte == c"=":
        if before != c"=":
            length = run_length(text, at)
            found.code_marks += length == 2 or length == 3
            found.code_marks += after == c">" and before != c"-"
    elif byte == c"-":
        found.code_marks += after == c"=" or (after == c">" and before != c"-" and before != c"=")
    elif byte == c"!" or byte == c"+" or byte == c"*":
        found.code_marks += after == c"="
    elif byte == c":" or byte == c"&" or byte == c"|":
        if before != byte:
            found.code_marks += run_length(text, at) == 2
    elif byte == c"`":
        if before != byte:
            found.fences += run_length(text, at) > 2
    elif byte == c"<":
        found.code_marks += after == c"/" and is_letter(text[at + 2])
    elif byte == c"/":
        found.code_marks += after == c">"


# ---- the pass -------------------------------------------------------------------------------------------------------

cdef void scan(const unsigned char* text, Py_ssize_t size, const LexiconC* lexicon, FeaturesC* found) noexcept nogil:
    """Finds everything in one pass over valid UTF-8 that a NUL follows."""
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t width
    cdef unsigned char byte
    cdef uint32_t point
    cdef uint64_t hash = FNV_OFFSET
    cdef bint in_token = False
    cdef bint after_space = True  # whether a space, or nothing, precedes the stretch
    cdef StretchC stretch = STRETCH_NONE
    cdef CharacterC character
    cdef RecentC recent
    recent.tokens = 0
    memset(found, 0, sizeof(FeaturesC))

    while at < size:
        byte = text[at]
        if is_word_byte(byte):
            stretch = STRETCH_TOKEN
            in_token = True
            while True:  # most of most texts: stay in here
                hash = hash_byte(hash, byte | 32 if 65 <= byte <= 90 else byte)
                found.ascii_characters += 1
                at += 1
                byte = text[at]
                if not is_word_byte(byte):  # the NUL behind the text is none
                    break
            if at >= size:
                break
        if byte < 0x80:
            width = 1
            found.ascii_characters += 1
            if is_space_byte(byte):
                character = CHARACTER_SPACE
            else:
                character = CHARACTER_PUNCTUATION
                count_marks(text, at, size, found)
        else:
            if byte < 0xE0:
                width = 2
                point = (byte & 0x1F) << 6 | (text[at + 1] & 0x3F)
            elif byte < 0xF0:
                width = 3
                point = (byte & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | (text[at + 2] & 0x3F)
            else:
                width = 4
                point = (byte & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | (text[at + 3] & 0x3F)
            found.characters += 1
            character = character_of(point)

        if character >= CHARACTER_TOKEN:
            in_token = True
            while width > 0:
                hash = hash_byte(hash, text[at])
                at += 1
                width -= 1
        else:
            at += width
            if in_token:
                count_terms(lexicon, &recent, hash, found)
                hash = FNV_OFFSET
                in_token = False

        if character == CHARACTER_TOKEN:
            stretch = STRETCH_TOKEN
        elif character == CHARACTER_PUNCTUATION:
            if stretch == STRETCH_NONE:
                stretch = STRETCH_BARE
        else:
            found.words += stretch == STRETCH_TOKEN or (stretch == STRETCH_BARE and after_space and character == CHARACTER_SPACE)
            stretch = STRETCH_NONE
            after_space = character == CHARACTER_SPACE
            found.unspaced_characters += character >= CHARACTER_UNSPACED
            found.cjk_characters += character == CHARACTER_CJK

    if in_token:
        count_terms(lexicon, &recent, hash, found)
    found.words += stretch == STRETCH_TOKEN or (stretch == STRETCH_BARE and after_space)
    found.words += (found.unspaced_characters + 1) >> 1
    found.characters += found.ascii_characters


cdef int64_t input_tokens(const FeaturesC* found) noexcept nogil:
    return ((found.ascii_characters + 3) >> 2) + found.characters - found.ascii_characters


cdef int64_t code_score(const FeaturesC* found) noexcept nogil:
    return 4 * (found.fences + found.terms[CATEGORY_CODE]) + 2 * found.terms[CATEGORY_CODE_HINT] + found.code_marks


cdef bint has_code(const FeaturesC* found) noexcept nogil:
    return code_score(found) >= CODE_SCORE_MIN


cdef bint has_planning(const FeaturesC* found) noexcept nogil:
    return found.terms[CATEGORY_PLANNING] > 0


cdef bint has_vision(const FeaturesC* found) noexcept nogil:
    return found.terms[CATEGORY_VISION] > 0


cdef bint has_governance(const FeaturesC* found) noexcept nogil:
    return found.terms[CATEGORY_GOVERNANCE] > 0


cdef int64_t count_tokens(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    """`input_tokens` by itself: every code point but ASCII has one byte from 0xC0 up, and ASCII is below 0x80."""
    cdef Py_ssize_t at
    cdef int64_t ascii_characters = 0
    cdef int64_t others = 0
    for at in range(size):
        ascii_characters += text[at] < 0x80
        others += text[at] >= 0xC0
    return ((ascii_characters + 3) >> 2) + others


# ---- faces ----------------------------------------------------------------------------------------------------------

cdef const unsigned char* encode(str text, Py_ssize_t* size) except NULL:
    """The UTF-8 of a text, kept with it, and a NUL behind."""
    try:
        return <const unsigned char*>PyUnicode_AsUTF8AndSize(text, size)
    except UnicodeEncodeError as error:
        raise InvalidTextError(error.start) from None


cdef object as_features(const FeaturesC* found):
    return Features(
        words=found.words,
        characters=found.characters,
        input_tokens=input_tokens(found),
        cjk_characters=found.cjk_characters,
        unspaced_characters=found.unspaced_characters,
        code_score=code_score(found),
        planning_terms=found.terms[CATEGORY_PLANNING],
        math_terms=found.terms[CATEGORY_MATH],
        vision_terms=found.terms[CATEGORY_VISION],
        governance_terms=found.terms[CATEGORY_GOVERNANCE],
        code=has_code(found),
        planning=has_planning(found),
        math=found.terms[CATEGORY_MATH] > 0,
        vision=has_vision(found),
        governance=has_governance(found),
    )


@cython.final
cdef class Lexicon:
    """A vocabulary made ready for the scan: terms (`Table.terms`, `build_terms()`) to what they are evidence of. Immutable.

    Thread-safety: any number of threads may scan at once.
    """

    def __cinit__(self, terms):
        cdef uint64_t slots = 64
        while slots < 4 * <uint64_t>len(terms):
            slots *= 2
        self.table.slots = <SlotC*>calloc(slots, sizeof(SlotC))
        if self.table.slots == NULL:
            raise MemoryError()
        self.table.mask = slots - 1
        for term, categories in terms.items():
            self._add(term, categories)

    def __dealloc__(self):
        free(self.table.slots)

    cdef int _add(self, tuple term, uint32_t categories) except -1:
        cdef uint64_t hash = 0
        cdef uint64_t token_hash, place
        cdef unsigned char byte
        for token in term:
            token_hash = FNV_OFFSET
            for byte in <bytes>token.encode():
                token_hash = hash_byte(token_hash, byte)
            hash = hash_term(hash, token_hash)
        place = (hash ^ hash >> 32) & self.table.mask
        while self.table.slots[place].hash != 0:
            place = (place + 1) & self.table.mask
        self.table.slots[place].hash = hash
        self.table.slots[place].categories = categories
        return 0

    cdef int scan_text(self, str text, FeaturesC* found) except -1:
        cdef Py_ssize_t size = 0
        cdef const unsigned char* utf8 = encode(text, &size)
        scan(utf8, size, &self.table, found)
        return 0

    def extract(self, str text not None):
        """Finds the features of `text`.

        Raises:
            InvalidTextError: the text holds a lone surrogate.
        """
        cdef FeaturesC found
        self.scan_text(text, &found)
        return as_features(&found)


@cache
def _built_in_lexicon():
    """The built-in vocabulary alone: a constant, made when first asked for and not at import."""
    return Lexicon(build_terms())


def extract(str text not None):
    """Finds the features of `text`, with the built-in vocabulary alone: no governance terms.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    return _built_in_lexicon().extract(text)


def estimate_tokens(str text not None):
    """Estimates the tokens of a text that is sent but not judged, as `Features.input_tokens` does. Many times as fast.

    Raises:
        InvalidTextError: the text holds a lone surrogate.
    """
    cdef Py_ssize_t size = 0
    cdef const unsigned char* utf8 = encode(text, &size)
    return count_tokens(utf8, size)

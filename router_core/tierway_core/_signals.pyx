# cython: language_level=3, freethreading_compatible=True
"""What the classifier reads from a text, in one pass over its UTF-8. `tierway_core.signals` holds the rules; here is only how it is fast.

Classes of code points come from a table, made from the ranges of `signals.py` and `text.py` when a `Reader` is.
Hashes of n-grams are polynomials, so each grows from the one that is shorter by a character.
"""

from array import array

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport log1p
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tierway_core import signals as rules
from tierway_core import text as text_rules
from tierway_core.errors import InvalidTextError


cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL


cdef enum ClassC:  # what a code point is; the lowest four bits are the number of its Mark
    CLASS_MARK = 0xF
    CLASS_SPACE = 0x10
    CLASS_WORD = 0x20
    CLASS_UNSPACED = 0x40
    CLASS_CJK = 0x80
    CLASS_HANGUL = 0x100
    CLASS_OTHER_SCRIPT = 0x200
    CLASS_GREEK = 0x400
    CLASS_UPPER = 0x800
    CLASS_DIGIT = 0x1000
    CLASS_CAPITAL = 0x2000  # of ASCII, as CLASS_SMALL
    CLASS_SMALL = 0x4000


cdef enum:  # the numbers of Mark
    MARK_COMMA = 1
    MARK_STOP = 2
    MARK_WIDE_STOP = 3
    MARK_QUESTION = 4
    MARK_WIDE_QUESTION = 5
    MARK_COLON = 6
    MARK_OPEN = 7
    MARK_QUOTE = 8
    MARK_HYPHEN = 9
    MARK_SLASH = 10
    MARK_MATH = 11
    MARK_LATEX = 12
    MARK_CODE = 13
    MARK_BACKTICK = 14
    MARK_PERCENT = 15


cdef enum:
    PLANE = 0x10000  # the size of the basic plane
    START = 1


cdef extern from *:
    """
    #include <assert.h>
    #define TIERWAY_FNV_OFFSET 0xcbf29ce484222325ULL
    #define TIERWAY_FNV_PRIME 0x100000001b3ULL
    #define TIERWAY_PAIR_FACTOR 0x9e3779b97f4a7c15ULL
    #define TIERWAY_GRAM_FACTOR 0xd6e8feb86659fd93ULL
    #define TIERWAY_BUCKET_FACTOR 0xff51afd7ed558ccdULL
    """
    const uint64_t FNV_OFFSET "TIERWAY_FNV_OFFSET"
    const uint64_t FNV_PRIME "TIERWAY_FNV_PRIME"
    const uint64_t PAIR_FACTOR "TIERWAY_PAIR_FACTOR"
    const uint64_t GRAM_FACTOR "TIERWAY_GRAM_FACTOR"
    const uint64_t BUCKET_FACTOR "TIERWAY_BUCKET_FACTOR"
    void claim "assert"(bint holds) noexcept nogil  # checked by the debug core alone


# ---- hashes ---------------------------------------------------------------------------------------------------------

cdef inline uint16_t bucket(uint64_t hash) noexcept nogil:
    return <uint16_t>(((hash ^ hash >> 32) * BUCKET_FACTOR) >> 48)


cdef inline void add_gram_character(PassC* state, uint32_t folded, SignalsC* found) noexcept nogil:
    """Adds the n-grams of 3, 4 and 5 characters that end with this one."""
    cdef uint64_t three = folded + state.suffixes[1] * GRAM_FACTOR
    cdef uint64_t four = folded + state.suffixes[2] * GRAM_FACTOR
    cdef uint64_t five = folded + state.suffixes[3] * GRAM_FACTOR
    cdef uint16_t* buckets = found.gram_buckets + found.grams
    claim(found.grams + 3 <= GRAMS_MOST)
    if state.suffix_count >= 4:
        buckets[0] = bucket(three)
        buckets[1] = bucket(four)
        buckets[2] = bucket(five)
        found.grams += 3
    else:
        if state.suffix_count >= 2:
            buckets[0] = bucket(three)
            found.grams += 1
        if state.suffix_count >= 3:
            buckets[1] = bucket(four)
            found.grams += 1
        state.suffix_count += 1
    state.suffixes[3] = four
    state.suffixes[2] = three
    state.suffixes[1] = folded + state.suffixes[0] * GRAM_FACTOR
    state.suffixes[0] = folded
    state.after_space = folded == 0x20


cdef inline void add_word(PassC* state, uint64_t hash, SignalsC* found) noexcept nogil:
    claim(found.words < WORDS_MOST)
    found.word_buckets[found.words] = bucket(hash)
    found.pair_buckets[found.words] = bucket(state.before * PAIR_FACTOR + hash)
    found.words += 1
    state.before = hash
    state.last = 0


# ---- words ----------------------------------------------------------------------------------------------------------

cdef inline void start_word(PassC* state) noexcept nogil:
    state.word_hash = FNV_OFFSET
    state.length = state.capitals = state.word_digits = state.small = state.hangul = 0
    state.underscores = state.word_letters = 0
    state.first = state.first_class = state.second = 0
    state.is_camel = False


cdef inline void add_word_character(PassC* state, uint32_t point, uint32_t folded, uint32_t class_) noexcept nogil:
    state.word_hash = (state.word_hash ^ folded) * FNV_PRIME
    if state.length == 0:
        state.first = point
        state.first_class = class_
    elif state.length == 1:
        state.second = point
    state.length += 1
    if class_ & CLASS_SMALL:
        state.word_letters += 1
        state.small += 1
    elif class_ & CLASS_DIGIT:
        state.word_digits += 1
        state.digits += 1
    elif point == 0x5F:
        state.underscores += 1
    else:
        state.word_letters += 1
        if class_ & CLASS_CAPITAL:
            state.capitals += 1
            state.is_camel = state.is_camel or state.small > 0
        else:
            state.hangul += (class_ & CLASS_HANGUL) != 0
            state.others += (class_ & CLASS_OTHER_SCRIPT) != 0
            state.greek += (class_ & CLASS_GREEK) != 0


cdef inline void add_tenths(PassC* state, int64_t tenths) noexcept nogil:
    state.tenths += tenths
    state.sentence_tenths += tenths


cdef inline void end_word(PassC* state, SignalsC* found) noexcept nogil:
    cdef bint acronym
    if state.length == 0:
        return
    add_word(state, state.word_hash, found)
    state.spaced_words += 1
    state.letters += state.word_letters
    state.weight += state.word_letters + state.hangul
    acronym = state.capitals >= 2 and state.capitals + state.word_digits == state.length
    state.acronyms += acronym
    state.capitalised += not acronym and state.sentence_tenths > 0 and (state.first_class & CLASS_UPPER) != 0
    state.numbers += (state.first_class & CLASS_DIGIT) != 0
    state.singles += state.length == 1 and state.capitals + state.small == 1
    state.long_words += state.length >= 9
    state.latin += (state.first_class & (CLASS_CAPITAL | CLASS_SMALL)) != 0
    state.mixed += state.is_camel or state.underscores > 0 or (state.word_digits > 0 and state.word_letters > 0)
    state.blanks += state.first == 0x5F and state.second == 0x5F
    add_tenths(state, 5 * state.hangul + (10 if state.length > state.hangul else 0))
    start_word(state)


cdef inline void add_unspaced(PassC* state, uint32_t point, uint32_t class_, SignalsC* found) noexcept nogil:
    cdef bint cjk = (class_ & CLASS_CJK) != 0
    add_word(state, (FNV_OFFSET ^ point) * FNV_PRIME, found)
    state.unspaced += 1
    state.others += 1
    state.weight += 3 if cjk else 1
    add_tenths(state, 5 if cjk else 2)


# ---- marks, sentences, lines ----------------------------------------------------------------------------------------

cdef inline void end_sentence(PassC* state) noexcept nogil:
    if state.sentence_tenths > 0:
        state.sentences += 1
        state.longest = max(state.longest, state.sentence_tenths)
        state.richest = max(state.richest, state.sentence_commas)
    state.sentence_tenths = state.sentence_commas = 0


cdef inline void add_mark(PassC* state, uint32_t mark, uint32_t point, bint in_word) noexcept nogil:
    state.marks[mark] += 1
    if mark != MARK_QUOTE:
        state.last = mark
    if mark == MARK_COMMA:
        state.sentence_commas += 1
    elif mark == MARK_STOP or mark == MARK_QUESTION:
        state.is_stop_pending = True
    elif mark == MARK_WIDE_STOP or mark == MARK_WIDE_QUESTION:
        end_sentence(state)
    elif point == 0x28 and in_word:
        state.calls += 1


cdef inline void follow_line(PassC* state, uint32_t point) noexcept nogil:
    """Looks at the first two characters of each line."""
    if point == 0x0A:
        state.lines += 1
        state.line_length = 0
    elif state.line_length == 0:
        state.line_first = point
        state.line_length = 1
        state.indented += point == 0x09
    elif state.line_length == 1:
        state.line_length = 2
        if state.line_first == 0x20 and point == 0x20:
            state.indented += 1
        elif 0x41 <= state.line_first <= 0x5A and (point == 0x2E or point == 0x29):
            if state.options == 0:
                state.stem_tenths = state.tenths
                state.stem_digits = state.digits
            state.options += 1


# ---- the pass -------------------------------------------------------------------------------------------------------

cdef inline uint32_t class_beyond(uint32_t point) noexcept nogil:
    """The class of a code point beyond the basic plane."""
    if 0x1B000 <= point <= 0x1B16F or 0x20000 <= point <= 0x3FFFF:
        return CLASS_UNSPACED | CLASS_CJK | CLASS_OTHER_SCRIPT
    return CLASS_WORD if 0x1F000 <= point <= 0x1FFFF else CLASS_WORD | CLASS_OTHER_SCRIPT


cdef inline void read_character(PassC* state, uint32_t point, uint32_t class_, SignalsC* found) noexcept nogil:
    cdef uint32_t folded = point
    cdef uint32_t mark = class_ & CLASS_MARK
    cdef bint space = (class_ & CLASS_SPACE) != 0
    cdef bint in_word
    state.characters += 1
    state.beyond_ascii += point >= 0x80
    if class_ & CLASS_CAPITAL:
        folded = point | 0x20
    elif class_ & CLASS_DIGIT:
        folded = 0x30
    if not space:
        add_gram_character(state, folded, found)
    elif not state.after_space:
        add_gram_character(state, 0x20, found)
    if state.is_stop_pending:
        state.is_stop_pending = False
        if space:
            end_sentence(state)
    if class_ & CLASS_WORD:
        add_word_character(state, point, folded, class_)
    else:
        in_word = state.length > 0
        end_word(state, found)
        if mark != 0:
            add_mark(state, mark, point, in_word)
        elif class_ & CLASS_UNSPACED:
            add_unspaced(state, point, class_, found)
        if point == 0x0A:
            end_sentence(state)
    follow_line(state, point)


cdef void read_stretch(
    const uint16_t* classes, const unsigned char* text, Py_ssize_t size, PassC* state, SignalsC* found
) noexcept nogil:
    """Reads valid UTF-8 that starts and ends with whole code points; never looks beyond it."""
    cdef Py_ssize_t at = 0
    cdef unsigned char byte
    cdef uint32_t point
    state.before = START
    memset(state.suffixes, 0, sizeof(state.suffixes))
    state.suffixes[0] = 0x20
    state.suffix_count = 1
    state.after_space = True
    state.is_stop_pending = False
    state.line_length = 0
    start_word(state)
    state.lines += size > 0
    while at < size:
        byte = text[at]
        if byte < 0x80:
            point = byte
            at += 1
        elif byte < 0xE0:
            point = (byte & 0x1F) << 6 | (text[at + 1] & 0x3F)
            at += 2
        elif byte < 0xF0:
            point = (byte & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | (text[at + 2] & 0x3F)
            at += 3
        else:
            point = (byte & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | (text[at + 3] & 0x3F)
            at += 4
        claim(at <= size)
        read_character(state, point, classes[point] if point < PLANE else class_beyond(point), found)
    end_word(state, found)
    end_sentence(state)
    if not state.after_space:
        add_gram_character(state, 0x20, found)


cdef inline double log_count(int64_t count) noexcept nogil:
    return 0.0 if count == 0 else log1p(<double>count)


cdef inline double log_tenths(int64_t tenths) noexcept nogil:
    return 0.0 if tenths == 0 else log1p(<double>tenths / 10.0)


cdef void fill_counters(const PassC* state, Py_ssize_t size, double* counters) noexcept nogil:
    """In the order of COUNTERS."""
    cdef double characters = <double>max(state.characters, 1)
    cdef bint has_options = state.options > 0
    counters[0] = log_count(size)
    counters[1] = log_tenths(state.tenths)
    counters[2] = log_count(state.weight)
    counters[3] = log_count(state.spaced_words)
    counters[4] = log_count(state.sentences)
    counters[5] = log1p(<double>state.tenths / 10.0 / <double>max(state.sentences, 1))
    counters[6] = log_tenths(state.longest)
    counters[7] = log_count(state.marks[MARK_COMMA])
    counters[8] = log_count(state.richest)
    counters[9] = log_count(state.marks[MARK_COLON])
    counters[10] = log_count(state.marks[MARK_QUESTION] + state.marks[MARK_WIDE_QUESTION])
    counters[11] = state.last == MARK_QUESTION or state.last == MARK_WIDE_QUESTION
    counters[12] = state.last == MARK_STOP or state.last == MARK_WIDE_STOP
    counters[13] = state.last == MARK_COLON
    counters[14] = log_count(state.marks[MARK_OPEN])
    counters[15] = log_count(state.marks[MARK_QUOTE])
    counters[16] = log_count(state.marks[MARK_HYPHEN])
    counters[17] = log_count(state.marks[MARK_SLASH])
    counters[18] = log_count(state.marks[MARK_MATH])
    counters[19] = log_count(state.marks[MARK_LATEX])
    counters[20] = log_count(state.marks[MARK_PERCENT])
    counters[21] = log_count(state.digits)
    counters[22] = log_count(state.numbers)
    counters[23] = log_count(state.acronyms)
    counters[24] = log_count(state.capitalised)
    counters[25] = log_count(state.singles)
    counters[26] = log_count(state.long_words)
    counters[27] = log1p(<double>state.letters / <double>max(state.spaced_words, 1))
    counters[28] = log_count(state.latin if state.others > 0 else 0)
    counters[29] = log_count(state.mixed)
    counters[30] = log_count(state.marks[MARK_CODE])
    counters[31] = log_count(state.calls)
    counters[32] = log_count(state.marks[MARK_BACKTICK])
    counters[33] = log_count(state.lines)
    counters[34] = log_count(state.indented)
    counters[35] = log_count(state.options)
    counters[36] = log_tenths(state.stem_tenths if has_options else state.tenths)
    counters[37] = log_count(state.digits - state.stem_digits if has_options else 0)
    counters[38] = log_count(state.blanks)
    counters[39] = <double>state.beyond_ascii / characters
    counters[40] = <double>state.unspaced / characters
    counters[41] = <double>state.others / characters
    counters[42] = log_count(state.greek)


cdef void read_signals(const uint16_t* classes, const unsigned char* text, Py_ssize_t size, SignalsC* found) noexcept nogil:
    """Reads the window of valid UTF-8 that a NUL follows."""
    cdef PassC state
    cdef Py_ssize_t head = HEAD_BYTES
    cdef Py_ssize_t tail = size - TAIL_BYTES
    memset(&state, 0, sizeof(PassC))
    found.words = 0
    found.grams = 0
    if size <= WINDOW_BYTES:
        read_stretch(classes, text, size, &state, found)
    else:
        while text[head] & 0xC0 == 0x80:
            head -= 1
        while text[tail] & 0xC0 == 0x80:  # the NUL behind the text is none
            tail += 1
        read_stretch(classes, text, head, &state, found)
        read_stretch(classes, text + tail, size - tail, &state, found)
    fill_counters(&state, size, found.counters)


# ---- faces ----------------------------------------------------------------------------------------------------------

@cython.final
cdef class Reader:
    """Reads signals. Immutable.

    Thread-safety: any number of threads may read at once.
    """

    def __cinit__(self):
        if len(rules.COUNTERS) != COUNTERS_COUNT or len(rules.Mark) + 1 != MARKS_COUNT or rules.WINDOW_BYTES != WINDOW_BYTES:
            raise RuntimeError("the compiled core and signals.py are of different versions: run make build")
        self._classes = <uint16_t*>calloc(PLANE, sizeof(uint16_t))
        if self._classes == NULL:
            raise MemoryError()
        cdef Py_ssize_t point
        for point in range(0x80, PLANE):
            self._classes[point] = CLASS_WORD
        self._mark([(0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A), (0x5F, 0x5F)], CLASS_WORD)
        self._mark([(0x30, 0x39)], CLASS_DIGIT)
        self._mark([(0x41, 0x5A)], CLASS_CAPITAL)
        self._mark([(0x61, 0x7A)], CLASS_SMALL)
        self._mark(rules.UPPER, CLASS_UPPER)
        self._mark(rules.HANGUL, CLASS_HANGUL)
        self._mark(rules.OTHER_SCRIPTS, CLASS_OTHER_SCRIPT)
        self._mark([rules.GREEK], CLASS_GREEK)
        self._mark(text_rules.UNSPACED, CLASS_UNSPACED)
        self._mark(text_rules.CJK, CLASS_CJK)
        self._mark([(space, space) for space in rules.SPACES], CLASS_SPACE)
        for mark, points in rules.MARKS:
            self._mark([entry if isinstance(entry, tuple) else (entry, entry) for entry in points], mark)
        for first, last in text_rules.PUNCTUATION:
            for point in range(first, last + 1):
                self._classes[point] &= ~CLASS_WORD
        for point in range(0, PLANE):
            if self._classes[point] & (CLASS_MARK | CLASS_SPACE | CLASS_UNSPACED):
                self._classes[point] &= ~CLASS_WORD

    def __dealloc__(self):
        free(self._classes)

    cdef int _mark(self, object ranges, uint16_t bits) except -1:
        """Sets bits over inclusive ranges, as far as they are in the basic plane."""
        cdef Py_ssize_t point
        for first, last in ranges:
            for point in range(first, min(last, PLANE - 1) + 1):
                self._classes[point] |= bits
        return 0

    cdef int read(self, str text, SignalsC* found) except -1:
        cdef Py_ssize_t size = 0
        cdef const unsigned char* utf8
        try:
            utf8 = <const unsigned char*>PyUnicode_AsUTF8AndSize(text, &size)
        except UnicodeEncodeError as error:
            raise InvalidTextError(error.start) from None
        read_signals(self._classes, utf8, size, found)
        return 0

    def buckets(self, str text not None):
        """The buckets of words, pairs and n-grams, each an `array` of 16-bit numbers.

        Raises:
            InvalidTextError: the text holds a lone surrogate.
        """
        cdef SignalsC found
        self.read(text, &found)
        return (
            array("H", PyBytes_FromStringAndSize(<char*>found.word_buckets, found.words * sizeof(uint16_t))),
            array("H", PyBytes_FromStringAndSize(<char*>found.pair_buckets, found.words * sizeof(uint16_t))),
            array("H", PyBytes_FromStringAndSize(<char*>found.gram_buckets, found.grams * sizeof(uint16_t))),
        )

    def counters(self, str text not None):
        """The counters, as COUNTERS names them.

        Raises:
            InvalidTextError: the text holds a lone surrogate.
        """
        cdef SignalsC found
        cdef Py_ssize_t place
        self.read(text, &found)
        return tuple([found.counters[place] for place in range(COUNTERS_COUNT)])

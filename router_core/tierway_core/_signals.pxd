# cython: language_level=3
"""What the classifier reads from a text, in plain C: buckets and counters, without a Python object."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

cdef enum:
    WINDOW_BYTES = 4096
    HEAD_BYTES = 3072
    TAIL_BYTES = 1024
    WORDS_MOST = WINDOW_BYTES  # a word takes a byte at least
    GRAMS_MOST = 3 * (WINDOW_BYTES + 2)  # three a character, and a space behind each of the two stretches
    COUNTERS_COUNT = 43
    MARKS_COUNT = 16


cdef struct SignalsC:
    Py_ssize_t words
    Py_ssize_t grams
    uint16_t[WORDS_MOST] word_buckets
    uint16_t[WORDS_MOST] pair_buckets
    uint16_t[GRAMS_MOST] gram_buckets
    double[COUNTERS_COUNT] counters


# The state of one pass; what each means is said in `signals.py`, whose names these are.
cdef struct PassC:
    # of the stretch
    uint64_t before
    uint64_t[4] suffixes  # hashes of the last 1, 2, 3, 4 characters
    int suffix_count
    bint after_space
    bint is_stop_pending
    int line_length
    uint32_t line_first
    # of the word
    uint64_t word_hash
    int64_t length
    int64_t capitals
    int64_t word_digits
    int64_t small
    int64_t hangul
    int64_t underscores
    int64_t word_letters
    uint32_t first
    uint32_t first_class
    uint32_t second
    bint is_camel
    # of the window
    int64_t[MARKS_COUNT] marks
    int64_t characters
    int64_t beyond_ascii
    int64_t unspaced
    int64_t others
    int64_t greek
    int64_t digits
    int64_t weight
    int64_t tenths
    int64_t spaced_words
    int64_t letters
    int64_t sentences
    int64_t sentence_tenths
    int64_t longest
    int64_t sentence_commas
    int64_t richest
    int64_t numbers
    int64_t acronyms
    int64_t capitalised
    int64_t singles
    int64_t long_words
    int64_t latin
    int64_t mixed
    int64_t calls
    int64_t blanks
    int64_t lines
    int64_t indented
    int64_t options
    int64_t stem_tenths
    int64_t stem_digits
    uint32_t last


cdef class Reader:
    cdef uint16_t* _classes  # of the code points of the basic plane

    cdef int _mark(self, object ranges, uint16_t bits) except -1
    cdef int read(self, str text, SignalsC* found) except -1

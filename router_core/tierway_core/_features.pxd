# cython: language_level=3
"""Features of a text in plain C, so that `_select` needs no Python object to classify by."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef struct FeaturesC:
    int64_t words
    int64_t characters
    int64_t ascii_characters
    int64_t cjk_characters
    int64_t unspaced_characters
    int64_t fences
    int64_t code_marks
    int64_t[6] terms  # occurrences by category, in the order of its bits


cdef struct SlotC:
    uint64_t hash  # 0: empty
    uint32_t categories


cdef struct LexiconC:
    SlotC* slots
    uint64_t mask  # number of slots, a power of two, less one


cdef int64_t input_tokens(const FeaturesC* found) noexcept nogil
cdef int64_t code_score(const FeaturesC* found) noexcept nogil
cdef bint has_code(const FeaturesC* found) noexcept nogil
cdef bint has_planning(const FeaturesC* found) noexcept nogil
cdef bint has_vision(const FeaturesC* found) noexcept nogil
cdef bint has_governance(const FeaturesC* found) noexcept nogil
cdef object as_features(const FeaturesC* found)


cdef class Lexicon:
    cdef LexiconC table

    cdef int _add(self, tuple term, uint32_t categories) except -1
    cdef int scan_text(self, str text, FeaturesC* found) except -1

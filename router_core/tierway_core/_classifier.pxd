# cython: language_level=3
"""What the classifier says of a text, in plain C, so that `_select` needs no Python object to decide by."""

from libc.stdint cimport int8_t, int32_t, int64_t

from tierway_core._signals cimport COUNTERS_COUNT, Reader, SignalsC

cdef enum:
    FAMILIES = 3
    BANDS = 5
    LABELS_COUNT = 4
    QUANTITIES_COUNT = 6
    LANES = 16  # columns are added this many at once
    COLUMNS_MOST = 64
    HIDDEN_MOST = 128
    DOMAINS_MOST = 32
    INPUTS_MOST = FAMILIES * COLUMNS_MOST + COUNTERS_COUNT
    OUTPUTS_MOST = 2 + BANDS + DOMAINS_MOST + LABELS_COUNT


# Sizes and weights, as `weights.py` has them; rows of the table are padded to whole LANES with zeros.
cdef struct NetworkC:
    Py_ssize_t columns
    Py_ssize_t stride
    Py_ssize_t inputs
    Py_ssize_t hidden
    Py_ssize_t outputs
    Py_ssize_t domains
    double tier_lambda
    int8_t* table
    unsigned char* seen
    double* scales
    double* mean
    double* deviation
    double* w1
    double* b1
    double* skip
    double* w2
    double* b2
    double* confidence
    # a pair's gain; `column` is NULL without one
    int8_t* column
    double* dense
    double[FAMILIES] factors
    double bias


cdef struct AssessmentC:
    double difficulty
    double sigma
    double[BANDS] bands
    double[LABELS_COUNT] labels
    double domain_probability
    double confidence
    double familiarity
    double gain
    int32_t domain
    int32_t label
    int32_t tier


cdef double logistic(double x) noexcept nogil


cdef class Classifier:
    cdef readonly object weights
    cdef readonly object calibration
    cdef Reader _reader
    cdef NetworkC _network

    cdef double* _doubles(self, str name) except NULL
    cdef int _take_gain(self, object gain) except -1
    cdef int judge(self, str text, AssessmentC* found) except -1
    cdef object as_assessment(self, const AssessmentC* found)

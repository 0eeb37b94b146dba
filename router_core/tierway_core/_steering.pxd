# cython: language_level=3
"""Rules, experiments and budgets in plain C. `steering` is the specification."""

from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from *:
    """
    static inline int tierway_lowest(uint64_t bits) { return __builtin_ctzll(bits); }
    """
    int lowest_bit "tierway_lowest"(uint64_t bits) noexcept nogil


cdef enum:  # the conditions of a rule
    BY_TENANT = 0
    BY_AGENT = 1
    BY_TASK_TYPE = 2
    BY_CLASS = 3
    BY_DOMAIN = 4
    BY_LABEL = 5
    CONDITIONS = 6


# How to choose.
cdef struct PlanC:
    double cost_quality  # in a rule or an arm, below 0: not stated
    int32_t strategy  # its place in STRATEGIES; below 0: not stated


cdef struct RuleC:
    PlanC plan
    int32_t min_tier
    int32_t max_tier
    int32_t experiment  # below 0: none


cdef struct ArmC:
    PlanC plan
    double share


cdef struct ExperimentC:
    uint64_t key
    int32_t first_arm
    int32_t arms
    bint shadow


cdef struct BudgetRuleC:
    int64_t limit_picousd
    double low_share
    bint hard


# What a condition is looked up by; row 0 stands for whatever no rule names.
cdef struct FactsC:
    Py_ssize_t rows[CONDITIONS]


cdef class Steering:
    cdef Py_ssize_t words  # 64 rules each
    cdef RuleC* rules
    cdef ArmC* arms
    cdef ExperimentC* experiments
    cdef BudgetRuleC* budgets
    cdef uint64_t* _masks[CONDITIONS]  # by row, then by word: the rules whose condition holds
    cdef dict agents  # rows
    cdef dict task_types

    cdef int32_t first_rule(self, const FactsC* facts) noexcept nogil
    cdef int32_t arm_of(self, int32_t experiment, uint64_t by) noexcept nogil
    cdef double factor_of(self, int32_t budget, int64_t remaining_picousd) noexcept nogil


cdef void* reserve(Py_ssize_t count, size_t size) except NULL

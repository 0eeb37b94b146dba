# cython: language_level=3
"""Who decides."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from tierway_core._choice cimport DemandC, DeskC, ScalesC, ViewC
from tierway_core._classifier cimport Classifier
from tierway_core._decision cimport Decision
from tierway_core._features cimport Lexicon
from tierway_core._fleet cimport Fleet
from tierway_core._prefixes cimport Prefixes
from tierway_core._request cimport Request
from tierway_core._state cimport State
from tierway_core._steering cimport PlanC, Steering


cdef class Router:
    cdef object _table
    cdef State _state
    cdef Fleet _fleet
    cdef Lexicon _lexicon
    cdef Classifier _classifier
    cdef Prefixes _prefixes
    cdef Steering _steering
    cdef tuple _strategies  # in the order of STRATEGIES
    cdef dict _strategy_places
    cdef PlanC _plan  # of the table
    cdef int32_t _by_money  # the strategy where a budget runs low
    cdef double* _abilities
    cdef ScalesC _scales  # as far as it is the same for all decisions
    cdef double _min_confidence
    cdef int64_t _prefix_ns
    cdef dict _models
    cdef dict _task_types
    cdef dict _tenants
    cdef object _default_tenant
    cdef dict _agent_budgets
    cdef frozenset _critical_agents
    cdef int32_t[5] _floors  # by base class
    cdef int64_t[5] _expected_output_tokens
    cdef int32_t _accurate_tier
    cdef int32_t _governance_tier
    cdef double _min_compliance

    cpdef Decision decide(self, Request request, int64_t now_ns=*, uint64_t draw=*)
    cdef int _learn(self, object models) except -1
    cdef int _resolve(self, Request request, DemandC* demand, Decision decision) except -1
    cdef int _demand_of(self, Request request, DemandC* demand, Decision decision) except -1
    cdef int _steer(self, Request request, DemandC* demand, Decision decision, PlanC* shadow) except -1
    cdef double _dial(self, Request request, double configured, bint is_sure) noexcept nogil
    cdef int _pay(self, Request request, DemandC* demand, Decision decision, PlanC* shadow) except -1
    cdef bytes _look_around(self, const DemandC* demand)
    cdef int32_t _floor_of(self, Request request, Decision decision, const PlanC* plan) except -1
    cdef Py_ssize_t _choose(self, Decision decision, const PlanC* plan, int32_t floor, DeskC* desk, ViewC* view) except -2

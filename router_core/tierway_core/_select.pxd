# cython: language_level=3
"""What is decided, and who decides."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from tierway_core._choice cimport DemandC, DeskC, FleetC, ScalesC, ViewC
from tierway_core._classifier cimport AssessmentC, Classifier
from tierway_core._features cimport FeaturesC, Lexicon
from tierway_core._prefixes cimport Prefixes
from tierway_core._request cimport Request
from tierway_core._state cimport State
from tierway_core._steering cimport PlanC, Steering


cdef class Decision:
    cdef readonly object table
    cdef readonly Request request
    cdef readonly bytes filtered
    cdef readonly object tenant
    cdef readonly Py_ssize_t deployment
    cdef readonly Py_ssize_t shadow_deployment
    cdef readonly int64_t estimated_cost_picousd
    cdef readonly int64_t input_tokens
    cdef readonly int64_t output_tokens
    cdef readonly double figure
    cdef readonly double budget_factor
    cdef readonly int32_t floor
    cdef readonly int32_t pin
    cdef readonly bint prefers_vision
    cdef readonly bint is_sure
    cdef readonly Classifier classifier
    cdef int32_t _base
    cdef int32_t _rule  # places in the table, as the next two; below 0: none
    cdef int32_t _experiment
    cdef int32_t _arm  # of the experiment
    cdef PlanC _plan
    cdef double _full_cost_quality
    cdef double _expected_quality
    cdef object _features  # made when first read, as the next
    cdef object _assessment
    cdef AssessmentC _judgement
    cdef FeaturesC _found


cdef class Router:
    cdef object _table
    cdef State _state
    cdef Lexicon _lexicon
    cdef Classifier _classifier
    cdef Prefixes _prefixes
    cdef Steering _steering
    cdef tuple _strategies  # in the order of STRATEGIES
    cdef dict _strategy_places
    cdef PlanC _plan  # of the table
    cdef int32_t _by_money  # the strategy where a budget runs low
    cdef FleetC _fleet
    cdef double* _abilities
    cdef ScalesC _scales  # as far as it is the same for all decisions
    cdef double _min_confidence
    cdef int64_t _prefix_ns
    cdef dict _models
    cdef dict _task_types
    cdef dict _regions  # bits
    cdef dict _tenants
    cdef object _default_tenant
    cdef unsigned char* _allowed  # by tenant, then by model
    cdef uint64_t* _tenant_regions
    cdef double* _tenant_dials  # below 0: not stated
    cdef dict _agent_budgets
    cdef frozenset _critical_agents
    cdef int32_t[5] _floors  # by base class
    cdef int64_t[5] _expected_output_tokens
    cdef int32_t _accurate_tier
    cdef int32_t _governance_tier
    cdef double _min_compliance

    cpdef Decision decide(self, Request request, int64_t now_ns=*, uint64_t draw=*)
    cdef int _take_fleet(self, object table, State state) except -1
    cdef int _take_tenants(self, object table) except -1
    cdef int _learn(self, object models) except -1
    cdef int _resolve(self, Request request, DemandC* demand, Decision decision) except -1
    cdef int _steer(self, Request request, DemandC* demand, Decision decision, PlanC* shadow) except -1
    cdef int _pay(self, Request request, DemandC* demand, Decision decision, PlanC* shadow) except -1
    cdef double _dial(self, Request request, double configured, bint is_sure) noexcept nogil
    cdef int32_t _floor_of(self, Request request, Decision decision, const PlanC* plan) except -1
    cdef Py_ssize_t _choose(
        self, Decision decision, const DemandC* demand, const PlanC* plan, int32_t floor, DeskC* desk, ViewC* view
    ) except -2

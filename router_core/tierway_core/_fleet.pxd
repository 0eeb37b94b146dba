# cython: language_level=3
"""The table in plain C: kinds of deployments, their prices in order, deployments and the state's columns beside them, tenants."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from tierway_core._records cimport LimitC, RecordC
from tierway_core._state cimport HeldC, State

cdef extern from *:
    """
    #define TIERWAY_ANYWHERE UINT64_MAX
    """
    const uint64_t ANYWHERE "TIERWAY_ANYWHERE"


cdef enum:
    DEPLOYMENTS_MOST = 4096  # as specs.py has it
    TIERS = 5  # as specs.py has it


# What deployments of a kind have in common: filters that go by it, and the price, are worked out once for all of them.
cdef struct KindC:
    int64_t input_picousd
    int64_t cached_picousd  # never above the one before
    int64_t output_picousd
    int64_t context_tokens
    double expected_latency_s
    double expected_token_s
    double compliance
    uint64_t region  # one bit
    int32_t tier
    int32_t model
    int32_t first_member  # in FleetC.members
    int32_t members
    int32_t lacks  # flags of Feature
    bint vision
    bint response_format
    bint logprobs


# A kind in the order of its tier's prices of input.
cdef struct OfferC:
    int64_t least_output_picousd  # of this one and of all that follow in its tier
    int32_t kind


cdef struct DeploymentC:
    uint64_t identity
    double weight
    int32_t first_limit  # in FleetC.limits
    int32_t limits


cdef struct FleetC:
    KindC* kinds
    OfferC* offers  # by tier, then by price of input
    int32_t first_offers[TIERS + 2]  # by tier: where its offers begin, which is where those of the one below end
    int32_t* members  # by kind: deployments, ascending
    DeploymentC* deployments
    int32_t* kind_of  # by deployment: apart, for many decisions walk through it
    int32_t* limits  # places in the state
    int32_t* drawn  # the same, each once
    Py_ssize_t kinds_count
    Py_ssize_t drawn_count
    Py_ssize_t count
    # The state's, which others change.
    const int64_t* available
    const int64_t* breakers
    const HeldC* held
    const RecordC* records
    const LimitC* limit_records


cdef class Fleet:
    cdef FleetC c
    cdef State _state  # keeps what `c` points to
    cdef dict _models  # places
    cdef Py_ssize_t _models_count
    cdef dict _regions  # bits
    cdef unsigned char* _allowed  # by tenant, then by model
    cdef uint64_t* _tenant_regions
    cdef double* _tenant_dials  # below 0: not stated

    cdef int _take_deployments(self, object deployments, State state) except -1
    cdef int _sort(self) except -1
    cdef int _take_tenants(self, object table) except -1
    cdef uint64_t bits_of(self, frozenset regions) except? 0
    cdef const unsigned char* allowed_to(self, Py_ssize_t tenant) noexcept nogil
    cdef uint64_t regions_of(self, Py_ssize_t tenant) noexcept nogil
    cdef double dial_of(self, Py_ssize_t tenant) noexcept nogil

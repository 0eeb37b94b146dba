# cython: language_level=3, freethreading_compatible=True
"""What is asked of a decision."""

cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint64_t

from tierway_core._chance cimport key_of, mix

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(str text, Py_ssize_t* size) except NULL


@cython.final
@cython.freelist(64)
cdef class Request:
    """What is asked of a decision. Immutable; the stub documents each argument.

    Raises:
        ValueError: a count, a time or a limit is negative or NaN, the dial is not within 0 and 1, or `sticky_key` has no UTF-8.
    """

    def __cinit__(
        self,
        str text not None,
        *,
        int64_t extra_input_tokens=0,
        bint has_image=False,
        bint needs_response_format=False,
        bint needs_logprobs=False,
        int64_t max_tokens=0,
        str agent not None="",
        str task_type not None="",
        str force_model not None="",
        int32_t min_tier=1,
        int32_t max_tier=5,
        int64_t max_cost_picousd=-1,
        double latency_budget_s=INFINITY,
        double min_compliance=0.0,
        bint allow_fallback=True,
        cost_quality=None,
        str tenant not None="",
        double deadline_s=INFINITY,
        str strategy not None="",
        frozenset regions not None=frozenset(),
        uint64_t prefix_key=0,
        str sticky_key not None="",
        int32_t needs=0,
    ):
        # Written so that NaN fails.
        if extra_input_tokens < 0 or max_tokens < 0 or not latency_budget_s >= 0.0 or not min_compliance >= 0.0:
            raise ValueError("extra_input_tokens, max_tokens, latency_budget_s and min_compliance must be 0 or more")
        if not deadline_s >= 0.0:
            raise ValueError(f"deadline_s must be 0 or more, not {deadline_s}")
        self.stated_dial = -1.0
        if cost_quality is not None:
            self.stated_dial = cost_quality
            if not 0.0 <= self.stated_dial <= 1.0:
                raise ValueError(f"cost_quality must be 0 to 1, not {cost_quality}")
        self.text = text
        self.extra_input_tokens = extra_input_tokens
        self.has_image = has_image
        self.needs_response_format = needs_response_format
        self.needs_logprobs = needs_logprobs
        self.max_tokens = max_tokens
        self.agent = agent
        self.task_type = task_type
        self.force_model = force_model
        self.min_tier = min_tier
        self.max_tier = max_tier
        self.max_cost_picousd = max_cost_picousd
        self.latency_budget_s = latency_budget_s
        self.min_compliance = min_compliance
        self.allow_fallback = allow_fallback
        self.tenant = tenant
        self.deadline_s = deadline_s
        self.strategy = strategy
        self.regions = regions
        self.prefix_key = prefix_key
        self.sticky_key = sticky_key
        self.needs = needs
        cdef Py_ssize_t size
        cdef const char* sticky
        if len(sticky_key) > 0:
            sticky = PyUnicode_AsUTF8AndSize(sticky_key, &size)
            self.sticky_bits = mix(key_of(sticky, size))

    @property
    def cost_quality(self):
        """The dial from cost to quality, 0 to 1; None: not stated."""
        return None if self.stated_dial < 0.0 else self.stated_dial

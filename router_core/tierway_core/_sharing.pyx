# cython: language_level=3, freethreading_compatible=True
"""What a state tells other machines, and hears from them. Nothing here is used where a state is not shared.

Thread-safety: as the state's own. What is told is written by one process of a machine, what is read may be written by all.
"""

cimport cython
from libc.stdint cimport int64_t

from tierway_core._atomic cimport exchange64, load64, store64, swap64
from tierway_core._breaker cimport STATE_CLOSED, STATE_OPEN, UNTIL_BITS, forced_in, state_in
from tierway_core._records cimport BudgetC, LimitC, RecordC
from tierway_core._sliding cimport USAGE_SLOT_NS, forget, slid
from tierway_core._state cimport State

from tierway_core.types import Breaker


@cython.final
cdef class Sharing:
    """A state as the one sees it who keeps it in step with other machines.

    Raises:
        IndexError: by every method, where the state has no such deployment, limit or budget.
    """

    def __cinit__(self, State state not None):
        self.state = state

    # ---- budgets -----------------------------------------------------------------------------------------------------

    def paid_picousd(self, Py_ssize_t budget):
        """What was ever spent here, in whatever period."""
        return load64(&self.state.budget_record(budget).spent_picousd)

    def take_asked_picousd(self, Py_ssize_t budget):
        """The largest reservation that was refused since the last call; 0: none was."""
        return exchange64(&self.state.budget_record(budget).asked_picousd, 0)

    def lease(self, Py_ssize_t budget, int64_t ceiling_picousd, int64_t others_picousd):
        """Binds the budget to a lease: from now on it has no period of its own, and grants up to the lease.

        Args:
            budget: which.
            ceiling_picousd: what was ever spent here and is reserved may not exceed this together.
            others_picousd: what others spent and reserved in this period; it lowers what `remaining_picousd` tells.

        """
        cdef BudgetC* record = self.state.budget_record(budget)
        store64(&record.others_picousd, others_picousd)
        store64(&record.ceiling_picousd, ceiling_picousd)
        store64(&record.period_ns, 0)
        store64(&record.is_leased, 1)

    # ---- limits ------------------------------------------------------------------------------------------------------

    def taken(self, Py_ssize_t limit):
        """What was ever granted here."""
        return load64(&self.state.limit_record(limit).taken)

    def ahead_ns(self, Py_ssize_t limit, int64_t now_ns):
        """How long until the limit is idle again; 0: it is."""
        return max(load64(&self.state.limit_record(limit).tat_ns) - now_ns, 0)

    def push_back(self, Py_ssize_t limit, int64_t idle_at_ns):
        """Lets the limit be idle at this moment at the earliest."""
        cdef LimitC* record = self.state.limit_record(limit)
        cdef int64_t seen = load64(&record.tat_ns)
        while seen < idle_at_ns and not swap64(&record.tat_ns, &seen, idle_at_ns):
            pass

    def ease(self, Py_ssize_t limit, int64_t now_ns, double share):
        """Lets the limit be idle sooner: after this share, 0 to 1, of the time that it would take."""
        cdef LimitC* record = self.state.limit_record(limit)
        cdef int64_t seen = load64(&record.tat_ns)
        while seen > now_ns and not swap64(&record.tat_ns, &seen, now_ns + <int64_t>(<double>(seen - now_ns) * share)):
            pass

    # ---- breakers ----------------------------------------------------------------------------------------------------

    def automaton(self, Py_ssize_t index):
        """Where the automaton is, below what an operator may have put over it, and until when; that is 0 if it is closed."""
        cdef int64_t word = load64(self.state.breaker_word(index))
        return Breaker(state_in(word) + 1), word >> UNTIL_BITS << UNTIL_BITS

    def set_automaton(self, Py_ssize_t index, breaker, int64_t until_ns):
        """Moves the automaton, with an empty window.

        Args:
            index: the deployment.
            breaker: CLOSED or OPEN.
            until_ns: when an open one is due for probes.

        """
        cdef RecordC* record = self.state.record(index)
        cdef int64_t* word = self.state.breaker_word(index)
        cdef int64_t seen = load64(word)
        cdef int64_t after = STATE_CLOSED
        if breaker == Breaker.OPEN:
            after = STATE_OPEN | (until_ns + (1 << UNTIL_BITS) - 1) >> UNTIL_BITS << UNTIL_BITS
        while not swap64(word, &seen, after | forced_in(seen) << 2):
            pass
        forget(&record.outcomes)
        forget(&record.errors)

    # ---- usage -------------------------------------------------------------------------------------------------------

    def usage_here(self, Py_ssize_t index, int64_t now_ns):
        """Requests that ended here in the last minute, and their tokens."""
        cdef RecordC* record = self.state.record(index)
        return slid(&record.requests, now_ns // USAGE_SLOT_NS), slid(&record.tokens, now_ns // USAGE_SLOT_NS)

    def set_usage_elsewhere(self, Py_ssize_t index, int64_t requests, int64_t tokens):
        """States what others did in the last minute; it counts in what `usage` tells."""
        cdef RecordC* record = self.state.record(index)
        store64(&record.others_requests, requests)
        store64(&record.others_tokens, tokens)

# cython: language_level=3, freethreading_compatible=True
"""What changes between decisions: load, health, speed and use of each deployment, limits and budgets, in one flat buffer.

Private to a process, or in memory that its workers share. `state_reference` is the specification of breakers, limits and
budgets; `_records.pxd` is the layout.

Thread-safety: no lock, from any thread or process; each word changes atomically, and what several words say together may
be of several moments. Budgets alone lean on words together: `_budget.pxd` tells how they stay exact.
"""

from time import sleep

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uintptr_t

from tierway_core._atomic cimport (
    NEVER_NS as NEVER, add64_ordered, add_bits, as_bits, count, drop_bits, enter, exchange64, leave, load64, minus, store64,
    swap64_ordered, take_all
)
from tierway_core._bounds cimport cost_of, moment, money, seconds, span
from tierway_core._breaker cimport (
    MOST_PROBES, STATE_HALF_OPEN, STATE_OPEN, breaker_allows, count_outcome, force, forced_in, is_due, probe, release, state_in
)
from tierway_core._budget cimport discrepancy, grant, held_of, left_of, pay, spent_of
from tierway_core._limit cimport give_back_to, hold_of, take_from, wait_of
from tierway_core._records cimport LAYOUT_VERSION, LINE_BYTES, MOST_WORKERS, SLOTS, BudgetC, HeaderC, LimitC, RecordC, WorkerC
from tierway_core._sliding cimport MOST_ERROR_WEIGHT, USAGE_SLOT_NS, NumbersC, ewma, forget, lately, numbers_at, sample, slide

from tierway_core.types import Breaker, Recovery

NEVER_NS = NEVER


cdef enum:
    MOST_RECORDS = 1 << 20  # of a kind
    SPINS = 1000
    NAPS = 1000

cdef extern from *:
    """
    #define TIERWAY_MAGIC INT64_C(0x0179617772656974) /* "tierway" and 1, lowest byte first */
    """
    const int64_t MAGIC "TIERWAY_MAGIC"


# ---- the buffer -------------------------------------------------------------------------------------------------------

cdef Py_ssize_t lines(Py_ssize_t count, Py_ssize_t each_bits) noexcept:
    """Bytes of a column: whole cache lines, so that the one after it shares none with it."""
    return (count * each_bits + 8 * LINE_BYTES - 1) // (8 * LINE_BYTES) * LINE_BYTES


cdef Py_ssize_t size(Py_ssize_t deployments, Py_ssize_t limits, Py_ssize_t budgets, Py_ssize_t workers) except -1:
    for name, number in (("deployments", deployments), ("limits", limits), ("budgets", budgets)):
        if not 0 <= number <= MOST_RECORDS:
            raise ValueError(f"a state has 0 to {MOST_RECORDS} {name}, not {number}")
    if not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"a state has 1 to {MOST_WORKERS} workers, not {workers}")
    return (
        sizeof(HeaderC) + workers * sizeof(WorkerC)
        + lines(deployments, 1) + lines(deployments, 64) + workers * lines(deployments, 32)
        + deployments * sizeof(RecordC) + limits * sizeof(LimitC) + budgets * sizeof(BudgetC)
    )


cdef int claim(str name, int64_t* word, int64_t value) except -1:
    """States what the layout is, as the first process to do so; as a later one, agrees with what was stated."""
    cdef int64_t seen = 0
    if not swap64_ordered(word, &seen, value) and seen != value:
        raise ValueError(f"the buffer holds another state: its {name} is {seen}, not {value}")
    return 0


# no_gc_clear: the collector must not take the exported buffer away before __dealloc__ has released it.
@cython.final
@cython.no_gc_clear
cdef class State:
    """Load, health, speed and use of the deployments of a table, by their index; limits and budgets, by theirs.

    Private to the process unless a writable buffer is given, which may be shared memory. A new state is all zeros:
    everything is unavailable, nothing in flight, every breaker closed for ever, no limit limits, no budget has money.
    The first that is given a zeroed buffer lays it out; later ones attach to what it holds, if their counts are the same.
    The buffer stays exported as long as the state lives.

    Moments are of one monotonic clock for all who share the state, in nanoseconds, from 0 to below 2^62.

    Args:
        deployments: how many; likewise limits and budgets.
        workers: how many processes share the buffer and write to it, 1 to 16.
        worker: which of them this is. What it holds (requests in flight, reservations) is kept by this number.
        buffer: at least `size_bytes` long. Zeroed, or another state's of the same counts.

    Raises:
        ValueError: a count is out of range; the buffer is too small, not aligned to 8 bytes, or laid out otherwise.
        BufferError: the buffer is read-only, or not contiguous.
    """

    def __cinit__(
        self, Py_ssize_t deployments, *, Py_ssize_t limits=0, Py_ssize_t budgets=0, int workers=1, int worker=0, buffer=None
    ):
        cdef Py_ssize_t needed = size(deployments, limits, budgets, workers)
        cdef HeaderC* header
        if not 0 <= worker < workers:
            raise ValueError(f"there is no worker {worker} among {workers}")
        if buffer is None:
            buffer = bytearray(needed)
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self._holds_view = True
        if self._view.len < needed:
            raise ValueError(f"the state needs {needed} bytes, the buffer has {self._view.len}")
        if <uintptr_t>self._view.buf & 7:
            raise ValueError("the buffer is not aligned to 8 bytes")
        header = <HeaderC*>self._view.buf
        # Word by word, so that it does not matter who is first to which, nor who dies in between. Zero is unclaimed.
        claim("magic number", &header.magic, MAGIC)
        claim("layout", &header.layout, LAYOUT_VERSION)
        claim("number of deployments, plus 1,", &header.deployments, deployments + 1)
        claim("number of limits, plus 1,", &header.limits, limits + 1)
        claim("number of budgets, plus 1,", &header.budgets, budgets + 1)
        claim("number of workers", &header.workers, workers)
        self.deployments, self.limits, self.budgets, self.workers, self.worker = deployments, limits, budgets, workers, worker
        self.worker_records = <WorkerC*>(header + 1)
        self.available = <int64_t*>(self.worker_records + workers)
        self.breakers = <int64_t*>(<char*>self.available + lines(deployments, 1))
        self.held.counts = <int32_t*>(<char*>self.breakers + lines(deployments, 64))
        self.held.stride = lines(deployments, 32) // sizeof(int32_t)
        self.held.workers = workers
        self.records = <RecordC*>(self.held.counts + workers * self.held.stride)
        self.limit_records = <LimitC*>(self.records + deployments)
        self.budget_records = <BudgetC*>(self.limit_records + limits)

    def __dealloc__(self):
        if self._holds_view:
            PyBuffer_Release(&self._view)

    @staticmethod
    def size_bytes(Py_ssize_t deployments, Py_ssize_t limits=0, Py_ssize_t budgets=0, Py_ssize_t workers=1):
        """How large a buffer a state of these counts needs.

        Raises:
            ValueError: a count is out of range.
        """
        return size(deployments, limits, budgets, workers)

    cdef RecordC* record(self, Py_ssize_t index) except NULL:
        if not 0 <= index < self.deployments:
            raise IndexError(f"there is no deployment {index} among {self.deployments}")
        return self.records + index

    cdef int64_t* breaker_word(self, Py_ssize_t index) except NULL:
        self.record(index)
        return self.breakers + index

    cdef int32_t* own_count(self, Py_ssize_t index) except NULL:
        """What this worker has in flight with a deployment."""
        self.record(index)
        return self.held.counts + self.worker * self.held.stride + index

    cdef LimitC* limit_record(self, Py_ssize_t limit) except NULL:
        if not 0 <= limit < self.limits:
            raise IndexError(f"there is no limit {limit} among {self.limits}")
        return self.limit_records + limit

    cdef BudgetC* budget_record(self, Py_ssize_t budget) except NULL:
        if not 0 <= budget < self.budgets:
            raise IndexError(f"there is no budget {budget} among {self.budgets}")
        return self.budget_records + budget

    # ---- availability and load ---------------------------------------------------------------------------------------

    def set_available(self, Py_ssize_t index, bint available):
        """States whether a deployment can answer now."""
        self.record(index)
        if available:
            add_bits(self.available + index // 64, <int64_t>1 << (index % 64))
        else:
            drop_bits(self.available + index // 64, <int64_t>1 << (index % 64))

    def is_available(self, Py_ssize_t index):
        """Whether a deployment can answer now."""
        self.record(index)
        return is_available(self.available, index)

    def begin(self, Py_ssize_t index):
        """Counts a request in; returns how many are in flight with it, of all workers. Balance it with `end`, in a `finally`."""
        if count(self.own_count(index), 1) < 0:
            raise OverflowError(f"deployment {index} has 2^31 - 1 requests in flight")
        return in_flight_of(&self.held, index)

    def end(self, Py_ssize_t index):
        """Counts a request of this worker out.

        Raises:
            ValueError: this worker has none in flight; the count stays 0.
        """
        if count(self.own_count(index), -1) < 0:
            raise ValueError(f"deployment {index} has no request in flight")

    def in_flight(self, Py_ssize_t index):
        """How many requests are in flight, of all workers."""
        self.record(index)
        return in_flight_of(&self.held, index)

    # ---- breakers ----------------------------------------------------------------------------------------------------

    def set_breaker(
        self, Py_ssize_t index, *, double error_share, int64_t min_requests, int64_t window_ns, int64_t open_ns, int64_t probes
    ):
        """Lets a deployment's breaker open, which never does so before. It stays in the state in which it is.

        Args:
            index: the deployment.
            error_share: it opens when more than this share of the window's outcomes are errors, 0 to below 1.
            min_requests: and the window has at least so many outcomes, 1 or more.
            window_ns: how long an outcome counts, to an eighth of it; a millisecond or more.
            open_ns: how long it lets nothing through; then, how long it waits for a probe's outcome before it gives it up.
            probes: how many requests it lets through when half-open, 1 to 63: it closes once so many have succeeded.

        Raises:
            ValueError: a parameter is out of range.
        """
        cdef RecordC* record = self.record(index)
        cdef int64_t slot_ns = (span("window_ns", window_ns, 1_000_000) + SLOTS - 1) // SLOTS
        if not 0.0 <= error_share < 1.0:
            raise ValueError(f"error_share is from 0 to below 1, not {error_share}")
        if min_requests < 1:
            raise ValueError(f"min_requests is 1 or more, not {min_requests}")
        if not 1 <= probes <= MOST_PROBES:
            raise ValueError(f"probes is from 1 to {MOST_PROBES}, not {probes}")
        store64(&record.open_ns, span("open_ns", open_ns, 1))
        store64(&record.error_share, as_bits(error_share))
        store64(&record.min_requests, min_requests)
        store64(&record.probes, probes)
        if exchange64(&record.slot_ns, slot_ns) != slot_ns:  # the window's slots are of another length
            forget(&record.outcomes)
            forget(&record.errors)

    def breaker(self, Py_ssize_t index, int64_t now_ns):
        """What the breaker lets through. One that is due for probes is half-open, though nobody has come yet."""
        cdef int64_t word = load64(self.breaker_word(index))
        moment(now_ns)
        if forced_in(word):
            return Breaker(forced_in(word))
        if state_in(word) == STATE_OPEN and is_due(word, now_ns):
            return Breaker.HALF_OPEN
        return Breaker(state_in(word) + 1)

    def breaker_allows(self, Py_ssize_t index, int64_t now_ns):
        """Whether the breaker would let a request through now; takes no probe."""
        return breaker_allows(self.record(index), load64(self.breaker_word(index)), moment(now_ns))

    def try_probe(self, Py_ssize_t index, int64_t now_ns):
        """Whether the breaker lets a request through now; while half-open, this takes one of its probes.

        Then `observe` its outcome, or `release_probe`. A probe of which neither comes is given up after `open_ns`.
        """
        return probe(self.record(index), self.breaker_word(index), moment(now_ns))

    def release_probe(self, Py_ssize_t index):
        """Gives back what `try_probe` let through, if it ends without an outcome, such as by its caller's leaving."""
        release(self.breaker_word(index))

    def force_breaker(self, Py_ssize_t index, breaker):
        """Overrides the automaton: `Breaker.CLOSED` or `Breaker.OPEN`, until None gives it back. It learns nothing meanwhile.

        Raises:
            ValueError: half-open cannot be forced.
        """
        if breaker is not None and breaker not in (Breaker.CLOSED, Breaker.OPEN):
            raise ValueError(f"a breaker can be forced closed or open, not {breaker!r}")
        force(self.breaker_word(index), 0 if breaker is None else breaker)

    def forced_breaker(self, Py_ssize_t index):
        """What overrides the automaton, whoever put it there: `Breaker.CLOSED` or `Breaker.OPEN`; None: nothing does."""
        cdef int64_t forced = forced_in(load64(self.breaker_word(index)))
        return Breaker(forced) if forced else None

    # ---- outcomes ----------------------------------------------------------------------------------------------------

    def observe(self, Py_ssize_t index, int64_t now_ns, *, bint ok, first_token_s=None, token_s=None, int64_t tokens=0):
        """Learns from a request that has ended: breaker, means, and use of the minute.

        While the breaker is half-open, whatever ends counts as a probe, also what began earlier.

        Args:
            index: the deployment.
            now_ns: when it ended.
            ok: whether the deployment did what it is for; a caller's leaving or mistake is no error of it.
            first_token_s: seconds to the first token, if there was one.
            token_s: seconds a token after the first, if there were some.
            tokens: of the prompt and of the answer.

        Raises:
            ValueError: a number is negative or not finite.
        """
        cdef RecordC* record = self.record(index)
        cdef double first = 0.0
        cdef double each = 0.0
        moment(now_ns)
        if tokens < 0:
            raise ValueError(f"tokens is 0 or more, not {tokens}")
        if first_token_s is not None:
            first = seconds("first_token_s", first_token_s)
        if token_s is not None:
            each = seconds("token_s", token_s)
        count_outcome(record, self.breakers + index, now_ns, ok)
        sample(&record.error, now_ns, 0.0 if ok else 1.0, 0.0, MOST_ERROR_WEIGHT)
        if first > 0.0:
            sample(&record.first_token, now_ns, first, first, 1.0)
        if each > 0.0:
            sample(&record.token, now_ns, each, each, 1.0)
        slide(&record.requests, now_ns // USAGE_SLOT_NS, 1)
        slide(&record.tokens, now_ns // USAGE_SLOT_NS, tokens)

    def first_token_s(self, Py_ssize_t index, int64_t now_ns, double default):
        """Mean seconds to the first token, lately; `default` while none was seen.

        Without samples it goes back to `default` within a minute: what nobody tries any more, for it was slow, is tried again.
        """
        return lately(&self.record(index).first_token, default, moment(now_ns))

    def token_s(self, Py_ssize_t index, int64_t now_ns, double default):
        """Mean seconds a token after the first, likewise."""
        return lately(&self.record(index).token, default, moment(now_ns))

    def error_share(self, Py_ssize_t index):
        """Share of requests that failed, lately, 0 to 1; 0 while none was seen. One failure alone adds a fifth at most."""
        return ewma(&self.record(index).error, 0.0)

    def usage(self, Py_ssize_t index, int64_t now_ns):
        """Requests that ended in the last minute (to an eighth of it), and their tokens."""
        cdef RecordC* record = self.record(index)
        cdef NumbersC numbers = numbers_at(now_ns // USAGE_SLOT_NS)
        return requests_of(record, moment(now_ns)), tokens_of(record, &numbers)

    # ---- limits ------------------------------------------------------------------------------------------------------

    def set_limit(self, Py_ssize_t limit, *, int64_t increment_ns, int64_t burst_ns):
        """Limits what is granted: one more each `increment_ns` (0: no limit), at once `burst_ns / increment_ns`.

        Raises:
            ValueError: a parameter is out of range.
        """
        cdef LimitC* record = self.limit_record(limit)
        span("burst_ns", burst_ns, span("increment_ns", increment_ns, 0))
        store64(&record.burst_ns, burst_ns)
        store64(&record.increment_ns, increment_ns)

    def take(self, Py_ssize_t limit, int64_t now_ns, int64_t cost=1):
        """Takes `cost` of a limit, whole or not at all.

        Returns:
            0 if it is granted; else the nanoseconds after which it would be. `NEVER_NS`: it is more than the burst.

        Raises:
            ValueError: `now_ns` or `cost` is out of range.
        """
        return take_from(self.limit_record(limit), moment(now_ns), cost_of(cost))

    def wait_ns(self, Py_ssize_t limit, int64_t now_ns, int64_t cost=1):
        """What `take` would say; takes nothing."""
        return wait_of(self.limit_record(limit), moment(now_ns), cost_of(cost))

    def give_back(self, Py_ssize_t limit, int64_t cost=1):
        """Undoes a grant, at once: later, it would give back more than was still missing."""
        give_back_to(self.limit_record(limit), cost_of(cost))

    def hold(self, Py_ssize_t limit, int64_t until_ns):
        """Grants nothing of a limit before this moment. A hold that ends later stays; where nothing is limited, nothing is held.

        Raises:
            ValueError: `until_ns` is out of range.
        """
        hold_of(self.limit_record(limit), moment(until_ns))

    # ---- budgets -----------------------------------------------------------------------------------------------------

    def set_budget(self, Py_ssize_t budget, int64_t limit_picousd, int64_t period_ns=0):
        """States what may be spent in a period, in 10^-12 USD. What is spent and reserved stays.

        Args:
            budget: which.
            limit_picousd: 0 to 2^62.
            period_ns: how long until spending starts from 0 again, first counted from the first use. 0: never.

        Raises:
            ValueError: a number is out of range.
        """
        cdef BudgetC* record = self.budget_record(budget)
        money("limit_picousd", limit_picousd)
        store64(&record.period_ns, span("period_ns", period_ns, 0))
        store64(&record.limit_picousd, limit_picousd)

    def reserve(self, Py_ssize_t budget, int64_t now_ns, int64_t picousd):
        """Reserves if it fits beside all that is spent and reserved. Balance it with `settle`, in a `finally`."""
        cdef BudgetC* record = self.budget_record(budget)
        cdef WorkerC* own = self.worker_records + self.worker
        cdef bint granted
        moment(now_ns)
        money("picousd", picousd)
        enter(&own.begun)
        granted = grant(record, self.worker, now_ns, picousd)
        leave(&own.done)
        return granted

    def settle(self, Py_ssize_t budget, int64_t now_ns, int64_t reserved_picousd, int64_t actual_picousd):
        """Turns a reservation of this worker into what was spent, be it 0, less, or more than was reserved.

        Returns:
            By how much the budget's limit is exceeded now; 0: it is not.

        Raises:
            ValueError: this worker has not so much reserved; nothing changes. Or a number is out of range.
        """
        cdef BudgetC* record = self.budget_record(budget)
        cdef WorkerC* own = self.worker_records + self.worker
        moment(now_ns)
        money("reserved_picousd", reserved_picousd)
        money("actual_picousd", actual_picousd)
        if load64(&record.held[self.worker]) < reserved_picousd:
            raise ValueError(f"budget {budget} has less than {reserved_picousd} reserved by worker {self.worker}")
        enter(&own.begun)
        pay(record, self.worker, now_ns, reserved_picousd, actual_picousd)
        leave(&own.done)
        return max(-left_of(record, now_ns), 0)

    def spent_picousd(self, Py_ssize_t budget, int64_t now_ns):
        """What was spent in this period."""
        return spent_of(self.budget_record(budget), moment(now_ns))

    def reserved_picousd(self, Py_ssize_t budget):
        """What is reserved, by all workers."""
        return held_of(self.budget_record(budget))

    def remaining_picousd(self, Py_ssize_t budget, int64_t now_ns):
        """What may still be reserved in this period; negative: so much was spent beyond the limit."""
        return left_of(self.budget_record(budget), moment(now_ns))

    def reset(self, Py_ssize_t budget):
        """Forgives what was spent in this period, which goes on. Reservations stay."""
        cdef BudgetC* record = self.budget_record(budget)
        store64(&record.base_picousd, load64(&record.spent_picousd))

    # ---- recovery ----------------------------------------------------------------------------------------------------

    def recover(self, *workers):
        """Frees what dead workers held: requests in flight, reservations, and what they left half done.

        By one process at a time, from the moment that they are surely dead until their successors start. Probes that they
        took come back by time. Killed in between, it can be called again.

        Raises:
            IndexError: there is no such worker.
            RuntimeError: a worker that is not named stays in the midst of an operation, so it is dead as well: name both.
        """
        cdef bint is_dead[MOST_WORKERS]
        cdef int64_t reserved = 0
        cdef int64_t interrupted = 0
        cdef int64_t in_flight = 0
        cdef int64_t begun
        cdef Py_ssize_t index
        cdef int worker
        for worker in range(MOST_WORKERS):
            is_dead[worker] = False
        for worker in workers:
            if not 0 <= worker < self.workers:
                raise IndexError(f"there is no worker {worker} among {self.workers}")
            is_dead[worker] = True
        for worker in range(self.workers):
            if is_dead[worker]:
                for index in range(self.deployments):
                    in_flight += take_all(self.held.counts + worker * self.held.stride + index)
                for index in range(self.budgets):
                    reserved += exchange64(&self.budget_records[index].held[worker], 0)
        for index in range(self.budgets):
            # What was just zeroed is committed, and neither spent nor held: with what was left half done, it is the difference.
            add64_ordered(&self.budget_records[index].committed_picousd, minus(0, self.measure(index, is_dead)))
        for worker in range(self.workers):
            if is_dead[worker]:
                begun = load64(&self.worker_records[worker].begun)
                interrupted += begun - exchange64(&self.worker_records[worker].done, begun)
        return Recovery(in_flight, reserved, interrupted)

    cdef int64_t measure(self, Py_ssize_t budget, const bint* is_dead) except? -1:
        """What a budget has committed beyond what is spent and held: 0, but for the dead."""
        cdef int64_t found = 0
        cdef int nap, spin
        for nap in range(NAPS):
            for spin in range(SPINS):
                if discrepancy(self.budget_records + budget, self.worker_records, self.workers, is_dead, &found):
                    return found
            sleep(0.001)  # one was put to sleep in the midst of an operation
        raise RuntimeError("a worker stays in the midst of an operation on a budget: is it dead as well?")

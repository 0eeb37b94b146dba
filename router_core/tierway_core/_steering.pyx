# cython: language_level=3, freethreading_compatible=True
"""Rules, experiments and budgets, over plain arrays. `steering` is the specification.

Each value of each condition has a mask of the rules that it lets hold; the rule that holds is the lowest bit of six masks' and.
So 64 rules cost what one costs, and each further 64 a few nanoseconds.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from tierway_core._chance cimport mix, unit

from tierway_core.chance import key_of
from tierway_core.strategies import STRATEGIES
from tierway_core.types import Complexity
from tierway_core.weights import LABELS

cdef inline int32_t first_of(uint64_t** masks, Py_ssize_t words, const FactsC* facts) noexcept nogil:
    """The first rule that every condition lets hold; below 0: none."""
    cdef Py_ssize_t word
    cdef int condition
    cdef uint64_t hold
    for word in range(words):
        hold = ~<uint64_t>0
        for condition in range(CONDITIONS):
            hold &= masks[condition][facts.rows[condition] * words + word]
        if hold:
            return <int32_t>(64 * word + lowest_bit(hold))
    return -1


cdef inline int32_t place_of(const ArmC* arms, int32_t count, double place) noexcept nogil:
    """The arm whose share holds a place from 0 to 1; below 0: none."""
    cdef double total = 0.0
    cdef int32_t arm
    for arm in range(count):
        total += arms[arm].share
        if place < total:
            return arm
    return -1


cdef inline double smooth(double left, double low_share) noexcept nogil:
    cdef double step
    if left >= low_share:
        return 1.0
    step = left / low_share
    return step * step * (3.0 - 2.0 * step)


cdef void* reserve(Py_ssize_t count, size_t size) except NULL:
    cdef void* memory = calloc(max(count, 1), size)
    if memory == NULL:
        raise MemoryError()
    return memory


cdef PlanC plan_of(spec):
    cdef PlanC plan
    plan.cost_quality = -1.0 if spec.cost_quality is None else spec.cost_quality
    plan.strategy = STRATEGIES.index(spec.strategy) if spec.strategy else -1
    return plan


@cython.final
cdef class Steering:
    """A table's rules, experiments and budgets. `domains` are the classifier's, none without."""

    def __cinit__(self, table, tuple domains not None):
        routing = table.routing
        names = {experiment.name: place for place, experiment in enumerate(routing.experiments)}
        self.words = (len(routing.rules) + 63) // 64
        self.rules = <RuleC*>reserve(len(routing.rules), sizeof(RuleC))
        for place, rule in enumerate(routing.rules):
            self.rules[<Py_ssize_t>place].plan = plan_of(rule)
            self.rules[<Py_ssize_t>place].min_tier = rule.min_tier
            self.rules[<Py_ssize_t>place].max_tier = rule.max_tier
            self.rules[<Py_ssize_t>place].experiment = names.get(rule.experiment, -1)
        agents = tuple(sorted({agent for rule in routing.rules for agent in rule.agents}))
        self.agents = {agent: row for row, agent in enumerate(agents, 1)}
        self.task_types = {task_type: row for row, task_type in enumerate(routing.task_types, 1)}
        self._index(BY_TENANT, routing.rules, "tenants", [tenant.spec.name for tenant in table.tenants])
        self._index(BY_AGENT, routing.rules, "agents", agents)
        self._index(BY_TASK_TYPE, routing.rules, "task_types", routing.task_types)
        self._index(BY_CLASS, routing.rules, "classes", tuple(Complexity))
        self._index(BY_DOMAIN, routing.rules, "domains", domains)
        self._index(BY_LABEL, routing.rules, "labels", LABELS)
        self._take_experiments(routing.experiments)
        self.budgets = <BudgetRuleC*>reserve(len(routing.budgets), sizeof(BudgetRuleC))
        for place, budget in enumerate(routing.budgets):
            self.budgets[<Py_ssize_t>place].limit_picousd = budget.limit_picousd
            self.budgets[<Py_ssize_t>place].low_share = budget.low_share
            self.budgets[<Py_ssize_t>place].hard = budget.hard

    def __dealloc__(self):
        cdef int condition
        for condition in range(CONDITIONS):
            free(self._masks[condition])
        free(self.rules)
        free(self.arms)
        free(self.experiments)
        free(self.budgets)

    def _index(self, int condition, rules, str attribute, values):
        """Makes the masks of a condition: row 0 for what no rule names, then one for each value."""
        cdef uint64_t* masks = <uint64_t*>reserve((len(values) + 1) * self.words, sizeof(uint64_t))
        cdef Py_ssize_t place, row
        self._masks[condition] = masks
        for place, rule in enumerate(rules):
            wanted = getattr(rule, attribute)
            for row, value in enumerate((None, *values)):
                if not wanted or value in wanted:
                    masks[row * self.words + place // 64] |= <uint64_t>1 << (place % 64)

    def _take_experiments(self, experiments):
        cdef Py_ssize_t place
        cdef int32_t arms = 0
        self.arms = <ArmC*>reserve(sum([len(each.arms) for each in experiments]), sizeof(ArmC))
        self.experiments = <ExperimentC*>reserve(len(experiments), sizeof(ExperimentC))
        for place, experiment in enumerate(experiments):
            self.experiments[place].key = key_of(experiment.name)
            self.experiments[place].shadow = experiment.shadow
            self.experiments[place].first_arm = arms
            self.experiments[place].arms = len(experiment.arms)
            for arm in experiment.arms:
                self.arms[arms].plan = plan_of(arm)
                self.arms[arms].share = arm.share
                arms += 1

    cdef int32_t first_rule(self, const FactsC* facts) noexcept nogil:
        return first_of(self._masks, self.words, facts)

    cdef int32_t arm_of(self, int32_t experiment, uint64_t by) noexcept nogil:
        """The arm of an experiment, among its own, that what is assigned by falls to; below 0: none."""
        cdef const ExperimentC* chosen = self.experiments + experiment
        return place_of(self.arms + chosen.first_arm, chosen.arms, unit(mix(chosen.key ^ by)))

    cdef double factor_of(self, int32_t budget, int64_t remaining_picousd) noexcept nogil:
        """What a budget multiplies the dial by."""
        cdef const BudgetRuleC* rule = self.budgets + budget
        return smooth(<double>max(remaining_picousd, <int64_t>0) / <double>rule.limit_picousd, rule.low_share)

# cython: language_level=3, freethreading_compatible=True
"""What was decided, as it is read. `tierway_core.reference_decision` is its specification."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from tierway_core._choice cimport LEFT, strike_all
from tierway_core._classifier cimport AssessmentC
from tierway_core._features cimport as_features, has_governance, has_vision

from tierway_core.candidates import candidates
from tierway_core.explain import explain
from tierway_core.strategies import STRATEGIES
from tierway_core.types import Complexity
from tierway_core.weights import LABELS

# Indexed by the number: making an enum member of it costs more than the decision.
cdef tuple _COMPLEXITIES = (None, *Complexity)


@cython.final
@cython.freelist(64)
cdef class Decision:
    """What was decided. Immutable; whatever is not needed by every caller is worked out when it is first read.

    Only `Router.decide` makes these. Thread-safety: one thread at a time may read.
    """

    @property
    def filtered(self):
        """For each deployment, 0 or the filter that struck it: what the moment struck, and now what the request strikes."""
        if self._filtered is None:
            self._filtered = PyBytes_FromStringAndSize(NULL, self.fleet.c.count)
            strike_all(
                &self.fleet.c, demand_in(self.seen), struck_in(self.seen), <unsigned char*>PyBytes_AS_STRING(self._filtered)
            )
        return self._filtered

    @property
    def model(self):
        """The chosen model."""
        return self.table.deployments[self.deployment].model

    @property
    def tier(self):
        """The tier of the chosen model."""
        return self.model.tier

    @property
    def base(self):
        """The class that set the floor."""
        return _COMPLEXITIES[<int>self._base]

    @property
    def complexity(self):
        """The class of the query: `base`, or VISION."""
        return Complexity.VISION if self.request.has_image or has_vision(&self._found) else _COMPLEXITIES[<int>self._base]

    @property
    def features(self):
        """What was found in the text."""
        if self._features is None:
            self._features = as_features(&self._found)
        return self._features

    @property
    def assessment(self):
        """What the classifier says of the text; None by the rules of the class."""
        if self._assessment is None and self.classifier is not None:
            self._assessment = self.classifier.as_assessment(&self._judgement)
        return self._assessment

    @property
    def figures(self):
        """The numbers of the assessment that reasons show; None by the rules of the class."""
        if self.classifier is None:
            return None
        cdef const AssessmentC* found = &self._judgement
        return found.difficulty, found.sigma, <double>found.domain, found.domain_probability, found.confidence

    @property
    def is_about_governance(self):
        """Whether the text speaks of governance."""
        return has_governance(&self._found)

    @property
    def confidence(self):
        """How far the assessment is to be trusted, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None else self._judgement.confidence

    @property
    def difficulty(self):
        """How difficult the text is; None by the rules of the class."""
        return None if self.classifier is None else self._judgement.difficulty

    @property
    def domain(self):
        """What the text is about; empty by the rules of the class."""
        return "" if self.classifier is None else self.classifier.weights.domains[<Py_ssize_t>self._judgement.domain]

    @property
    def label(self):
        """The label of the text; empty by the rules of the class."""
        return "" if self.classifier is None else LABELS[<Py_ssize_t>self._judgement.label]

    @property
    def cost_quality(self):
        """The dial that held, lowered where a budget runs low, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None else self._plan.cost_quality

    @property
    def full_cost_quality(self):
        """The dial before it was lowered, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None else self._full_cost_quality

    @property
    def strategy(self):
        """The strategy that chose."""
        return STRATEGIES[<int>self._plan.strategy]

    @property
    def rule(self):
        """The rule that held; empty: none."""
        return "" if self._rule < 0 else self.table.routing.rules[<int>self._rule].name

    @property
    def experiment(self):
        """The experiment that took the request; empty: none."""
        return "" if self._arm < 0 else self.table.routing.experiments[<int>self._experiment].name

    @property
    def arm(self):
        """The experiment's arm; empty: none."""
        return "" if self._arm < 0 else self.table.routing.experiments[<int>self._experiment].arms[<int>self._arm].name

    @property
    def budgets(self):
        """Places of the budgets that the request is paid from."""
        return self.table.budgets_of(self.tenant, self.request.agent)

    @property
    def expected_quality(self):
        """The expected quality of the chosen model's answer, 0 to 1; None by the rules of the class."""
        return None if self.classifier is None or self.deployment < 0 else self._expected_quality

    @property
    def candidates(self):
        """What each deployment would have been worth, or why it was out, in the order of the table."""
        return candidates(self)

    @property
    def reasons(self):
        """Why it came out so, in the order in which it was found."""
        return explain(self)

    @property
    def fallback(self):
        """Indices of the deployments that may follow, in order; nothing that a filter struck. Empty when the request forbids it.

        First the other deployments of the chosen model, then those of its chain, each model's in the order of the table.
        """
        if not self.request.allow_fallback:
            return ()
        cdef const unsigned char* filtered = <const unsigned char*>PyBytes_AS_STRING(self.filtered)
        cdef list indices = []
        cdef str chosen = self.model.name
        for name in (chosen, *self.table.chain(chosen)):
            for index in self.table.deployments_of(name):
                if filtered[<Py_ssize_t>index] == LEFT and index != self.deployment:
                    indices.append(index)
        return tuple(indices)

    @property
    def fallback_models(self):
        """Names of the models of `fallback`, each once, without the chosen one."""
        names = dict.fromkeys([self.table.deployments[index].model.name for index in self.fallback])
        names.pop(self.model.name, None)
        return tuple(names)

"""What a deployment is likely to cost and to take at this moment: a specification, for the twin.

A deployment that was sent the same prefix within `prefix_s` is warm: it is taken to hold the prefix in its cache. The part of the
input that is not judged (`extra_input_tokens`) then costs what cached input costs, if that is less, and the first token comes
sooner by that part of the input, but for WARM_LEAST. Choices are made by that; filters and estimates take every token for uncached.
"""

from tierway_core._prefixes import Prefixes
from tierway_core._state import State
from tierway_core.cost import estimate_picousd
from tierway_core.outcome import RequestFields
from tierway_core.specs import INT64_MAX
from tierway_core.table import Deployment, Table

__all__ = ["WARM_LEAST", "Prospects"]

WARM_LEAST = 0.1
"""The share of the time to the first token that is left however much is cached."""


class Prospects:
    """Of all deployments, for one request."""

    def __init__(
        self,
        table: Table,
        state: State,
        prefixes: Prefixes | None,
        request: RequestFields,
        input_tokens: int,
        output_tokens: int,
        likely_tokens: int,
        now_ns: int,
    ) -> None:
        self._state = state
        self._now_ns = now_ns
        self._input_tokens = input_tokens
        self._output_tokens = output_tokens
        self._likely_tokens = likely_tokens
        self._cached_tokens = request.extra_input_tokens
        self._warm: tuple[int, ...] = ()
        if prefixes is not None and request.prefix_key and request.extra_input_tokens:
            self._warm = prefixes.holders(request.prefix_key, now_ns - round(table.routing.prefix_s * 1e9))

    def cost_picousd(self, deployment: Deployment) -> int:
        """The estimated cost, cached input at its price."""
        model = deployment.model
        if deployment.index not in self._warm:
            return estimate_picousd(model, self._input_tokens, self._output_tokens)
        cached_picousd = min(model.cached_input_picousd, model.input_picousd)
        fresh_tokens = self._input_tokens - self._cached_tokens
        cost = fresh_tokens * model.input_picousd + self._cached_tokens * cached_picousd
        return min(cost + self._output_tokens * model.output_picousd, INT64_MAX)

    def first_token_s(self, deployment: Deployment) -> float:
        """The predicted time to the first token: what was measured, else what is configured."""
        first_token_s = self._state.first_token_s(deployment.index, self._now_ns, deployment.spec.expected_latency_s)
        if deployment.index not in self._warm:
            return first_token_s
        fresh_tokens = self._input_tokens - self._cached_tokens
        return first_token_s * max(float(fresh_tokens) / float(self._input_tokens), WARM_LEAST)

    def token_s(self, deployment: Deployment) -> float:
        """The predicted time of each further token, likewise."""
        return self._state.token_s(deployment.index, self._now_ns, deployment.spec.expected_token_s)

    def answer_s(self, deployment: Deployment) -> float:
        """The predicted time of the whole answer: of its likely length, not of the most that it may have."""
        return self.first_token_s(deployment) + float(self._likely_tokens) * self.token_s(deployment)

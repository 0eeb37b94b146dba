"""A run: what was wished for, and what became of each request."""

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field

from tierway_core import ModelSpec, Request
from tierway_sim.fleet import Fleet
from tierway_sim.traffic import Query, Traffic

__all__ = ["AS_CONFIGURED", "RATE_LIMITED", "Run", "Wishes"]

RATE_LIMITED = "RATE_LIMITED"
"""Why a request was refused whose tenant is past its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What every request of a replay asks for."""

    dial: float | None = None
    """The dial, 0 to 1; None: the configured one."""
    strategy: str = ""
    """The strategy; empty: the configured one."""
    deadline_s: float = math.inf
    """The time for a whole answer: what is expected to take longer is left out."""

    def request(self, query: Query) -> Request:
        """What the core is asked."""
        return Request(
            query.prompt,
            extra_input_tokens=query.prefix_tokens,
            prefix_key=query.prefix_key,
            max_tokens=query.max_tokens,
            agent=query.agent,
            tenant=query.tenant,
            task_type=query.task_type,
            cost_quality=self.dial,
            strategy=self.strategy,
            deadline_s=self.deadline_s,
        )


AS_CONFIGURED = Wishes()


@dataclass(slots=True, kw_only=True)
class Run:
    """What became of each request, by its place in the traffic; and of each query, by its place in the pool."""

    fleet: Fleet
    traffic: Traffic
    wishes: Wishes
    chosen: "array[int]"
    """Index of the deployment that was chosen; below 0: refused."""
    answered: "array[int]"
    """Index of the deployment that answered; below 0: none did."""
    tries: "array[int]"
    """Deployments that were asked, those that were full included."""
    is_warm: "array[int]"
    """1 where the deployment that answered held the beginning of the prompt in its cache."""
    first_token_s: "array[float]"
    """From the arrival to the first token, where it was answered."""
    latency_s: "array[float]"
    """From the arrival to the end, where it was answered."""
    input_tokens: "array[int]"
    """By query, as the core estimates; below 0: never decided."""
    output_tokens: "array[int]"
    """By query, as logged or as the table expects."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Why nothing was asked, by `UnroutableKind`, or `RATE_LIMITED`: the tenant's limit has no room."""

    def picousd(self, query: int, model: ModelSpec, *, is_warm: bool) -> int:
        """What the answer to a query costs on a model, in pico-USD; input that is in its cache at the price of that."""
        cached_tokens = self.traffic.pool[query].prefix_tokens if is_warm else 0
        return (
            (self.input_tokens[query] - cached_tokens) * model.input_picousd
            + cached_tokens * model.cached_input_picousd
            + self.output_tokens[query] * model.output_picousd
        )

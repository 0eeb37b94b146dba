"""How deployments, limits and budgets stand now: the state in the configuration's terms, and an operator's hand on the breakers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tierway_core import Breaker, Deployment, State, Table
from tierway_server.errors import UnknownDeploymentError

_PICO = 1e-12
_NS = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStanding:
    """One deployment, now."""

    name: str
    breaker: Breaker
    is_forced: bool
    """Whether an operator holds the breaker."""
    error_share: float
    """Share of its latest answers that failed, 0 to 1."""
    in_flight: int
    first_token_s: float
    """Measured seconds to the first token; the expectation until there is an answer."""
    token_s: float
    """Measured seconds for each further token, likewise."""
    minute_requests: int
    minute_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStanding:
    """One rate limit, now."""

    name: str
    wait_s: float
    """Seconds until the next request would pass; 0: it would now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStanding:
    """One budget, in this period."""

    name: str
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    remaining_usd: float
    """What may still be reserved, not below 0."""
    is_hard: bool


class Standing:
    """Reads the state, which may be shared. Lives on the event loop."""

    def __init__(self, table: Table, state: State, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._table = table
        self._state = state
        self._now_ns = now_ns

    def deployments(self) -> list[DeploymentStanding]:
        """Each deployment, in the order of the table."""
        return [self._deployment(deployment) for deployment in self._table.deployments]

    def limits(self) -> list[LimitStanding]:
        """Each rate limit of the operator's, in the order of the table."""
        now_ns = self._now_ns()
        return [
            LimitStanding(name=limit.name, wait_s=self._state.wait_ns(index, now_ns) * _NS)
            for index, limit in enumerate(self._table.limits)
            if not limit.provider
        ]

    def budgets(self) -> list[BudgetStanding]:
        """Each budget, in the order of the table."""
        now_ns = self._now_ns()
        return [
            BudgetStanding(
                name=budget.name,
                limit_usd=budget.limit_picousd * _PICO,
                spent_usd=self._state.spent_picousd(index, now_ns) * _PICO,
                reserved_usd=self._state.reserved_picousd(index) * _PICO,
                remaining_usd=max(0, self._state.remaining_picousd(index, now_ns)) * _PICO,
                is_hard=budget.hard,
            )
            for index, budget in enumerate(self._table.budgets)
        ]

    def breakers_by_name(self) -> dict[str, float]:
        """The number of each breaker's state, for the gauge."""
        now_ns = self._now_ns()
        return {
            deployment.spec.name: float(self._state.breaker(deployment.index, now_ns))
            for deployment in self._table.deployments
        }

    def budgets_by_name(self, figure: str) -> dict[str, float]:
        """One figure of each budget, for a gauge."""
        return {budget.name: getattr(budget, figure) for budget in self.budgets()}

    def force_breaker(self, name: str, breaker: Breaker | None) -> DeploymentStanding:
        """Hold the breaker of a deployment, or give it back to its automaton (None), and tell how it stands.

        Raises:
            UnknownDeploymentError: no deployment has this name.

        """
        deployment = next((each for each in self._table.deployments if each.spec.name == name), None)
        if deployment is None:
            raise UnknownDeploymentError(f'no deployment is called "{name}"', metadata={"deployment": name})
        self._state.force_breaker(deployment.index, breaker)
        return self._deployment(deployment)

    def _deployment(self, deployment: Deployment) -> DeploymentStanding:
        index, spec, now_ns = deployment.index, deployment.spec, self._now_ns()
        requests, tokens = self._state.usage(index, now_ns)
        return DeploymentStanding(
            name=spec.name,
            breaker=self._state.breaker(index, now_ns),
            is_forced=self._state.forced_breaker(index) is not None,
            error_share=self._state.error_share(index),
            in_flight=self._state.in_flight(index),
            first_token_s=self._state.first_token_s(index, now_ns, spec.expected_latency_s),
            token_s=self._state.token_s(index, now_ns, spec.expected_token_s),
            minute_requests=requests,
            minute_tokens=tokens,
        )

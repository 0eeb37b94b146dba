"""Admission and settlement on the virtual clock, in the order of `tierway_server.flow.admission`: breaker, budgets, limits.

Room is the replay's business: it has the slots.
"""

from collections.abc import Sequence

from tierway_core import Decision, State, Table
from tierway_core.cost import estimate_picousd

__all__ = ["Admission", "Held"]

Held = tuple[tuple[int, int], ...]
"""What an attempt holds: budgets, and how many pico-USD are reserved in each."""


class Admission:
    """Lets attempts in, and settles them."""

    def __init__(self, table: Table, state: State) -> None:
        self._table = table
        self._state = state
        self._limits = [deployment.limits for deployment in table.deployments]
        self._is_hard = [budget.hard for budget in table.budgets]

    def take(self, limits: Sequence[int], now_ns: int) -> bool:
        """Takes a request from each of these limits, or from none."""
        for place, limit in enumerate(limits):
            if self._state.take(limit, now_ns):
                for taken in limits[:place]:
                    self._state.give_back(taken)
                return False
        return True

    def admit(self, index: int, decision: Decision, now_ns: int) -> Held | None:
        """Counts an attempt in; None: breaker, budgets or limits do not let it, and nothing is held."""
        state = self._state
        if not state.try_probe(index, now_ns):
            return None
        held = self._reserve(index, decision, now_ns) if self._is_hard else ()
        if held is not None:
            if self.take(self._limits[index], now_ns):
                state.begin(index)
                return held
            self._settle(held, 0, now_ns)
        state.release_probe(index)
        return None

    def fail(self, index: int, held: Held, now_ns: int) -> None:
        """Counts a failed attempt out."""
        self._state.end(index)
        self._settle(held, 0, now_ns)
        self._state.observe(index, now_ns, ok=False)

    def answer(
        self, index: int, held: Held, now_ns: int, *, first_token_s: float, token_s: float, tokens: int, picousd: int
    ) -> None:
        """Counts an attempt out that has answered, and pays for it."""
        self._state.end(index)
        self._settle(held, picousd, now_ns)
        self._state.observe(index, now_ns, ok=True, first_token_s=first_token_s, token_s=token_s, tokens=tokens)

    def _reserve(self, index: int, decision: Decision, now_ns: int) -> Held | None:
        model = self._table.deployments[index].model
        picousd = estimate_picousd(model, decision.input_tokens, decision.output_tokens)
        held: list[tuple[int, int]] = []
        for budget in decision.budgets:
            if self._state.reserve(budget, now_ns, picousd):
                held.append((budget, picousd))
            elif self._is_hard[budget]:
                self._settle(held, 0, now_ns)
                return None
            else:  # a soft budget is paid from all the same
                held.append((budget, 0))
        return tuple(held)

    def _settle(self, held: Sequence[tuple[int, int]], picousd: int, now_ns: int) -> None:
        for budget, reserved_picousd in held:
            self._state.settle(budget, now_ns, reserved_picousd, picousd)

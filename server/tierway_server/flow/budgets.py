"""Budgets: what an answer may cost is reserved before it begins, and settled by what it did cost when it ends, however it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tierway_core import State, Table
from tierway_server.errors import BudgetExhaustedError
from tierway_server.telemetry.metrics import Metrics

_PICO = 1e-12


class Bill:
    """What one try has cost so far."""

    __slots__ = ("picousd",)

    def __init__(self) -> None:
        self.picousd = 0


class Budgets:
    """The budgets of tenants and agents. Lives on the event loop; the state may be shared."""

    def __init__(
        self,
        table: Table,
        state: State,
        metrics: Metrics,
        lease_wait_s: float | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Spend from the budgets of `table`.

        Args:
            table: whose budgets they are.
            state: what they have left.
            metrics: counts refusals.
            lease_wait_s: how soon a budget that is leased may have more, in seconds; None where none is.
            now_ns: the state's clock.

        """
        self._specs = table.budgets
        self._state = state
        self._metrics = metrics
        self._lease_wait_s = lease_wait_s
        self._now_ns = now_ns

    @contextmanager
    def reserved(self, budgets: Sequence[int], picousd: int) -> Iterator[Bill]:
        """Hold an amount in each of these budgets while the block runs; then what the bill says is spent.

        A soft budget that has no room holds nothing, and is paid from all the same.

        Raises:
            BudgetExhaustedError: a hard one has no room; nothing is held.

        """
        held: list[tuple[int, int]] = []
        bill = Bill()
        try:
            for budget in budgets:
                if self._state.reserve(budget, self._now_ns(), picousd):
                    held.append((budget, picousd))
                elif self._specs[budget].hard:
                    raise self.refusal(budget, picousd)
                else:
                    held.append((budget, 0))
            yield bill
        finally:
            now_ns = self._now_ns()
            for budget, reserved_picousd in held:
                self._state.settle(budget, now_ns, reserved_picousd, bill.picousd)

    def scarcest(self, budgets: Sequence[int]) -> int:
        """Of these budgets, at least one of them hard, the hard one that has the least left."""
        now_ns = self._now_ns()
        return min(
            (budget for budget in budgets if self._specs[budget].hard),
            key=lambda budget: self._state.remaining_picousd(budget, now_ns),
        )

    def refusal(self, budget: int, picousd: int | None = None) -> BudgetExhaustedError:
        """Why a hard budget pays no more: for what would cost so much, where that is known."""
        name = self._specs[budget].name
        self._metrics.budget_refused(name)
        left_picousd = self._state.remaining_picousd(budget, self._now_ns())
        if picousd is not None and self._lease_wait_s is not None and picousd <= left_picousd:
            return BudgetExhaustedError(
                f"the budget {name} has enough left, but leased elsewhere or not yet to this server",
                metadata={"budget": name},
                retry_after_s=self._lease_wait_s,
            )
        left_usd = max(0, left_picousd) * _PICO
        return BudgetExhaustedError(
            f"the budget {name} has {left_usd:.6g} USD left, which is less than the answer is estimated to cost",
            metadata={"budget": name},
        )

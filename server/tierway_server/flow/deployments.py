"""Which backend serves which deployment, and which of them can answer now: the one owner of availability.

What it learns it writes to the core's state, which the decision reads, and to whoever waits for readiness. Of several processes that
share a state one does so; the others tell what it has written, whatever they have heard themselves, so that all of them say the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from tierway_core import State, Table
from tierway_server.backends.base import Availability, Backend

_LOOK_S: Final = 0.1
"""How often to look for what another process has written, while somebody waits for a change."""
_GONE: Final = Availability(False, "gone, as another process of the server has found")


class Deployments:
    """The fleet as it is now. Lives on the event loop."""

    def __init__(
        self,
        table: Table,
        state: State,
        backends: Mapping[int, Backend],
        unavailable: Mapping[int, str],
        *,
        owns_state: bool = True,
    ) -> None:
        """Watch a fleet.

        Args:
            table: the deployments.
            state: what the decision reads; availability is written to it.
            backends: what serves which deployment, by index.
            unavailable: why the others cannot answer, by index; for the operator.
            owns_state: whether to write availability; where several processes share a state, one of them does.

        """
        self._owns_state = owns_state
        self._table = table
        self._state = state
        self._backends = backends
        self._now = [Availability(False, unavailable.get(deployment.index, "")) for deployment in table.deployments]
        # Deployments on one backend share its room.
        self._sharing = {
            index: [other for other in backends if backends[other] is backend] for index, backend in backends.items()
        }
        self._came: set[int] = set()
        self._changed = asyncio.Event()
        for index, backend in backends.items():
            # The default argument binds this turn's index.
            backend.watch(lambda availability, index=index: self._update(index, availability))  # type: ignore[misc]
        self._told = self.availabilities

    @property
    def availabilities(self) -> Sequence[Availability]:
        """By deployment, as they are now."""
        return [self.availability(index) for index in range(len(self._now))]

    def availability(self, index: int) -> Availability:
        """Whether a deployment can answer now, and why not."""
        heard = self._now[index]
        if self._owns_state or heard.is_available == (is_available := self.backend(index) is not None):
            return heard
        return Availability(True) if is_available else _GONE

    @property
    def is_ready(self) -> bool:
        """Whether at least one deployment can answer."""
        return any(availability.is_available for availability in self.availabilities)

    def backend(self, index: int) -> Backend | None:
        """What serves a deployment now; None while nothing can.

        The state is asked, as the decision asks it: of several processes one may have heard a moment later than the one that writes it,
        and would refuse what was decided.
        """
        return self._backends.get(index) if self._state.is_available(index) else None

    def has_gone(self, index: int) -> bool:
        """Whether this process has heard that a deployment went which was there; the state may not tell yet."""
        return index in self._came and not self._now[index].is_available

    def sharing(self) -> Iterator[tuple[Sequence[int], Backend]]:
        """The deployments of each backend, which share its room, and the backend."""
        for index, together in self._sharing.items():
            if index == together[0]:
                yield together, self._backends[index]

    def available_by_name(self) -> dict[str, float]:
        """1 or 0 for each deployment, for the gauge."""
        names = (deployment.spec.name for deployment in self._table.deployments)
        return {name: float(now.is_available) for name, now in zip(names, self.availabilities, strict=True)}

    def in_flight_by_name(self) -> dict[str, float]:
        """Generations under way at each deployment, for the gauge."""
        return {
            deployment.spec.name: float(self._state.in_flight(deployment.index))
            for deployment in self._table.deployments
        }

    def rest(self, index: int) -> str:
        """Why the breaker of a deployment lets nothing through, in words that follow on "it"."""
        return "fails too often" if self._state.forced_breaker(index) is None else "is held back by the operator"

    def coming(self, names: Sequence[str]) -> tuple[str, str] | None:
        """The first of these deployments that will be available by itself, and why it is not yet; None when none of them will."""
        for index, backend in self._backends.items():
            if (name := self._table.deployments[index].spec.name) in names and backend.will_return:
                return name, self.availability(index).reason
        return None

    async def changed(self) -> None:
        """Return after the next change of availability, or at once if there was one since the last call."""
        while not self._changed.is_set() and self._told == self.availabilities:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._owns_state else _LOOK_S):
                    await self._changed.wait()
        self._told = self.availabilities
        self._changed.clear()

    def _update(self, index: int, availability: Availability) -> None:
        self._now[index] = availability
        if availability.is_available:
            self._came.add(index)
        if self._owns_state:
            self._state.set_available(index, availability.is_available)
        self._changed.set()

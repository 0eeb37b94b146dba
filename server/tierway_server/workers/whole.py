"""What all front ends have counted together, those included that have died since."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tierway_server.local_socket import GarbledError, asking
from tierway_server.telemetry.families import Counts, Families, counts_decoder, lasting, merge
from tierway_server.workers.questions import Count

logger = logging.getLogger(__name__)

# A front end that does not answer so soon is counted as it was when it last did.
_PATIENCE_S = 0.5


class WholeCounts:
    """The sum over the front ends. Lives on the supervisor's event loop.

    Counters never go back: of a front end that dies, what it had last told stays in the sum.
    """

    def __init__(self, sockets: list[str], life_of: Callable[[int], int]) -> None:
        """Sum up.

        Args:
            sockets: where the front ends listen.
            life_of: how often a front end has been started, so that an answer of a dead one is known.

        """
        self._sockets = sockets
        self._life_of = life_of
        self._latest: dict[int, Counts] = {}
        self._departed: Families = []

    def departed(self, worker: int) -> None:
        """A front end has died: keep what it had counted."""
        if (last := self._latest.pop(worker, None)) is not None:
            self._departed = merge((self._departed, lasting(last.families)))

    async def counts(self) -> Counts:
        """The sum as it is now."""
        await asyncio.gather(*(self._ask(worker) for worker in range(len(self._sockets))))
        latest = self._latest.values()
        families = merge((self._departed, *(one.families for one in latest)))
        return Counts(families, sum(one.in_flight for one in latest))

    async def _ask(self, worker: int) -> None:
        life = self._life_of(worker)
        try:
            async with (
                asyncio.timeout(_PATIENCE_S),
                asking(self._sockets[worker], Count(), counts_decoder) as told,
            ):
                counts = await told.read()
        except (EOFError, OSError, TimeoutError):
            return  # not there yet, not there any more, or busy
        except GarbledError as error:
            logger.warning("garbage from a worker", extra={"worker": worker, "error": str(error)})
            return
        if self._life_of(worker) == life:
            self._latest[worker] = counts

"""The calibration that decisions are made with: loaded at the start, and again while the server serves.

A new file becomes a new classifier and a new router, made beside those that decide, and then takes their place in one assignment: no
decision sees half of it. A file that is not valid is refused, and what decided before goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from tierway_core import Classifier, CoreError, Prefixes, Router, State, Table, Weights
from tierway_core.calibration import Calibration, load
from tierway_server.flow.decide import Decider, Deciding
from tierway_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

_Mark = tuple[int, int, int] | None
"""By which a changed file is known; None when there is none."""


class CalibrationRefusedError(Exception):
    """A calibration cannot be used. Its text is for the operator."""


class Calibrator:
    """Makes what decides from a calibration's file, whenever that changes. Lives on the event loop."""

    def __init__(
        self,
        path: Path,
        *,
        table: Table,
        state: State,
        prefixes: Prefixes,
        weights: Weights,
        metrics: Metrics,
        check_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Watch a file.

        Args:
            path: the calibration.
            table: the models that it is for.
            state: what decisions read, whoever makes them.
            prefixes: likewise.
            weights: what the calibration has to be made for.
            metrics: where loads are counted.
            check_s: seconds between two looks at the file, and so between two loads.
            clock: Unix time.

        """
        self._path = path
        self._table, self._state, self._prefixes, self._weights = table, state, prefixes, weights
        self._metrics = metrics
        self._check_s = check_s
        self._clock = clock
        self._asked = asyncio.Event()
        self._mark: _Mark = None

    def load(self) -> Deciding:
        """What decides by the file as it is now. Blocks for some milliseconds.

        Raises:
            CalibrationRefusedError: the file cannot be read, or does not fit the weights or the models.

        """
        # Noted before it is read: what is written meanwhile is seen as another change.
        self._mark = self._marked()
        try:
            calibration = load(self._path, self._weights.identity)
            classifier = Classifier(self._weights, calibration)
            router = Router(self._table, self._state, classifier, self._prefixes)
        except OSError as error:
            raise CalibrationRefusedError(f"{self._path} cannot be read: {error.strerror or error}") from None
        except CoreError as error:
            raise CalibrationRefusedError(f"{self._path}: {error}") from None
        self._mention_strangers(calibration)
        return Deciding(router, classifier, calibration.identity, self._clock())

    def ask(self) -> None:
        """Load the file soon, changed or not."""
        self._asked.set()

    async def keep(self, decider: Decider) -> None:
        """Keep the decider on the newest valid calibration, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._check_s):
                    await self._asked.wait()
            except TimeoutError:
                if await asyncio.to_thread(self._marked) == self._mark:
                    continue
            self._asked.clear()
            await self._replace(decider)

    async def _replace(self, decider: Decider) -> None:
        try:
            # Beside the loop: a pair's gain is some hundred kilobytes to parse.
            deciding = await asyncio.to_thread(self.load)
        except CalibrationRefusedError as refused:
            self._metrics.calibration_refused()
            logger.error("calibration refused, the one before stays", extra={"why": str(refused)})  # noqa: TRY400  # no fault of ours
            return
        decider.deciding = deciding
        self._metrics.calibration_loaded()
        logger.info("calibration loaded", extra={"calibration": deciding.calibration, "path": str(self._path)})

    def _marked(self) -> _Mark:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _mention_strangers(self, calibration: Calibration) -> None:
        pair = calibration.pair
        named = {*calibration.abilities, *((pair.strong, pair.weak) if pair else ())}
        strangers = sorted(named - {model.name for model in self._table.models})
        if strangers:
            logger.warning("the calibration speaks of models that are not configured", extra={"models": strangers})

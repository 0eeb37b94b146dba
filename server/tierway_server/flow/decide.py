"""The decision on one request: the core's, in the domain's terms."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tierway_core import (
    Classifier,
    CoreError,
    Decision,
    NoClassifierError,
    ReasonCode,
    Request,
    Router,
    UnknownTaskTypeError,
    UnroutableError,
    UnroutableKind,
)
from tierway_core import (
    UnknownModelError as CoreUnknownModelError,
)
from tierway_server.errors import (
    ClassifierOffError,
    ConstitutionMismatchError,
    ContextTooLongError,
    InvalidRequestError,
    NoDeploymentAvailableError,
    PinUnsatisfiableError,
    TierwayError,
    UnknownModelError,
    UnsatisfiableError,
)
from tierway_server.flow.deployments import Deployments
from tierway_server.telemetry.metrics import Metrics

_UNROUTABLE: dict[UnroutableKind, type[TierwayError]] = {
    UnroutableKind.PIN_UNSATISFIABLE: PinUnsatisfiableError,
    UnroutableKind.NO_CANDIDATE: UnsatisfiableError,
    UnroutableKind.CONTEXT_TOO_LONG: ContextTooLongError,
}
_RETRY_AFTER_S = 1.0


class Deciding(NamedTuple):
    """What decisions are made with. Replaced as a whole, so that none is made with parts of two."""

    router: Router
    classifier: Classifier | None = None
    """What the router assesses queries with; None where it is turned off."""
    calibration: str = ""
    """The identity of the classifier's calibration; empty without one."""
    calibrated_s: float | None = None
    """When that calibration was loaded, Unix time; None without one."""


class Decider:
    """Decides, counts what it decided, and upholds the constitutional hash."""

    def __init__(
        self,
        deciding: Deciding,
        deployments: Deployments,
        constitution_hash: str,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.constitution_hash = constitution_hash
        self.deciding = deciding
        """What the next decision is made with."""
        self._deployments = deployments
        self._metrics = metrics
        self._clock = clock

    def decide(self, request: Request, expected_constitution_hash: str = "") -> Decision:
        """Decide on one request, and count it. Never waits.

        Raises:
            TierwayError: nothing could be decided; see `errors.py` for the kinds.

        """
        started_s = self._clock()
        decision = self.consider(request, expected_constitution_hash)
        self._metrics.decided(decision, self._clock() - started_s)
        return decision

    def consider(self, request: Request, expected_constitution_hash: str = "") -> Decision:
        """Decide as `decide` does, without counting it: nothing will come of it."""
        if expected_constitution_hash and expected_constitution_hash != self.constitution_hash:
            raise ConstitutionMismatchError(
                f"this server decides under the constitution {self.constitution_hash}",
                field="preferences.expected_constitution_hash",
                metadata={"constitution_hash": self.constitution_hash},
            )
        try:
            return self.deciding.router.decide(request)
        except CoreError as refused:
            raise self._translated(refused) from None

    def _translated(self, refused: CoreError) -> TierwayError:
        if isinstance(refused, UnroutableError):
            if refused.kind is UnroutableKind.NO_DEPLOYMENT_AVAILABLE:
                return self._unavailable(refused)
            return _UNROUTABLE[refused.kind](refused.message, field=refused.field)
        if isinstance(refused, CoreUnknownModelError):
            return UnknownModelError(
                f'no model is called "{refused.name}"',
                field="preferences.force_model",
                metadata={"model": refused.name},
            )
        if isinstance(refused, UnknownTaskTypeError):
            return InvalidRequestError(
                f'no task type is called "{refused.name}"',
                field="preferences.task_type",
                metadata={"task_type": refused.name},
            )
        if isinstance(refused, NoClassifierError):
            return ClassifierOffError(
                "cost_quality needs the learned classifier, which is turned off here", field="preferences.cost_quality"
            )
        return InvalidRequestError("the text is not valid Unicode", field="query")

    def _unavailable(self, refused: UnroutableError) -> NoDeploymentAvailableError:
        fit = [reason.subject for reason in refused.reasons if reason.code is ReasonCode.FILTERED_UNAVAILABLE]
        coming = self._deployments.coming(fit)
        if coming:
            name, why = coming
            return NoDeploymentAvailableError(
                f"{name} would fit, and is not available yet: {why}",
                metadata={"deployment": name},
                retry_after_s=_RETRY_AFTER_S,
            )
        # None of them can come up by itself: trying again would not help, so no RetryInfo.
        return NoDeploymentAvailableError(f"{refused.message}; ListModels says why")

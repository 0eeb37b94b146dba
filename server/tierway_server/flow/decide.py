"""The decision on one request: the core's, in the domain's terms."""

from __future__ import annotations

import time
from collections.abc import Callable

from tierway_core import (
    CoreError,
    Decision,
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


class Decider:
    """Decides, counts what it decided, and upholds the constitutional hash."""

    def __init__(
        self,
        router: Router,
        deployments: Deployments,
        constitution_hash: str,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.constitution_hash = constitution_hash
        self._router = router
        self._deployments = deployments
        self._metrics = metrics
        self._clock = clock

    def decide(self, request: Request, expected_constitution_hash: str = "") -> Decision:
        """Decide on one request. Never waits.

        Raises:
            TierwayError: nothing could be decided; see `errors.py` for the kinds.

        """
        if expected_constitution_hash and expected_constitution_hash != self.constitution_hash:
            raise ConstitutionMismatchError(
                f"this server decides under the constitution {self.constitution_hash}",
                field="preferences.expected_constitution_hash",
                metadata={"constitution_hash": self.constitution_hash},
            )
        started_s = self._clock()
        try:
            decision = self._router.decide(request)
        except CoreError as refused:
            raise self._translated(refused) from None
        self._metrics.decided(decision, self._clock() - started_s)
        return decision

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

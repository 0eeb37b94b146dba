"""The decision on one request: the core's, in the domain's terms."""

from __future__ import annotations

import random
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
    Table,
    UnknownStrategyError,
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
    DeadlineTooShortError,
    InvalidRequestError,
    NoDeploymentAvailableError,
    PinUnsatisfiableError,
    RateLimitedError,
    TenantRestrictedError,
    TierwayError,
    UnknownModelError,
    UnsatisfiableError,
)
from tierway_server.flow.budgets import Budgets
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.limits import Limits
from tierway_server.telemetry.metrics import Metrics

_UNROUTABLE: dict[UnroutableKind, type[TierwayError]] = {
    UnroutableKind.PIN_UNSATISFIABLE: PinUnsatisfiableError,
    UnroutableKind.NO_CANDIDATE: UnsatisfiableError,
    UnroutableKind.CONTEXT_TOO_LONG: ContextTooLongError,
    UnroutableKind.TENANT_RESTRICTED: TenantRestrictedError,
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
    """Decides within what the tenant may ask for, counts what it decided, and upholds the constitutional hash."""

    def __init__(
        self,
        deciding: Deciding,
        table: Table,
        deployments: Deployments,
        limits: Limits,
        budgets: Budgets,
        constitution_hash: str,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
        now_ns: Callable[[], int] = time.monotonic_ns,
        random_bits: Callable[[int], int] = random.getrandbits,
    ) -> None:
        self.constitution_hash = constitution_hash
        self.deciding = deciding
        """What the next decision is made with."""
        self._table = table
        self._deployments = deployments
        self._limits = limits
        self._budgets = budgets
        self._metrics = metrics
        self._clock = clock
        self._now_ns = now_ns
        self._random_bits = random_bits

    def decide(self, request: Request, expected_constitution_hash: str = "") -> Decision:
        """Decide on one request, and count it. Takes from the tenant's rate limits, whatever becomes of the request. Never waits.

        Raises:
            TierwayError: nothing could be decided; see `errors.py` for the kinds.

        """
        started_s = self._clock()
        if self._table.tenants:
            tenant = self._table.tenant(request.tenant)
            if tenant is not None and tenant.limits:
                self._limits.take(tenant.limits)
        decision = self.consider(request, expected_constitution_hash)
        self._metrics.decided(decision, self._clock() - started_s)
        return decision

    def consider(self, request: Request, expected_constitution_hash: str = "") -> Decision:
        """Decide as `decide` does, without counting it or taking anything: nothing will come of it."""
        if expected_constitution_hash and expected_constitution_hash != self.constitution_hash:
            raise ConstitutionMismatchError(
                f"this server decides under the constitution {self.constitution_hash}",
                field="preferences.expected_constitution_hash",
                metadata={"constitution_hash": self.constitution_hash},
            )
        try:
            return self.deciding.router.decide(request, self._now_ns(), self._random_bits(64))
        except CoreError as refused:
            raise self._translated(refused, request) from None

    def reconsider(self, request: Request) -> Decision | None:
        """Decide once more for a request that has been decided and counted; None where nothing may answer."""
        try:
            return self.deciding.router.decide(request, self._now_ns(), self._random_bits(64))
        except CoreError:
            return None

    def _translated(self, refused: CoreError, request: Request) -> TierwayError:
        if isinstance(refused, UnroutableError):
            return self._unroutable(refused, request)
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
        if isinstance(refused, UnknownStrategyError):
            return InvalidRequestError(
                f'no strategy is called "{refused.name}"; there is {", ".join(refused.known)}',
                field="preferences.strategy",
                metadata={"strategy": refused.name},
            )
        if isinstance(refused, NoClassifierError):
            return ClassifierOffError(
                "cost_quality needs the learned classifier, which is turned off here",
                field=f"preferences.{refused.name}",
            )
        return InvalidRequestError("the text is not valid Unicode", field="query")

    def _unroutable(self, refused: UnroutableError, request: Request) -> TierwayError:
        match refused.kind:
            case UnroutableKind.NO_DEPLOYMENT_AVAILABLE:
                return self._unavailable(refused)
            case UnroutableKind.RATE_LIMITED:
                struck = _struck(refused, ReasonCode.FILTERED_RATE_LIMIT)
                drawn = (each.limits for each in self._table.deployments if each.spec.name in struck)
                # Room that came meanwhile is for the next try.
                return self._limits.refusal(drawn) or RateLimitedError(refused.message, retry_after_s=0.0)
            case UnroutableKind.BUDGET_EXHAUSTED:
                paying = self._table.budgets_of(self._table.tenant(request.tenant), request.agent)
                return self._budgets.refusal(self._budgets.scarcest(paying))
            case UnroutableKind.DEADLINE_TOO_SHORT:
                assert refused.predicted_s is not None
                predicted, deadline = f"{refused.predicted_s:.3g}", f"{request.deadline_s:.3g}"
                return DeadlineTooShortError(
                    f"{refused.message}, but in {predicted} s",
                    metadata={"predicted_seconds": predicted, "deadline_seconds": deadline},
                )
            case kind:
                return _UNROUTABLE[kind](refused.message, field=refused.field)

    def _unavailable(self, refused: UnroutableError) -> NoDeploymentAvailableError:
        if resting := _struck(refused, ReasonCode.FILTERED_BREAKER):
            index = next(each.index for each in self._table.deployments if each.spec.name == resting[0])
            return NoDeploymentAvailableError(
                f"{resting[0]} would fit, and is given a rest: it {self._deployments.rest(index)}",
                metadata={"deployment": resting[0]},
                retry_after_s=_RETRY_AFTER_S,
            )
        coming = self._deployments.coming(_struck(refused, ReasonCode.FILTERED_UNAVAILABLE))
        if coming:
            name, why = coming
            return NoDeploymentAvailableError(
                f"{name} would fit, and is not available yet: {why}",
                metadata={"deployment": name},
                retry_after_s=_RETRY_AFTER_S,
            )
        # None of them can come up by itself: trying again would not help, so no RetryInfo.
        return NoDeploymentAvailableError(f"{refused.message}; ListModels says why")


def _struck(refused: UnroutableError, code: ReasonCode) -> list[str]:
    """Names of the deployments that one filter struck."""
    return [reason.subject for reason in refused.reasons if reason.code is code]

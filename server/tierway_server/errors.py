"""Everything that can go wrong with a request, as the domain sees it.

    TierwayError
    ├── InvalidRequestError            INVALID_FIELD                 a field is wrong; `field` names it
    │   ├── ContextTooLongError        CONTEXT_TOO_LONG              the prompt fits no context
    │   └── NotOfferedError            INVALID_FIELD                 this deployment cannot do it; another may
    ├── UnknownModelError              MODEL_NOT_FOUND
    ├── UnsatisfiableError             NO_CANDIDATE                  the constraints leave no model
    │   ├── PinUnsatisfiableError      PIN_UNSATISFIABLE             a pin leaves no model
    │   └── CostCeilingError           COST_CEILING                  the prompt alone costs more than allowed
    ├── TenantRestrictedError          TENANT_RESTRICTED             the tenant may use none that would do
    ├── RateLimitedError               RATE_LIMITED                  a rate limit has no room now
    ├── BudgetExhaustedError           BUDGET_EXHAUSTED              a hard budget has less left than it would cost
    ├── UnknownDeploymentError         DEPLOYMENT_NOT_FOUND          an operator names none of the configuration
    ├── ConstitutionMismatchError      CONSTITUTION_MISMATCH
    ├── ClassifierOffError             CLASSIFIER_OFF                the request turns a dial that is not there
    ├── ContentBlockedError            CONTENT_BLOCKED               a provider refused the prompt for its content
    ├── UnavailableError               (nothing was generated: trying again is safe)
    │   ├── NoDeploymentAvailableError NO_DEPLOYMENT_AVAILABLE
    │   ├── NotReadyError              NOT_READY
    │   ├── BreakerOpenError           BREAKER_OPEN
    │   ├── QueueFullError             QUEUE_FULL
    │   ├── DrainingError              DRAINING
    │   ├── EngineLostError            ENGINE_LOST                   before the first token
    │   └── ProviderError              (a remote provider failed before the first token)
    │       ├── ProviderUnreachableError  PROVIDER_UNREACHABLE       no connection: refused, no such name, TLS
    │       ├── ProviderTimeoutError      PROVIDER_TIMEOUT           it connected, and was silent for too long
    │       ├── ProviderOverloadedError   PROVIDER_OVERLOADED        429, 503, 529: it asks to be left alone for a while
    │       └── ProviderFailedError       PROVIDER_FAILED            any other 5xx, or an answer that is none
    ├── DeadlineError                  DEADLINE_EXCEEDED
    │   └── DeadlineTooShortError      DEADLINE_TOO_SHORT            nothing is predicted to answer in time
    └── InternalError                  INTERNAL
        ├── StreamBrokenError          ENGINE_LOST                   after the first token
        ├── ProviderAuthError          PROVIDER_AUTH                 a provider rejects our key
        ├── ProviderQuotaError         PROVIDER_QUOTA                our account there has no money or no quota left
        └── ProviderRejectedError      PROVIDER_REJECTED             it rejects what we made of the request, or knows no such model

    ModelUnavailableError              an engine cannot start; for the operator, never for a client

The domain raises these; `rpc/status.py` alone turns them into gRPC statuses. Their texts reach clients, so nothing foreign and
nothing secret goes into them.
"""

from __future__ import annotations

from typing import ClassVar


class TierwayError(Exception):
    """Root of what a request can fail with.

    Attributes:
        reason: stable, for machines; the ErrorInfo reason on the wire.
        message: one English sentence for the caller.
        field: path of the request field at fault, empty when none is.
        metadata: the values that `message` mentions, for machines.
        retry_after_s: when trying again makes sense; None when it does not.
        can_fall_back: whether another deployment may succeed where this one failed.

    """

    reason: ClassVar[str] = "INTERNAL"
    can_fall_back: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        metadata: dict[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.metadata = metadata or {}
        self.retry_after_s = retry_after_s


class InvalidRequestError(TierwayError):
    """A field of the request is wrong."""

    reason = "INVALID_FIELD"


class ContextTooLongError(InvalidRequestError):
    """Prompt and answer fit the context of no deployment that could serve them."""

    reason = "CONTEXT_TOO_LONG"
    can_fall_back = True


class NotOfferedError(InvalidRequestError):
    """This deployment cannot do what a field asks for; another one may."""

    can_fall_back = True


class UnknownModelError(TierwayError):
    """`force_model` names no model of the configuration."""

    reason = "MODEL_NOT_FOUND"


class UnsatisfiableError(TierwayError):
    """The constraints leave no model."""

    reason = "NO_CANDIDATE"


class PinUnsatisfiableError(UnsatisfiableError):
    """A pin, an image or a forced model leaves no model."""

    reason = "PIN_UNSATISFIABLE"


class CostCeilingError(UnsatisfiableError):
    """The prompt alone, once counted, costs more than the request may."""

    reason = "COST_CEILING"
    can_fall_back = True


class TenantRestrictedError(TierwayError):
    """What the tenant may use (models, tiers, regions) leaves nothing."""

    reason = "TENANT_RESTRICTED"


class RateLimitedError(TierwayError):
    """A rate limit of the tenant, or of all deployments that would do, has no room now. `metadata["limit"]` names it."""

    reason = "RATE_LIMITED"
    can_fall_back = True


class BudgetExhaustedError(TierwayError):
    """A hard budget has less left than the answer is estimated to cost. `metadata["budget"]` names it."""

    reason = "BUDGET_EXHAUSTED"
    can_fall_back = True


class UnknownDeploymentError(TierwayError):
    """No deployment of the configuration has this name."""

    reason = "DEPLOYMENT_NOT_FOUND"


class ConstitutionMismatchError(TierwayError):
    """The caller expects another constitutional hash."""

    reason = "CONSTITUTION_MISMATCH"


class ClassifierOffError(TierwayError):
    """The request states `cost_quality`, and the configuration has the classifier turned off."""

    reason = "CLASSIFIER_OFF"


class UnavailableError(TierwayError):
    """Nothing was generated, and trying again, here or at another replica, is safe."""

    reason = "UNAVAILABLE"
    can_fall_back = True


class NoDeploymentAvailableError(UnavailableError):
    """Some deployment would do, but none of these is available now."""

    reason = "NO_DEPLOYMENT_AVAILABLE"


class NotReadyError(UnavailableError):
    """The deployment is starting, or starting again."""

    reason = "NOT_READY"


class BreakerOpenError(UnavailableError):
    """The deployment fails too often, and is given a rest."""

    reason = "BREAKER_OPEN"


class QueueFullError(UnavailableError):
    """The deployment has as many requests as it may hold."""

    reason = "QUEUE_FULL"


class DrainingError(UnavailableError):
    """The server is going down."""

    reason = "DRAINING"
    can_fall_back = False


class EngineLostError(UnavailableError):
    """The engine died before the first token."""

    reason = "ENGINE_LOST"


class ProviderError(UnavailableError):
    """A remote provider failed before the first token. `metadata["provider"]` names it.

    `retry_after_s` is what it asked for, if it did.
    """

    reason = "PROVIDER_FAILED"


class ProviderUnreachableError(ProviderError):
    """No connection to the provider: refused, no such name, TLS."""

    reason = "PROVIDER_UNREACHABLE"


class ProviderTimeoutError(ProviderError):
    """The provider was silent for too long."""

    reason = "PROVIDER_TIMEOUT"


class ProviderOverloadedError(ProviderError):
    """The provider asks to be left alone for a while: too many requests, or too much load."""

    reason = "PROVIDER_OVERLOADED"


class ProviderFailedError(ProviderError):
    """The provider failed by a fault of its own, or what came is no answer."""

    reason = "PROVIDER_FAILED"


class ContentBlockedError(TierwayError):
    """A provider refused the prompt for its content, before any token. Another provider's answer would go around that refusal."""

    reason = "CONTENT_BLOCKED"


class DeadlineError(TierwayError):
    """The request's time, or the server's limit for it, has run out."""

    reason = "DEADLINE_EXCEEDED"


class DeadlineTooShortError(DeadlineError):
    """Nothing that would do is predicted to have answered when the caller's time is over: it was not begun."""

    reason = "DEADLINE_TOO_SHORT"


class InternalError(TierwayError):
    """A fault of ours."""

    reason = "INTERNAL"


class StreamBrokenError(InternalError):
    """The engine died after the first token."""

    reason = "ENGINE_LOST"


class ProviderAuthError(InternalError):
    """A provider rejects our key: the operator's affair, never the caller's."""

    reason = "PROVIDER_AUTH"
    can_fall_back = True


class ProviderQuotaError(InternalError):
    """Our account with a provider has no money or no quota left: likewise."""

    reason = "PROVIDER_QUOTA"
    can_fall_back = True


class ProviderRejectedError(InternalError):
    """A provider rejects what we made of the request, or does not know the model that the configuration names."""

    reason = "PROVIDER_REJECTED"
    can_fall_back = True


class ModelUnavailableError(Exception):
    """An engine cannot start. Its text is for the operator."""

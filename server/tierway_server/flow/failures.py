"""What a try's failure means for the walk: whether the same deployment may be asked again, and which of several the caller sees."""

from __future__ import annotations

from collections.abc import Sequence

from tierway_server.errors import (
    BudgetExhaustedError,
    InternalError,
    InvalidRequestError,
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderUnreachableError,
    RateLimitedError,
    TierwayError,
    UnavailableError,
    UnsatisfiableError,
)

# May be over at the next moment. Not a time-out: whoever was silent for so long has had the time that there was.
_TRANSIENT = (ProviderUnreachableError, ProviderOverloadedError, ProviderFailedError)

# Say nothing of the model.
_NOT_THE_MODELS = (InvalidRequestError, UnsatisfiableError, RateLimitedError, BudgetExhaustedError)


def is_transient(failure: TierwayError) -> bool:
    """Whether the same deployment, asked again, may answer."""
    return isinstance(failure, _TRANSIENT)


def is_models_fault(failure: TierwayError) -> bool:
    """Whether it counts as the model's: a request that could not be answered at all does not."""
    return not isinstance(failure, _NOT_THE_MODELS)


def most_useful(failures: Sequence[TierwayError]) -> TierwayError:
    """Of the failures of a whole chain, in order, the one that tells the caller what to do.

    First what trying again may help against, then a limit or a budget, then what is wrong with the request itself, and last what
    only the operator can mend; of several alike the last.
    """
    return min(reversed(failures), key=_rank)


def _rank(failure: TierwayError) -> int:
    if isinstance(failure, UnavailableError):
        return 0
    if isinstance(failure, RateLimitedError | BudgetExhaustedError):
        return 1
    return 3 if isinstance(failure, InternalError) else 2

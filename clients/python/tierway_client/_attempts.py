"""When a call may be tried again, and after which pause: the rules of Execute and Stream, and the one deadline over all tries.

Only a refusal that says "not admitted" is tried again: the server then started nothing, so nothing is paid or answered twice. Every
other failure, a lost connection included, is the caller's to judge.
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tierway_client._errors import InvalidArgumentError, TierwayError, UnavailableError

NOT_ADMITTED_REASONS = frozenset({"QUEUE_FULL", "DRAINING", "NOT_READY", "BREAKER_OPEN", "NO_DEPLOYMENT_AVAILABLE"})
"""The reasons by which a server says that it started nothing. They count only with a RetryInfo."""

_FIRST_PAUSE_S = 0.05
_JITTER_RATIO = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """How long calls may take, and how often they are tried."""

    timeout_s: float = 60.0
    """The deadline of a call that states none, all tries included, in seconds."""

    max_attempts: int = 3
    """The most tries of one call, the first included. 1 never tries again."""

    clock: Callable[[], float] = time.monotonic
    """Monotonic time, in seconds."""

    jitter: Callable[[], float] = random.random
    """A random number from 0 to 1."""

    def __post_init__(self) -> None:
        _check_timeout(self.timeout_s)
        if self.max_attempts < 1:
            raise InvalidArgumentError.of_field("max_attempts", "must be at least 1")

    def begin(self, timeout_s: float | None) -> "Attempts":
        """The tries of one call that begins now."""
        if timeout_s is not None:
            _check_timeout(timeout_s)
        return Attempts(self, self.timeout_s if timeout_s is None else timeout_s)


class Attempts:
    """The tries of one call. Thread-safety: of one call, so of one thread or task."""

    __slots__ = ("_deadline_s", "_failed", "_policy")

    def __init__(self, policy: CallPolicy, timeout_s: float) -> None:
        self._policy = policy
        self._deadline_s = policy.clock() + timeout_s
        self._failed = 0

    def remaining_s(self) -> float:
        """What is left until the deadline, in seconds; what gRPC takes as the timeout of the next try."""
        return max(self._deadline_s - self._policy.clock(), 0.0)

    def pause_s(self, error: TierwayError) -> float | None:
        """How long to wait before the next try, in seconds; None when `error` is final.

        The server's hint is the least to wait; jitter only adds to it, so that those refused together do not return together.
        """
        self._failed += 1
        if self._failed >= self._policy.max_attempts or error.retry_after_s is None:
            return None
        if not isinstance(error, UnavailableError) or error.reason not in NOT_ADMITTED_REASONS:
            return None
        pause_s = max(error.retry_after_s, _FIRST_PAUSE_S * 2 ** (self._failed - 1))
        pause_s *= 1 + _JITTER_RATIO * self._policy.jitter()
        return pause_s if pause_s < self.remaining_s() else None


def _check_timeout(timeout_s: float) -> None:
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise InvalidArgumentError.of_field("timeout_s", f"must be a number of seconds above 0, not {timeout_s}")

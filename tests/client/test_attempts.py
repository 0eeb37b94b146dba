import itertools

import pytest

from tierway_client import InternalError, InvalidArgumentError, TierwayError, UnavailableError
from tierway_client._attempts import NOT_ADMITTED_REASONS, CallPolicy


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def policy(clock: Clock | None = None, *, max_attempts: int = 3, jitter: float = 0.0) -> CallPolicy:
    return CallPolicy(timeout_s=10, max_attempts=max_attempts, clock=clock or Clock(), jitter=lambda: jitter)


def refusal(reason: str = "QUEUE_FULL", retry_after_s: float | None = 0.5) -> UnavailableError:
    return UnavailableError("no", reason=reason, retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("connection refused"),
        UnavailableError("engine lost", reason="ENGINE_LOST", retry_after_s=0.1),
        InternalError("engine lost", reason="ENGINE_LOST", retry_after_s=0.1),
        InternalError("odd", reason="QUEUE_FULL", retry_after_s=0.1),
        refusal(retry_after_s=None),
    ],
    ids=["no reason", "not a refusal", "internal", "wrong code", "no RetryInfo"],
)
def test_what_may_have_started_is_never_tried_again(error: TierwayError) -> None:
    assert policy().begin(None).pause_s(error) is None


@pytest.mark.parametrize("reason", sorted(NOT_ADMITTED_REASONS))
def test_refusal_to_admit_is_tried_again_after_the_servers_hint(reason: str) -> None:
    assert policy().begin(None).pause_s(refusal(reason)) == 0.5


def test_attempts_are_counted_with_the_first() -> None:
    attempts = policy(max_attempts=3).begin(None)
    assert [attempts.pause_s(refusal()) is not None for _ in range(3)] == [True, True, False]
    assert policy(max_attempts=1).begin(None).pause_s(refusal()) is None


def test_jitter_only_adds_to_the_hint() -> None:
    assert policy(jitter=1.0).begin(None).pause_s(refusal(retry_after_s=1.0)) == 1.25


def test_hint_of_nothing_backs_off_all_the_same() -> None:
    attempts = policy(max_attempts=4).begin(None)
    pauses = [attempts.pause_s(refusal(retry_after_s=0.0)) for _ in range(3)]
    assert pauses == [0.05, 0.1, 0.2]
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses))


def test_pause_beyond_the_deadline_is_not_begun() -> None:
    assert policy().begin(0.4).pause_s(refusal()) is None


def test_deadline_is_one_for_all_tries() -> None:
    clock = Clock()
    attempts = policy(clock).begin(None)
    clock.now_s += 7
    assert attempts.remaining_s() == pytest.approx(3)
    clock.now_s += 7
    assert attempts.remaining_s() == 0


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_senseless_timeout_names_its_argument(timeout_s: float) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        policy().begin(timeout_s)
    assert raised.value.field == "timeout_s"
    with pytest.raises(InvalidArgumentError):
        CallPolicy(timeout_s=timeout_s)


def test_no_attempts_at_all_names_its_argument() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        CallPolicy(max_attempts=0)

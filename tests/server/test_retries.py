"""Retries: which failures, how long is waited before, and that all of them stay a small share of the traffic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.fleet import five_tiers
from tests.server.walking import HALF, Walking, finished, text_of, tried
from tierway_server.config import RetriesConfig
from tierway_server.errors import (
    BreakerOpenError,
    BudgetExhaustedError,
    ContentBlockedError,
    EngineLostError,
    InvalidRequestError,
    NotReadyError,
    ProviderAuthError,
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderQuotaError,
    ProviderRejectedError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QueueFullError,
    RateLimitedError,
    TierwayError,
)
from tierway_server.flow.events import Outcome
from tierway_server.flow.retries import Retries, Wait
from tierway_server.telemetry import semconv
from tierway_server.telemetry.metrics import Metrics

TRANSIENT = [ProviderUnreachableError, ProviderOverloadedError, ProviderFailedError]
LASTING = [
    ProviderTimeoutError,
    NotReadyError,
    BreakerOpenError,
    QueueFullError,
    EngineLostError,
    RateLimitedError,
    BudgetExhaustedError,
    ProviderAuthError,
    ProviderQuotaError,
    ProviderRejectedError,
    ContentBlockedError,
    InvalidRequestError,
]
FAILED = ProviderFailedError("down")
MINUTE_S = 60.0
SHORT = Wait(0.0, 0.1)


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def retries(clock: Clock | None = None, draw: float = HALF, **config: object) -> Retries:
    return Retries(RetriesConfig(**config), Metrics(), lambda: draw, clock or Clock())  # type: ignore[arg-type]


def wait_s(
    rules: Retries,
    failure: TierwayError = FAILED,
    *,
    waits: tuple[Wait, ...] = (),
    left_s: float = MINUTE_S,
    others_follow: bool = False,
) -> float | None:
    wait = rules.wait(failure, "nano@nano", waits, left_s, others_follow=others_follow)
    return None if wait is None else wait.whole_s


class TestWhatIsRetried:
    @pytest.mark.parametrize("kind", TRANSIENT)
    def test_what_may_be_over_at_the_next_moment(self, kind: type[TierwayError]) -> None:
        assert wait_s(retries(), kind("down")) is not None

    @pytest.mark.parametrize("kind", LASTING)
    def test_nothing_else(self, kind: type[TierwayError]) -> None:
        assert wait_s(retries(), kind("down")) is None

    def test_so_many_times_and_no_more(self) -> None:
        rules = retries(max_retries=2)
        assert wait_s(rules, waits=(SHORT,)) is not None
        assert wait_s(rules, waits=(SHORT, SHORT)) is None

    def test_not_at_all_where_the_operator_says_so(self) -> None:
        assert wait_s(retries(max_retries=0)) is None


class TestWaits:
    @given(
        draw=st.floats(0, 1, exclude_max=True),
        last_s=st.floats(0, 10),
        least_s=st.floats(0.001, 1),
        most_s=st.floats(1, 10),
    )
    def test_lie_between_the_shortest_and_three_times_the_last_never_above_the_longest(
        self, draw: float, last_s: float, least_s: float, most_s: float
    ) -> None:
        drawn_s = retries(draw=draw, min_wait_s=least_s, max_wait_s=most_s).next_drawn_s(last_s)
        assert least_s <= drawn_s <= min(most_s, 3 * max(last_s, least_s))

    def test_go_by_chance(self) -> None:
        waits = [retries(draw=draw, min_wait_s=0.1).next_drawn_s(0.2) for draw in (0.0, 0.5)]
        assert waits == pytest.approx([0.1, 0.35])

    def test_come_after_what_the_provider_asks_for(self) -> None:
        overloaded = ProviderOverloadedError("busy", retry_after_s=3.0)
        assert wait_s(retries(min_wait_s=0.1), overloaded) == pytest.approx(3.2)

    @given(
        draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5),
        asked_s=st.floats(0.1, 100),
        least_s=st.floats(0.001, 0.1),
    )
    def test_spread_as_widely_on_top_of_what_is_asked_for_however_much_that_is(
        self, draws: list[float], asked_s: float, least_s: float
    ) -> None:
        spreads: list[list[float]] = []
        for retry_after_s in (None, asked_s):
            drawing = iter(draws)
            rules = Retries(RetriesConfig(max_retries=10, min_wait_s=least_s), Metrics(), drawing.__next__, Clock())
            overloaded = ProviderOverloadedError("busy", retry_after_s=retry_after_s)
            waits: tuple[Wait, ...] = ()
            for _ in draws:
                wait = rules.wait(overloaded, "nano@nano", waits, 1e4, others_follow=False)
                assert wait is not None
                waits += (wait,)
            spreads.append([wait.whole_s - (retry_after_s or 0.0) for wait in waits])
        assert spreads[1] == pytest.approx(spreads[0])
        assert all(0.0 <= spread_s <= 2.0 + 1e-9 for spread_s in spreads[1])

    def test_take_no_notice_of_what_is_only_a_hint_to_the_caller(self) -> None:
        failed = ProviderFailedError("down", retry_after_s=3.0)
        assert wait_s(retries(min_wait_s=0.1), failed) == pytest.approx(0.2)

    def test_are_not_made_when_they_take_more_than_half_of_the_time_that_is_left(self) -> None:
        overloaded = ProviderOverloadedError("busy", retry_after_s=3.0)
        assert wait_s(retries(), overloaded, left_s=7.0) is not None
        assert wait_s(retries(), overloaded, left_s=6.0) is None

    def test_are_not_made_for_long_while_others_follow(self) -> None:
        overloaded = ProviderOverloadedError("busy", retry_after_s=3.0)
        assert wait_s(retries(), overloaded, others_follow=True) is None
        assert wait_s(retries(max_wait_s=4.0), overloaded, others_follow=True) is not None


class TestBudget:
    def test_is_a_share_of_the_traffic_beside_a_few(self) -> None:
        rules = retries(max_share=0.1, min_per_s=0.0)
        made = 0
        for _ in range(1_000):
            rules.came()
            made += wait_s(rules) is not None
        assert 100 <= made <= 110

    def test_has_a_little_for_those_who_see_few_requests(self) -> None:
        clock = Clock()
        rules = retries(clock, max_share=0.0, min_per_s=1.0)
        while wait_s(rules) is not None:
            pass
        clock.now_s = 2.0
        assert [wait_s(rules) is not None for _ in range(3)] == [True, True, False]

    def test_does_not_grow_while_nothing_is_retried(self) -> None:
        clock = Clock()
        rules = retries(clock, max_share=1.0)
        for _ in range(10_000):
            rules.came()
        clock.now_s = 1e6
        made = 0
        while wait_s(rules) is not None:
            made += 1
        assert made == 10


class TestOnTheWay:
    """What a caller sees of it."""

    QUICK = five_tiers() | {"retries": {"max_retries": 2, "min_wait_s": 1e-6, "max_wait_s": 1e-6}}

    async def test_the_same_deployment_is_asked_again_and_the_caller_told(self) -> None:
        walking = Walking(self.QUICK)
        walking.engines["nano"].script(FAILED)
        events = await walking.events(walking.job())
        assert text_of(events) == "Paris it is."
        assert [(each.deployment, each.outcome, each.reason) for each in finished(events).attempts] == [
            ("nano@nano", Outcome.FELL_BACK, "PROVIDER_FAILED"),
            ("nano@nano", Outcome.ANSWERED, ""),
        ]
        assert len(tried(events)) == 1
        assert len({generation.id for generation in walking.engines["nano"].started}) == 2
        assert walking.counted(semconv.RETRIES, deployment="nano@nano", reason="PROVIDER_FAILED") == 1
        assert walking.counted(semconv.FALLBACKS, model="nano", reason="PROVIDER_FAILED") == 0

    async def test_then_the_next_of_the_chain_with_retries_of_its_own(self) -> None:
        walking = Walking(self.QUICK)
        for name in ("nano", "nano", "nano", "fast"):
            walking.engines[name].script(FAILED)
        attempts = finished(await walking.events(walking.job())).attempts
        assert [each.model for each in attempts] == ["nano"] * 3 + ["fast"] * 2
        assert walking.counted(semconv.FALLBACKS, model="nano", reason="PROVIDER_FAILED") == 1

    async def test_without_room_in_the_budget_the_next_of_the_chain_is_asked_at_once(self) -> None:
        document = self.QUICK | {"retries": {**self.QUICK["retries"], "max_share": 0.0, "min_per_s": 0.0}}
        walking = Walking(document)
        for _ in range(5 * 3 + 1):
            walking.engines["nano"].script(FAILED)
        attempts = [finished(await walking.events(walking.job())).attempts for _ in range(6)]
        assert [each.model for each in attempts[-1]] == ["nano", "fast"]
        assert walking.counted(semconv.RETRY_REFUSALS, deployment="nano@nano") == 1

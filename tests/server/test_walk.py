"""The walk along the chain: who is asked when, how long each may be silent, what the caller sees in the end, and that nothing is left."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.fleet import five_tiers, only
from tests.server.granting import HOUR_S
from tests.server.running import until
from tests.server.skipping import clock, skips_time
from tests.server.walking import Walking, finished, text_of, tried
from tierway_server.backends.base import Chunk
from tierway_server.errors import (
    BudgetExhaustedError,
    ContentBlockedError,
    ContextTooLongError,
    CostCeilingError,
    DrainingError,
    EngineLostError,
    InvalidRequestError,
    NotOfferedError,
    NotReadyError,
    ProviderAuthError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    RateLimitedError,
    StreamBrokenError,
    TierwayError,
)
from tierway_server.flow.events import Outcome
from tierway_server.flow.failures import most_useful

# From the most useful to the least; those of one line are alike.
RANKS: list[list[TierwayError]] = [
    [ProviderOverloadedError("busy"), NotReadyError("starting")],
    [RateLimitedError("too many"), BudgetExhaustedError("spent")],
    [ContextTooLongError("too long"), CostCeilingError("too dear")],
    [ProviderAuthError("our key")],
]


def fleet(*names: str, clock: Callable[[], float] = time.perf_counter, **sections: object) -> Walking:
    """These models (default: one in each tier), without retries."""
    document = only(five_tiers(), *names) if names else five_tiers()
    return Walking(document | {"retries": {"max_retries": 0}} | sections, clock=clock)


class TestWhatTheCallerSees:
    @pytest.mark.parametrize("places", list(permutations(range(4), 3)), ids=str)
    def test_of_several_failures_the_one_that_tells_most(self, places: tuple[int, ...]) -> None:
        failures = [RANKS[place][0] for place in places]
        assert most_useful(failures) is RANKS[min(places)][0]

    @pytest.mark.parametrize("alike", RANKS[:3], ids=lambda alike: alike[0].reason)
    def test_of_those_alike_the_last(self, alike: list[TierwayError]) -> None:
        assert most_useful(alike) is alike[-1]
        assert most_useful(alike[::-1]) is alike[0]

    async def test_when_the_whole_chain_has_failed(self) -> None:
        walking = fleet("nano", "fast", "balanced")
        failures = [ContextTooLongError("too long"), ProviderOverloadedError("busy", retry_after_s=7.0)]
        for name, failure in zip(("nano", "fast", "balanced"), [*failures, ProviderAuthError("key")], strict=True):
            walking.engines[name].script(failure)
        with pytest.raises(ProviderOverloadedError) as caught:
            await walking.events(walking.job())
        assert caught.value.retry_after_s == 7.0
        assert walking.is_idle

    @pytest.mark.parametrize("last", [ContentBlockedError("no"), InvalidRequestError("no", field="sampling")])
    async def test_a_failure_that_would_be_everybodys_ends_the_walk(self, last: TierwayError) -> None:
        walking = fleet("nano", "fast", "balanced")
        walking.engines["nano"].script(NotReadyError("starting"))
        walking.engines["fast"].script(last)
        with pytest.raises(type(last)):
            await walking.events(walking.job())
        assert not walking.engines["balanced"].started

    async def test_what_one_deployment_cannot_do_the_next_one_is_asked_for(self) -> None:
        walking = fleet("nano", "fast")
        walking.engines["nano"].script(NotOfferedError("this deployment cannot do that", field="sampling"))
        assert finished(await walking.events(walking.job())).attempts[-1].model == "fast"

    async def test_while_the_server_goes_down_nobody_else_is_asked(self) -> None:
        walking = fleet("nano", "fast")
        walking.drain.is_draining = True
        walking.engines["nano"].script(EngineLostError("gone"))
        with pytest.raises(DrainingError):
            await walking.events(walking.job())
        assert not walking.engines["fast"].started

    async def test_an_answer_that_needs_nobody_else_is_finished_while_the_server_goes_down(self) -> None:
        walking = fleet("nano", "fast")
        walking.drain.is_draining = True
        assert text_of(await walking.events(walking.job())) == "Paris it is."


class TestSilence:
    """A try may be silent before its first token for half of the time that is left, while others follow."""

    @skips_time
    async def test_for_too_long_is_a_failure_of_the_deployment_and_the_next_is_asked(self) -> None:
        walking = fleet("nano", "fast", clock=clock)
        walking.engines["nano"].script(asyncio.Event(), "never")
        events = await walking.events(walking.job(deadline_s=0.3))
        assert [(each.model, each.reason) for each in tried(events)] == [("nano", "PROVIDER_TIMEOUT")]
        assert finished(events).attempts[-1].model == "fast"
        assert walking.state.error_share(0) > 0
        assert walking.is_idle

    async def test_for_longer_than_a_deployment_is_given_is_its_failure_though_there_is_time_and_nobody_follows(
        self,
    ) -> None:
        walking = fleet("nano")
        walking.backends["nano"].idle_timeout_s = 0.01
        walking.engines["nano"].script(asyncio.Event(), "never")
        with pytest.raises(ProviderTimeoutError, match=r"nano@nano was silent for 0\.01 s") as caught:
            await walking.events(walking.job(deadline_s=HOUR_S))
        assert caught.value.metadata["deployment"] == "nano@nano"
        assert walking.state.error_share(0) > 0
        assert walking.is_idle

    async def test_in_the_middle_of_an_answer_breaks_it_off_and_another_goes_on(self) -> None:
        walking = fleet("nano", "fast")
        walking.backends["nano"].idle_timeout_s = 0.01
        walking.engines["nano"].script("Par", asyncio.Event(), "never")
        walking.engines["fast"].script("is.")
        events = await walking.events(walking.job(deadline_s=HOUR_S))
        assert text_of(events) == "Paris."
        assert [(each.model, each.outcome) for each in tried(events)] == [("nano", Outcome.BROKE_OFF)]
        assert walking.state.error_share(0) > 0
        assert walking.is_idle

    async def test_of_a_caller_who_does_not_read_is_not_the_deployment_s(self) -> None:
        walking = fleet("nano")
        walking.backends["nano"].idle_timeout_s = 1e-9
        read = []
        async with aclosing(walking.answerer.answer(walking.job())) as events:
            async for event in events:
                read.append(event)
                for _ in range(3):  # a timer that ran meanwhile would ring
                    await asyncio.sleep(0)
        assert text_of(read) == "Paris it is."

    @skips_time
    async def test_that_is_short_for_the_deployment_is_no_failure_of_it(self) -> None:
        walking = fleet("nano", "fast", clock=clock)
        walking.state.observe(0, time.monotonic_ns(), ok=True, first_token_s=60.0)
        walking.engines["nano"].script(asyncio.Event(), "never")
        events = await walking.events(walking.job(deadline_s=0.1))
        assert [(each.model, each.reason) for each in tried(events)] == [("nano", "PROVIDER_TIMEOUT")]
        assert walking.state.error_share(0) == 0

    async def test_that_the_caller_has_too_little_time_for_is_no_failure_either(self) -> None:
        walking = fleet("nano")
        walking.state.observe(0, time.monotonic_ns(), ok=True, first_token_s=60.0)
        walking.engines["nano"].script(asyncio.Event(), "never")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await walking.events(walking.job(deadline_s=0.1))
        assert walking.state.error_share(0) == 0

    async def test_after_the_first_token_is_bounded_by_the_deadline_alone(self) -> None:
        walking = fleet("nano", "fast")
        gate = asyncio.Event()
        walking.engines["nano"].script("Par", gate, "is.")
        answer = asyncio.create_task(walking.events(walking.job(deadline_s=0.02)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(answer), 0.1)
        gate.set()
        assert text_of(await answer) == "Paris."

    async def test_of_the_last_one_is_bounded_by_the_deadline_alone(self) -> None:
        walking = fleet("nano")
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, "late")
        answer = asyncio.create_task(walking.events(walking.job(deadline_s=0.02)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(answer), 0.1)
        gate.set()
        assert text_of(await answer) == "late"


async def test_each_try_is_told_once_and_in_order() -> None:
    walking = fleet()
    walking.engines["nano"].script(NotReadyError("starting"))
    walking.engines["fast"].script(EngineLostError("gone"))
    walking.engines["balanced"].script("Lon", StreamBrokenError("cut"))
    walking.engines["premium"].script("don.")
    events = await walking.events(walking.job())
    assert [(each.model, each.outcome) for each in tried(events)] == [
        ("nano", Outcome.FELL_BACK),
        ("fast", Outcome.FELL_BACK),
        ("balanced", Outcome.BROKE_OFF),
    ]
    assert (*tried(events), finished(events).attempts[-1]) == finished(events).attempts
    assert text_of(events) == "London."


STEPS = st.one_of(
    st.just("word "),
    st.just(Chunk("", 1)),
    st.sampled_from([EngineLostError("gone"), StreamBrokenError("cut"), NotReadyError("starting")]),
)


@settings(max_examples=200)
@given(scripts=st.lists(st.lists(STEPS, max_size=4), max_size=5), leaves_after=st.integers(0, 12))
def test_whenever_the_caller_leaves_nothing_is_left(scripts: list[list[object]], leaves_after: int) -> None:
    asyncio.run(_left(scripts, leaves_after))


async def _left(scripts: list[list[object]], leaves_after: int) -> None:
    walking = fleet(
        budgets={"all": {"limit_usd": 1, "period_s": HOUR_S}},
        tenants={"default": {"budget": "all"}},
        retries={"min_wait_s": 1e-6, "max_wait_s": 1e-6},
    )
    for engine, steps in zip(walking.engines.values(), scripts, strict=False):
        engine.script(*steps)  # type: ignore[arg-type]
    before = asyncio.all_tasks()
    events = walking.answerer.answer(walking.job())
    try:
        for _ in range(leaves_after):
            await anext(events)
    except (StopAsyncIteration, TierwayError):
        pass
    await events.aclose()
    assert walking.is_idle
    assert asyncio.all_tasks() == before


async def test_who_leaves_while_the_first_token_is_awaited_leaves_nothing() -> None:
    walking = fleet()
    walking.engines["nano"].script(asyncio.Event(), "never")
    answer = asyncio.create_task(walking.events(walking.job()))
    await until(lambda: bool(walking.engines["nano"].running))
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert walking.is_idle
    assert walking.state.error_share(0) == 0


async def test_who_leaves_while_a_retry_is_waited_for_leaves_nothing() -> None:
    walking = fleet(retries={"min_wait_s": 20.0, "max_wait_s": 20.0})
    walking.engines["nano"].script(ProviderOverloadedError("busy"))
    answer = asyncio.create_task(walking.events(walking.job()))
    await until(lambda: bool(walking.engines["nano"].closed))
    assert walking.is_idle  # nothing is held meanwhile
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert len(walking.engines["nano"].started) == 1

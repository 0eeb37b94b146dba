"""Hedging: a second deployment is asked too when the first is slow to begin; both are paid for, and whoever loses is ended at once."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

import pytest

from tests.server.fleet import five_tiers
from tests.server.granting import HOUR_S, at_once
from tests.server.running import until
from tests.server.skipping import clock, skips_time
from tests.server.walking import Walking, finished, text_of, tried
from tierway_server.backends.base import Chunk, Generation, Tool, Tools
from tierway_server.errors import ContentBlockedError, EngineLostError, ProviderFailedError, StreamBrokenError
from tierway_server.flow.events import Delta, Event, Outcome, Started
from tierway_server.flow.first_token_times import FirstTokenTimes
from tierway_server.flow.job import Job
from tierway_server.telemetry import semconv

ENOUGH = 20
"""Answers after which a deployment's slowest twentieth is known."""
OUTRUN, ANSWERED, FELL_BACK, BROKE_OFF = Outcome.OUTRUN, Outcome.ANSWERED, Outcome.FELL_BACK, Outcome.BROKE_OFF


async def hedging(
    *, answers: int = ENOUGH, clock: Callable[[], float] = time.perf_counter, **sections: object
) -> Walking:
    """A fleet that hedges as often as it may, and whose first choice has answered so often at once."""
    usual = {
        "hedging": {"enabled": True, "max_share": 1.0},
        "retries": {"max_retries": 0},
        "breaker": {"enabled": False},
        "budgets": {"all": {"limit_usd": 1, "period_s": HOUR_S}},
        "tenants": {"default": {"budget": "all"}},
    }
    walking = Walking(five_tiers() | usual | sections, clock=clock)
    for _ in range(answers):
        await walking.events(walking.job())
    return walking


def outcomes(events: list[Event]) -> list[tuple[str, Outcome]]:
    return [(attempt.model, attempt.outcome) for attempt in finished(events).attempts]


async def begun(walking: Walking, *names: str) -> None:
    """Return when these engines work."""
    await until(lambda: all(walking.engines[name].running for name in names))


class TestWhoIsFirst:
    async def test_the_second_answers_when_it_begins_before_the_first(self) -> None:
        walking = await hedging()
        walking.engines["nano"].script(asyncio.Event(), "never")
        events = await walking.events(walking.job())
        assert text_of(events) == "Paris it is."
        assert outcomes(events) == [("nano", OUTRUN), ("fast", ANSWERED)]
        assert [type(event) for event in events[:3]] == [Started, type(events[1]), Delta]
        assert [attempt.model for attempt in tried(events)] == ["nano"]
        assert walking.is_idle
        name = "fast@fast"
        assert walking.counted(semconv.HEDGES, deployment=name, outcome="sent") == 1
        assert walking.counted(semconv.HEDGES, deployment=name, outcome="won") == 1
        assert walking.counted(semconv.ATTEMPTS, deployment="nano@nano", outcome="outrun") == 1

    async def test_the_first_answers_when_it_begins_before_the_second(self) -> None:
        walking = await hedging()
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, "nano's")
        walking.engines["fast"].script(asyncio.Event(), "never")
        answer = asyncio.create_task(walking.events(walking.job()))
        await begun(walking, "nano", "fast")
        gate.set()
        events = await answer
        assert text_of(events) == "nano's"
        assert outcomes(events) == [("fast", OUTRUN), ("nano", ANSWERED)]
        assert walking.is_idle
        assert walking.counted(semconv.HEDGES, deployment="fast@fast", outcome="won") == 0

    async def test_both_are_paid_for(self) -> None:
        walking = await hedging()
        before_picousd = walking.state.spent_picousd(0, 0)
        walking.engines["nano"].script(asyncio.Event(), "never")
        job = walking.job()
        end = finished(await walking.events(job))
        outrun, winner = end.attempts
        nano = walking.table.deployments[0].model
        assert outrun.cost_picousd == job.decision.input_tokens * nano.input_picousd > 0
        assert end.cost_picousd == outrun.cost_picousd + winner.cost_picousd
        assert walking.state.spent_picousd(0, 0) - before_picousd == end.cost_picousd
        assert end.usage.input_tokens > job.decision.input_tokens

    async def test_the_one_that_is_outrun_holds_nobody_up_by_how_long_it_takes_to_end(self) -> None:
        walking = await hedging()
        gate = asyncio.Event()

        async def slow_to_end(generation: Generation) -> AsyncGenerator[Chunk, None]:
            try:
                await asyncio.Event().wait()
                yield Chunk("never", 1)
            finally:
                await gate.wait()

        walking.engines["nano"].generate = slow_to_end  # type: ignore[method-assign]
        events = walking.answerer.answer(walking.job())
        async with asyncio.timeout(10):
            came = [await anext(events) for _ in range(3)]
        assert text_of(came) == "Paris"
        gate.set()
        rest = [event async for event in events]
        assert outcomes(rest) == [("nano", OUTRUN), ("fast", ANSWERED)]
        assert walking.is_idle


class TestFailures:
    async def test_of_the_first_leave_the_answer_to_the_second(self) -> None:
        walking = await hedging()
        gates = {name: asyncio.Event() for name in ("nano", "fast")}
        walking.engines["nano"].script(gates["nano"], EngineLostError("gone"))
        walking.engines["fast"].script(gates["fast"], "fast's")
        answer = asyncio.create_task(walking.events(walking.job()))
        await begun(walking, "nano", "fast")
        gates["nano"].set()
        await until(lambda: not walking.engines["nano"].running)
        gates["fast"].set()
        events = await answer
        assert text_of(events) == "fast's"
        assert outcomes(events) == [("nano", FELL_BACK), ("fast", ANSWERED)]

    async def test_of_the_second_leave_it_to_the_first(self) -> None:
        walking = await hedging()
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, "nano's")
        walking.engines["fast"].script(ProviderFailedError("down"))
        answer = asyncio.create_task(walking.events(walking.job()))
        await until(lambda: bool(walking.engines["fast"].closed))
        gate.set()
        events = await answer
        assert outcomes(events) == [("fast", FELL_BACK), ("nano", ANSWERED)]

    async def test_of_both_leave_it_to_the_rest_of_the_chain(self) -> None:
        walking = await hedging()
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, EngineLostError("gone"))
        walking.engines["fast"].script(ProviderFailedError("down"))
        answer = asyncio.create_task(walking.events(walking.job()))
        await until(lambda: bool(walking.engines["fast"].closed))
        gate.set()
        events = await answer
        assert outcomes(events) == [("fast", FELL_BACK), ("nano", FELL_BACK), ("balanced", ANSWERED)]
        assert walking.is_idle

    async def test_in_the_middle_are_taken_over_by_the_one_that_was_outrun(self) -> None:
        walking = await hedging()
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, "Par", StreamBrokenError("cut"))
        walking.engines["fast"].script(asyncio.Event(), "never")
        walking.engines["fast"].script("is.")
        answer = asyncio.create_task(walking.events(walking.job()))
        await begun(walking, "nano", "fast")
        gate.set()
        events = await answer
        assert text_of(events) == "Paris."
        assert outcomes(events) == [("fast", OUTRUN), ("nano", BROKE_OFF), ("fast", ANSWERED)]

    async def test_of_the_second_at_the_moment_in_which_the_first_begins_are_told_as_such_and_cost_nothing(
        self,
    ) -> None:
        walking = await hedging()
        before_picousd = walking.state.spent_picousd(0, 0)
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, "nano's")
        walking.engines["fast"].script(gate, ProviderFailedError("down"))
        answer = asyncio.create_task(walking.events(walking.job()))
        await begun(walking, "nano", "fast")
        gate.set()
        events = await answer
        assert outcomes(events) == [("fast", FELL_BACK), ("nano", ANSWERED)]
        assert finished(events).attempts[0].cost_picousd == 0
        assert walking.state.spent_picousd(0, 0) - before_picousd == finished(events).cost_picousd
        assert walking.is_idle

    async def test_that_nobody_should_go_around_end_it_although_the_second_is_at_work(self) -> None:
        walking = await hedging()
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, ContentBlockedError("no"))
        walking.engines["fast"].script(asyncio.Event(), "never")
        answer = asyncio.create_task(walking.events(walking.job()))
        await begun(walking, "nano", "fast")
        gate.set()
        with pytest.raises(ContentBlockedError):
            await answer
        assert walking.is_idle

    async def test_that_nobody_should_go_around_end_it_when_the_first_fails_too(self) -> None:
        walking = await hedging()
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, EngineLostError("gone"))
        walking.engines["fast"].script(ContentBlockedError("no"))
        answer = asyncio.create_task(walking.events(walking.job()))
        await until(lambda: bool(walking.engines["fast"].closed))
        gate.set()
        with pytest.raises(ContentBlockedError):
            await answer
        assert not walking.engines["balanced"].started
        assert walking.is_idle


@skips_time
async def test_the_time_that_a_rival_had_is_no_measure_of_it() -> None:
    walking = await hedging(clock=clock)
    for _ in range(ENOUGH):
        gate = asyncio.Event()
        walking.engines["nano"].script(gate, "nano's")
        walking.engines["fast"].script(asyncio.Event(), "never")
        answer = asyncio.create_task(walking.events(walking.job()))
        await begun(walking, "nano", "fast")
        gate.set()
        await answer
    assert walking.hedges.patience_s(walking.job(), 0) is not None
    assert walking.hedges.patience_s(walking.job(), 1) is None


async def alone(walking: Walking, job: Job) -> None:
    """Nobody else is asked while the first is slow."""
    gate = asyncio.Event()
    walking.engines["nano"].script(gate, "late")
    before = len(walking.engines["fast"].started)
    answer = asyncio.create_task(walking.events(job))
    await begun(walking, "nano")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(answer), 0.05)  # longer than any answer took before
    assert len(walking.engines["fast"].started) == before
    gate.set()
    assert outcomes(await answer) == [("nano", ANSWERED)]


class TestNobodyIsAskedBesides:
    @pytest.mark.parametrize(
        "job",
        [
            {"tools": Tools(tools=(Tool(name="now", description="", parameters={}),))},
            {"max_cost_picousd": 10**12},
            {"hedges": False},
            {"asked": {"allow_fallback": False}},
        ],
        ids=["with tools", "with a cost ceiling", "when the caller says so", "without a chain"],
    )
    async def test_for_requests(self, job: dict[str, object]) -> None:
        walking = await hedging()
        await alone(walking, walking.job(**job))  # type: ignore[arg-type]

    async def test_while_too_few_answers_are_known(self) -> None:
        walking = await hedging(answers=ENOUGH - 1)
        await alone(walking, walking.job())

    async def test_unless_the_configuration_or_the_caller_says_so(self) -> None:
        walking = await hedging(hedging={"enabled": False, "max_share": 1.0})
        await alone(walking, walking.job())
        walking.engines["nano"].script(asyncio.Event(), "never")
        assert outcomes(await walking.events(walking.job(hedges=True)))[0] == ("nano", OUTRUN)

    async def test_beyond_a_share_of_the_traffic(self) -> None:
        walking = await hedging(hedging={"enabled": True, "max_share": 0.05})
        walking.engines["nano"].script(asyncio.Event(), "never")
        assert outcomes(await walking.events(walking.job()))[0] == ("nano", OUTRUN)
        await alone(walking, walking.job())

    async def test_who_has_no_room(self) -> None:
        document = five_tiers()
        document["models"][1]["deployments"][0]["limits"] = ["scarce"]
        walking = await hedging(models=document["models"], limits={"scarce": at_once(1)})
        job = walking.job()
        walking.state.take(0, time.monotonic_ns())
        await alone(walking, job)
        assert walking.counted(semconv.HEDGES, deployment="fast@fast", outcome="sent") == 0

    async def test_who_has_no_place_and_no_request_was_shed(self) -> None:
        walking = await hedging()
        job = walking.job()
        for _ in range(walking.backends["fast"].capacity):
            walking.state.begin(1)
        await alone(walking, job)
        assert walking.counted(semconv.QUEUE_SHED, deployment="fast@fast", lane="normal", reason="elsewhere") == 0


class TestLeaving:
    @pytest.mark.parametrize("by", ["closing", "cancelling"])
    async def test_ends_both_at_once(self, by: str) -> None:
        walking = await hedging()
        for name in ("nano", "fast"):
            walking.engines[name].script(asyncio.Event(), "never")
        events = walking.answerer.answer(walking.job())
        assert isinstance(await anext(events), Started)
        waiting = asyncio.create_task(_next(events))
        await begun(walking, "nano", "fast")
        waiting.cancel()
        if by == "closing":
            await asyncio.wait((waiting,))
            await events.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert walking.is_idle


async def _next(events: AsyncGenerator[Event, None]) -> Event:
    return await anext(events)


class TestFirstTokenTimes:
    def test_are_unknown_while_they_are_few(self) -> None:
        times = FirstTokenTimes()
        for _ in range(ENOUGH - 1):
            times.observe(0.1)
        assert times.quantile_s(0.95) is None
        times.observe(0.1)
        assert times.quantile_s(0.95) is not None

    @pytest.mark.parametrize("seconds", [0.001, 0.02, 0.3, 4.0, 50.0])
    def test_are_a_fifth_too_long_at_most(self, seconds: float) -> None:
        times = FirstTokenTimes()
        for _ in range(ENOUGH):
            times.observe(seconds)
        found_s = times.quantile_s(0.95)
        assert found_s is not None
        assert seconds <= found_s <= 1.2 * seconds

    def test_tell_the_slow_from_the_rest(self) -> None:
        times = FirstTokenTimes()
        for number in range(100):
            times.observe(1.0 if number < 10 else 0.1)
        median_s, slow_s = times.quantile_s(0.5), times.quantile_s(0.95)
        assert median_s is not None
        assert slow_s is not None
        assert median_s < 0.2 < 1.0 <= slow_s

    def test_fade(self) -> None:
        times = FirstTokenTimes()
        for seconds in [1.0] * 1_000 + [0.1] * 10_000:
            times.observe(seconds)
        found_s = times.quantile_s(0.95)
        assert found_s is not None
        assert found_s < 0.2

    @pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e9])
    def test_take_anything(self, seconds: float) -> None:
        times = FirstTokenTimes()
        for _ in range(ENOUGH):
            times.observe(seconds)
        assert times.quantile_s(0.95) is not None

"""What a caller is told of its answer's times is what it saw: not when a token came that was held back."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.server.asking import execute, remaining, stream
from tests.server.layered import token
from tests.server.running import serving, until
from tests.server.scrape import scrape, value
from tests.server.test_escalation import GOOD, LOOK_AHEAD, WEAK, fleet
from tests.server.walking import Walking
from tierway_server.backends.base import Chunk, FinishReason, ToolCall, Usage
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Started, Timings
from tierway_server.flow.shown import Shown
from tierway_server.telemetry import semconv
from tierway_server.telemetry.metrics import Metrics

ARRIVED_S, TOKEN_S = 100.0, 101.0


class Caller:
    """One who reads, on a clock of its own; the model's first token came a second after the request."""

    def __init__(self, *, streams: bool = True) -> None:
        self.now_s = TOKEN_S
        self.metrics = Metrics()
        walking = Walking(fleet())
        self.job = walking.job(arrived_s=ARRIVED_S, streams=streams)
        self._shown = Shown(self.job, self.metrics, lambda: self.now_s)

    def sees(self, event: Event, at_s: float) -> Event:
        self.now_s = at_s
        return self._shown.passed(event)

    def is_told(self, at_s: float) -> Timings:
        timings = Timings(0.25, TOKEN_S - ARRIVED_S, 1.5)
        account = Finished(Usage(1, 0, 1), 1, timings, FinishReason.STOP, (Attempt("nano", "nano@nano"),))
        event = self.sees(account, at_s)
        assert isinstance(event, Finished)
        return event.timings


def text(text: str) -> Delta:
    return Delta(Chunk(text, 1))


def test_the_first_character_that_is_let_go_is_the_first_token_and_what_was_held_back_is_told() -> None:
    caller = Caller()
    caller.sees(Started(caller.job.decision), 100.5)
    caller.sees(text("Par"), 103.0)
    caller.sees(text("is"), 104.0)
    assert caller.is_told(105.0) == Timings(0.25, first_token_s=3.0, total_s=5.0, hold_s=2.0)
    assert caller.metrics.registry.get_sample_value(f"{semconv.HELD_SECONDS}_sum") == 2.0


@pytest.mark.parametrize(
    "seen", [text("x"), Delta(Chunk("", 9, tool_calls=(ToolCall("1", "f", "{}"),)))], ids=["text", "tool call"]
)
def test_tokens_without_a_character_are_not_seen(seen: Delta) -> None:
    caller = Caller()
    caller.sees(text(""), 102.0)
    caller.sees(seen, 103.0)
    assert caller.is_told(105.0).hold_s == 2.0


def test_of_an_answer_without_a_character_the_model_s_first_token_is_told() -> None:
    caller = Caller()
    caller.sees(text(""), 102.0)
    assert caller.is_told(105.0) == Timings(0.25, first_token_s=1.0, total_s=5.0, hold_s=0.0)


def test_of_an_answer_that_nobody_reads_along_the_model_s_first_token_is_told() -> None:
    caller = Caller(streams=False)
    caller.sees(text("Paris"), 103.0)
    assert caller.is_told(105.0) == Timings(0.25, first_token_s=1.0, total_s=5.0, hold_s=0.0)
    assert caller.metrics.registry.get_sample_value(f"{semconv.HELD_SECONDS}_count") == 0


async def test_over_the_wire_a_stream_that_was_held_back_says_so() -> None:
    async with serving(fleet(escalation={"enabled": True, "max_share": 1.0, **LOOK_AHEAD})) as server:
        engine, gate = server.engine("fast"), asyncio.Event()
        engine.script(token("a"), token("b"), gate, token("c"), token("d", last=4))
        call = server.router.Stream(stream(min_tier=2))
        await call.read()
        await until(lambda: engine.produced == 2)
        held_s = time.perf_counter()
        await scrape(server)  # something that takes its time
        least_s = time.perf_counter() - held_s
        gate.set()
        timings = (await remaining(call))[-1].finished.timings
        hold, first, total = timings.hold_time, timings.time_to_first_token, timings.total_time
        assert least_s * 1e9 <= hold.ToNanoseconds() <= first.ToNanoseconds() <= total.ToNanoseconds()
        assert value(await scrape(server), f"{semconv.HELD_SECONDS}_count") == 1

        engine.script(*WEAK)
        server.engine("balanced").script(*GOOD)
        reply = await server.router.Execute(execute(min_tier=2))
        assert not reply.timings.HasField("hold_time")
        assert value(await scrape(server), f"{semconv.HELD_SECONDS}_count") == 1

"""Takeover: however often and wherever an answer breaks off, the caller reads each character once."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.fleet import five_tiers
from tests.server.granting import HOUR_S
from tests.server.walking import Walking, finished, text_of, tried
from tierway_server.backends.base import (
    Chunk,
    FinishReason,
    Generation,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    Tools,
    Usage,
)
from tierway_server.errors import ContentBlockedError, InternalError, NotReadyError, StreamBrokenError, TierwayError
from tierway_server.flow.events import Attempt, Delta, Event, Outcome, Tried
from tierway_server.flow.takeover import Transcript
from tierway_server.telemetry import semconv

NASTY = 'né "日本" 😀👩‍👩‍👧 {"a": "\\u00e9"}\n\n'
CALL = ToolCall("call-1", "weather", '{"city": "São Paulo 🌧", "days": [1, 2]}')
TOOLS = Tools(tools=(Tool(name="weather", description="", parameters={}),))


def units_of(text: str) -> list[str]:
    """The UTF-16 code units of a text, which is how providers cut characters in halves."""
    encoded = text.encode("utf-16-le")
    return [encoded[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(encoded), 2)]


class Speaker:
    """Says a text, goes on where another broke off, and breaks off itself after so many units. Made for one generation."""

    def __init__(self, text: str, cut: int | None, *, size: int = 1, call: ToolCall | None = None) -> None:
        self.text = text
        self.cut = cut
        """Units that it says before it breaks off; None: it comes to its end."""
        self.size = size
        """Units in a chunk."""
        self.call = call
        self.heard: Generation | None = None

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        self.heard = generation
        generation.answered.encode()  # whole characters only
        assert self.text.startswith(generation.answered)
        units = units_of(self.text[len(generation.answered) :])
        silent = units_of(self.call.arguments) if self.call else []  # a call that is being made
        said = 0
        for at in range(0, len(units), self.size):
            if self.cut is not None and self.cut < at + self.size:
                raise _cut(said)
            said += 1
            part = "".join(units[at : at + self.size])
            yield Chunk(part, 1, (TokenLogprob(part, -0.5, ()),) if generation.sampling.top_logprobs else ())
        if self.cut is not None and self.cut < len(units) + len(silent):
            raise _cut(said)
        calls = (self.call,) if self.call else ()
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        yield Chunk("", 0, (), reason, Usage(7, 0, said), calls)


def _cut(said: int) -> TierwayError:
    return StreamBrokenError("cut") if said else NotReadyError("cut before the first")


def fleet() -> Walking:
    return Walking(five_tiers() | {"breaker": {"enabled": False}, "retries": {"max_retries": 0}})


FLEET = fleet()


async def answered(speakers: Sequence[Speaker], walking: Walking = FLEET, **job: object) -> list[Event]:
    """What the caller gets of these, one after the other along the chain."""
    for engine, speaker in zip(walking.engines.values(), speakers, strict=False):
        engine.generate = speaker.generate  # type: ignore[method-assign]
    return await walking.events(walking.job(**{"max_tokens": 10_000, **job}))  # type: ignore[arg-type]


def seamless(events: Sequence[Event], text: str) -> None:
    """Each character is there once, every piece is whole, and the seams are where they are said to be."""
    read = ""
    told: list[Attempt] = []
    for event in events:
        if isinstance(event, Delta):
            event.chunk.text.encode()
            read += event.chunk.text
        elif isinstance(event, Tried):
            assert event.attempt.text_characters == len(read)
            told.append(event.attempt)
    assert read == text
    last = finished(events).attempts[-1]
    assert (*told, last) == finished(events).attempts
    assert (last.outcome, last.text_characters) == (Outcome.ANSWERED, len(text))


def logged(events: Sequence[Event]) -> str:
    """The text whose log-probabilities the caller was given."""
    tokens = [entry.token for event in events if isinstance(event, Delta) for entry in event.chunk.logprobs]
    return "".join(tokens).encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("cut", range(len(units_of(NASTY)) + 1))
async def test_a_cut_at_every_position(cut: int, size: int) -> None:
    speakers = [Speaker(NASTY, cut, size=size), Speaker(NASTY, None)]
    events = await answered(speakers, sampling=Sampling(top_logprobs=1))
    seamless(events, NASTY)
    assert logged(events) == NASTY
    assert FLEET.is_idle


@pytest.mark.parametrize("cut", range(len(units_of("I ask. " + CALL.arguments))))
async def test_a_cut_at_every_position_of_a_call(cut: int) -> None:
    text = "I ask. "
    speakers = [Speaker(text, cut, call=CALL), Speaker(text, None, call=CALL)]
    events = await answered(speakers, tools=TOOLS)
    seamless(events, text)
    assert [call for event in events if isinstance(event, Delta) for call in event.chunk.tool_calls] == [CALL]
    assert finished(events).finish_reason is FinishReason.TOOL_CALLS


TEXTS = st.text(st.sampled_from('ab \n"{}éß日😀👩‍\u0301'), max_size=40)


@settings(max_examples=300)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 30), max_size=4), size=st.integers(1, 5), logprobs=st.booleans())
def test_any_number_of_cuts_anywhere(text: str, cuts: list[int], size: int, logprobs: bool) -> None:
    speakers = [Speaker(text, cut, size=size) for cut in (*cuts, None)]
    sampling = Sampling(top_logprobs=1) if logprobs else Sampling()
    events = asyncio.run(answered(speakers, sampling=sampling))
    seamless(events, text)
    assert logged(events) == (text if logprobs else "")


class Stopping(Speaker):
    """One that ends before a stop text, which it looks for in what it says itself; and says what may be its beginning at once."""

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        self.heard = generation
        rest = self.text[len(generation.answered) :]
        ends = [rest.find(stop) + len(stop) for stop in generation.sampling.stop if stop in rest]
        end = min(ends, default=len(rest))
        for at, character in enumerate(rest[:end]):
            if at == self.cut:
                raise _cut(at)
            if at + 1 == end and ends:
                break
            yield Chunk(character, 1)
        yield Chunk("", 0, (), FinishReason.STOP, Usage(7, 0, end))


@settings(max_examples=300)
@given(
    text=st.text(st.sampled_from("END. "), max_size=24),
    stops=st.lists(st.sampled_from(["END", "N.", "DDE", "."]), min_size=1, max_size=3, unique=True),
    cuts=st.lists(st.integers(0, 12), max_size=4),
)
def test_no_stop_text_is_missed_at_a_seam(text: str, stops: list[str], cuts: list[int]) -> None:
    sampling = Sampling(stop=tuple(stops))
    alone = asyncio.run(answered([Stopping(text, None)], sampling=sampling))
    events = asyncio.run(answered([Stopping(text, cut) for cut in (*cuts, None)], sampling=sampling))
    assert text_of(events) == text_of(alone)


def test_text_is_held_back_no_longer_than_it_may_begin_a_stop_text() -> None:
    transcript = Transcript(["END"])
    given = [transcript.passed(Chunk(text, 1)) for text in ("the E", "N", "ding", "E")]
    assert [chunk and (chunk.text, chunk.token_count) for chunk in given] == [("the ", 0), None, ("ENding", 3), None]
    last = transcript.passed(Chunk("N", 1, (), FinishReason.STOP, Usage(1, 0, 5)))
    assert last is not None
    assert (last.text, last.token_count, transcript.text) == ("EN", 2, "the ENdingEN")


def test_half_a_character_that_nothing_follows_is_replaced() -> None:
    transcript = Transcript()
    assert transcript.passed(Chunk("a\ud83d", 1)) == Chunk("a", 0)
    last = transcript.passed(Chunk("", 1, (), FinishReason.LENGTH, Usage(1, 0, 2)))
    assert last is not None
    assert (last.text, last.token_count) == ("\ufffd", 2)


def test_a_stop_text_may_begin_with_a_character_that_comes_in_halves() -> None:
    transcript = Transcript(["😀END"])
    given = [transcript.passed(Chunk(text, 1)) for text in ("a\ud83d", "\ude00", "E", "!")]
    assert [chunk and (chunk.text, chunk.token_count) for chunk in given] == [("a", 0), None, None, ("😀E!", 4)]


def test_halves_that_never_find_each_other_are_no_more_than_their_number() -> None:
    transcript = Transcript()
    given = transcript.passed(Chunk("\ud83d" * 5_000, 1))
    assert given is not None
    assert given.text == "\ufffd" * 4_999


class TestWhatFollows:
    """The rest of an answer is asked for within what is left of it."""

    async def test_is_asked_for_as_many_tokens_as_are_left(self) -> None:
        second = Speaker("abcdef", None)
        events = await answered([Speaker("abcdef", 4), second], max_tokens=10)
        assert second.heard is not None
        assert (second.heard.answered, second.heard.max_tokens) == ("abcd", 6)
        assert finished(events).usage.output_tokens == 4 + 2

    async def test_is_nothing_when_the_last_token_was_said(self) -> None:
        second = Speaker("abcdef", None)
        end = finished(await answered([Speaker("abcdef", 4), second], max_tokens=4))
        assert (end.finish_reason, end.usage.output_tokens) == (FinishReason.LENGTH, 4)
        assert [attempt.outcome for attempt in end.attempts] == [Outcome.ANSWERED]
        assert second.heard is None

    async def test_costs_what_all_of_them_cost(self) -> None:
        walking = fleet()
        end = finished(await answered([Speaker("abcdef", 4), Speaker("abcdef", None)], walking))
        nano, fast = (deployment.model for deployment in walking.table.deployments[:2])
        read = end.usage.input_tokens - 7
        assert read > 0  # estimated: whoever broke off did not say
        costs = (read * nano.input_picousd + 4 * nano.output_picousd, 7 * fast.input_picousd + 2 * fast.output_picousd)
        assert tuple(attempt.cost_picousd for attempt in end.attempts) == costs
        assert end.cost_picousd == sum(costs)

    async def test_is_held_to_what_the_ceiling_leaves(self) -> None:
        second = Speaker("abcdef", None)
        ceiling_picousd = 10**9
        end = finished(await answered([Speaker("abcdef", 4), second], max_cost_picousd=ceiling_picousd))
        assert second.heard is not None
        assert second.heard.cost_ceiling is not None
        assert second.heard.cost_ceiling.max_picousd == ceiling_picousd - end.attempts[0].cost_picousd

    async def test_is_paid_from_the_budget_as_a_whole(self) -> None:
        document = five_tiers() | {
            "budgets": {"all": {"limit_usd": 1, "period_s": HOUR_S}},
            "tenants": {"default": {"budget": "all"}},
        }
        walking = Walking(document)
        end = finished(await answered([Speaker("abcdef", 4), Speaker("abcdef", None)], walking))
        assert walking.state.spent_picousd(0, 0) == end.cost_picousd
        assert walking.is_idle

    async def test_is_nothing_when_the_end_was_said(self) -> None:
        walking = fleet()
        walking.engines["nano"].script(
            Chunk("Paris.", 1, (), FinishReason.STOP, Usage(7, 0, 1)), StreamBrokenError("cut")
        )
        events = await walking.events(walking.job())
        assert text_of(events) == "Paris."
        assert [attempt.outcome for attempt in finished(events).attempts] == [Outcome.ANSWERED]
        assert not walking.engines["fast"].started


class TestNobodyGoesOn:
    """Part of the text was given: whatever happens later, the caller learns that it broke off, and never that trying again is safe."""

    async def test_when_the_chain_is_at_its_end(self) -> None:
        with pytest.raises(StreamBrokenError):
            await answered([Speaker("abcdef", cut) for cut in (1, 1, 1, 1, 1)])
        assert FLEET.is_idle

    async def test_when_those_that_follow_cannot_be_asked(self) -> None:
        with pytest.raises(StreamBrokenError):
            await answered([Speaker("abcdef", cut) for cut in (1, 0, 0, 0, 0)])

    async def test_when_one_that_follows_says_that_nobody_may(self) -> None:
        walking = fleet()
        walking.engines["nano"].script("Par", StreamBrokenError("cut"))
        walking.engines["fast"].script(ContentBlockedError("no"))
        with pytest.raises(StreamBrokenError):
            await walking.events(walking.job())
        assert not walking.engines["balanced"].started

    async def test_when_the_caller_does_not_want_it(self) -> None:
        second = Speaker("abcdef", None)
        with pytest.raises(StreamBrokenError):
            await answered([Speaker("abcdef", 2), second], allow_takeover=False)
        assert second.heard is None

    async def test_when_the_fault_is_ours(self) -> None:
        walking = fleet()
        walking.engines["nano"].script("Par", InternalError("a fault"))
        with pytest.raises(InternalError, match="a fault"):
            await walking.events(walking.job())
        assert not walking.engines["fast"].started

    async def test_when_the_server_goes_down(self) -> None:
        walking = fleet()
        walking.drain.is_draining = True
        with pytest.raises(StreamBrokenError):
            await answered([Speaker("abcdef", 2), Speaker("abcdef", None)], walking)


class TestJson:
    """An engine holds a text to a schema from its beginning only."""

    WHOLE = json.dumps({"city": "São Paulo", "days": [1, 2]}, ensure_ascii=False)

    async def test_the_rest_is_not_held_to_the_schema_and_checked_at_the_end(self) -> None:
        second = Speaker(self.WHOLE, None)
        events = await answered([Speaker(self.WHOLE, 9), second], json_schema={"type": "object"})
        assert second.heard is not None
        assert second.heard.json_schema is None
        seamless(events, self.WHOLE)

    async def test_what_is_none_in_the_end_has_broken_off(self) -> None:
        with pytest.raises(StreamBrokenError):
            await answered(
                [Speaker(self.WHOLE, 9), Speaker(self.WHOLE + " That is it.", None)], json_schema={"type": "object"}
            )

    async def test_what_is_no_object_has_broken_off_where_any_object_was_asked_for(self) -> None:
        with pytest.raises(StreamBrokenError):
            await answered([Speaker("[1, 2]", 2), Speaker("[1, 2]", None)], json_schema={})

    async def test_what_does_not_fit_the_schema_in_the_end_has_broken_off(self) -> None:
        needs_country = {"type": "object", "required": ["city", "country"]}
        with pytest.raises(StreamBrokenError, match="JSON that was asked for"):
            await answered([Speaker(self.WHOLE, 9), Speaker(self.WHOLE, None)], json_schema=needs_country)

    async def test_what_one_wrote_alone_is_its_engine_s_affair(self) -> None:
        needs_country = {"type": "object", "required": ["country"]}
        seamless(await answered([Speaker(self.WHOLE, None)], json_schema=needs_country), self.WHOLE)

    async def test_begun_anew_it_is_held_to_the_schema(self) -> None:
        walking = fleet()
        walking.engines["nano"].script(Chunk("", 1), StreamBrokenError("cut"))
        second = Speaker(self.WHOLE, None)
        walking.engines["fast"].generate = second.generate  # type: ignore[method-assign]
        seamless(await walking.events(walking.job(json_schema={})), self.WHOLE)
        assert second.heard is not None
        assert second.heard.json_schema == {}


async def test_leaves_a_line_in_the_log_and_a_number(caplog: pytest.LogCaptureFixture) -> None:
    walking = fleet()
    caplog.set_level(logging.INFO, "tierway_server.flow.answer")
    await answered([Speaker("abcdef", 2), Speaker("abcdef", None)], walking)
    [line] = caplog.records
    told = (line.message, line.deployment, line.by, line.text_characters)  # type: ignore[attr-defined]
    assert told == ("taken over", "nano@nano", "fast@fast", 2)
    assert walking.counted(semconv.TAKEOVERS, model="nano", reason="ENGINE_LOST") == 1
    assert walking.counted(semconv.FALLBACKS, model="nano", reason="ENGINE_LOST") == 0
    assert walking.counted(semconv.ANSWERS, model="fast") == 1
    assert [walking.counted(semconv.TOKENS, model=name, direction="output") for name in ("nano", "fast")] == [2, 4]


async def test_who_fails_before_its_part_is_told_of_like_any_other() -> None:
    events = await answered([Speaker("abcdef", 2), Speaker("abcdef", 0), Speaker("abcdef", None)])
    assert [(each.outcome, each.text_characters) for each in tried(events)] == [
        (Outcome.BROKE_OFF, 2),
        (Outcome.FELL_BACK, 2),
    ]
    seamless(events, "abcdef")

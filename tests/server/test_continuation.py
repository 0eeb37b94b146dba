"""Going on with an answer that broke off: what is asked, and what of the reply is passed on."""

import itertools
from collections.abc import AsyncGenerator, Iterable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tierway_server.backends.base import Chunk, FinishReason, Message, Role, TokenLogprob, Usage
from tierway_server.backends.continuation import (
    INSTRUCTION,
    LEAST_END_CHARACTERS,
    LEAST_WHOLE_CHARACTERS,
    Continuation,
    asked_to_continue,
    continued,
)

QUESTION = (Message(Role.SYSTEM, "Be brief"), Message(Role.USER, "Where is Paris?"))
ANSWERED = "Paris is the capital of France, and lies on the"

# Few letters, so that repetitions of all kinds come about by chance; and any text at all.
words = st.text(alphabet="ab \n", max_size=60) | st.text(max_size=60)


def passed_on(answered: str, pieces: Iterable[str]) -> str:
    continuation = Continuation(answered)
    return "".join(map(continuation.take, pieces)) + continuation.end()


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(bounds)]


def repeated_characters(answered: str, reply: str) -> int:
    """The rules, written down plainly: the longest beginning of the reply that says the text so far, or its end, again."""
    for start in range(len(answered)):
        again = answered[start:]
        least = LEAST_END_CHARACTERS if start else LEAST_WHOLE_CHARACTERS
        if len(again) >= least and reply.startswith(again):
            return len(again)
    return len(reply) if len(reply) >= LEAST_END_CHARACTERS and answered.startswith(reply) else 0


def test_the_text_so_far_becomes_the_assistants_turn_and_the_rest_is_asked_for() -> None:
    asked = asked_to_continue(QUESTION, ANSWERED)
    assert asked == (*QUESTION, Message(Role.ASSISTANT, ANSWERED), Message(Role.USER, INSTRUCTION))


def test_what_the_whole_must_satisfy_is_said_in_words() -> None:
    *_, last = asked_to_continue(QUESTION, '{"city": "Pa', {"type": "object", "required": ["city"]})
    assert last.text.startswith(INSTRUCTION)
    assert last.text.endswith('{"type": "object", "required": ["city"]}')


@pytest.mark.parametrize("answered", ["", " ", "\n\n"])
def test_after_nothing_that_can_be_seen_the_question_itself_is_asked(answered: str) -> None:
    assert asked_to_continue(QUESTION, answered) == QUESTION


@given(words, words, st.lists(st.integers(0, 200), max_size=8))
def test_what_is_passed_on_follows_the_rules_however_the_reply_is_cut(
    answered: str, reply: str, places: list[int]
) -> None:
    assert passed_on(answered, cut(reply, places)) == reply[repeated_characters(answered, reply) :]


@given(words, words, st.lists(st.integers(0, 200), max_size=8))
def test_a_reply_that_goes_on_is_passed_on_character_for_character(
    answered: str, reply: str, places: list[int]
) -> None:
    assume(not repeated_characters(answered, reply))
    assert passed_on(answered, cut(reply, places)) == reply


@given(st.text(min_size=LEAST_WHOLE_CHARACTERS), st.text(min_size=1), st.lists(st.integers(0, 200), max_size=8))
def test_a_reply_that_begins_again_is_cut_where_the_text_ended(answered: str, rest: str, places: list[int]) -> None:
    assert passed_on(answered, cut(answered + rest, places)) == rest


@given(
    st.text(),
    st.text(min_size=LEAST_END_CHARACTERS, max_size=40),
    st.text(min_size=1),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_a_reply_that_repeats_the_last_words_is_cut_where_the_text_ended(
    beginning: str, end: str, rest: str, places: list[int]
) -> None:
    assume(repeated_characters(beginning + end, end + rest) == len(end))  # no longer repetition by chance
    assert passed_on(beginning + end, cut(end + rest, places)) == rest


@pytest.mark.parametrize(
    ("answered", "reply"),
    [
        ("ha ha ", "ha ha"),
        ("He laughed: ha ha ha ", "ha ha ha ha"),
        ("New York, New", " York"),
        ("a" * 40, "a" * (LEAST_END_CHARACTERS - 1)),
        ("1, 1, 2, 3", ", 5, 8"),
        ("The", "The capital"),
    ],
)
def test_what_repeats_too_little_to_be_sure_of_is_passed_on(answered: str, reply: str) -> None:
    assert passed_on(answered, reply) == reply


def test_a_reply_is_held_back_only_while_it_repeats() -> None:
    continuation = Continuation(ANSWERED)
    taken = [continuation.take(piece) for piece in ("Paris is", " the capital", " of Italy.", " Paris", " is the")]
    assert taken == ["", "", "Paris is the capital of Italy.", " Paris", " is the"]
    assert not continuation.end()


def test_a_reply_that_begins_again_and_ends_too_early_says_nothing() -> None:
    assert not passed_on(ANSWERED, ["Paris is the ", "capital"])


def test_a_long_text_that_is_one_repetition_is_cut_as_any() -> None:
    answered = "ab" * 200_000
    assert passed_on(answered, [answered, "c"]) == "c"
    assert passed_on(answered, ["ab" * 8, "d"]) == "d"


async def chunks(*pieces: str) -> AsyncGenerator[Chunk, None]:
    for piece in pieces:
        yield Chunk(piece, 1, (TokenLogprob(piece, -0.5, ()),))
    yield Chunk("", 0, finish_reason=FinishReason.STOP, usage=Usage(7, 0, len(pieces)))


async def test_what_is_held_back_joins_the_next_chunk_and_its_tokens_count() -> None:
    first, second, last = [each async for each in continued(chunks("Paris is", " in", " France"), ANSWERED)]
    assert [(each.text, each.token_count) for each in (first, second, last)] == [
        ("Paris is in", 2),
        (" France", 1),
        ("", 0),
    ]


async def test_tokens_of_which_nothing_is_passed_on_have_no_log_probability() -> None:
    pieces = ("Paris is the capital", " of France, and lies on", " the Sei", "ne")
    first, second, last = [each async for each in continued(chunks(*pieces), ANSWERED)]
    assert [first.text, second.text, last.text] == [" Sei", "ne", ""]
    assert (first.token_count, [each.token for each in first.logprobs]) == (3, [" the Sei"])
    assert (second.token_count, [each.token for each in second.logprobs]) == (1, ["ne"])
    assert last.usage == Usage(7, 0, 4)


async def test_what_is_still_held_back_comes_with_the_last_chunk() -> None:
    [last] = [each async for each in continued(chunks("capital"), ANSWERED)]
    assert (last.text, last.token_count, last.finish_reason) == ("capital", 1, FinishReason.STOP)

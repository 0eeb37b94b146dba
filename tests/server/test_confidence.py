"""How sure an answer seems: from log-probabilities, and from its words where there are none."""

from __future__ import annotations

import pytest

from tests.server.layered import SURE, UNSURE, token
from tierway_core import Complexity
from tierway_server.backends.base import Chunk, ToolCall
from tierway_server.flow.confidence import JUDGED_TOKENS, SHORT, UNCERTAIN, Impression, Sign, Verdict, confidence

PRIOR = 0.85


def judged(
    *chunks: Chunk, base: Complexity = Complexity.SIMPLE, is_whole: bool = True, is_free: bool = True
) -> Verdict | None:
    impression = Impression(PRIOR)
    for chunk in chunks:
        impression.came(chunk)
    return impression.verdict(base, is_whole=is_whole, is_free=is_free)


def said(text: str) -> Chunk:
    return Chunk(text, 1)


def test_who_is_sure_of_every_token_is_above_the_prior_and_who_guesses_below() -> None:
    sure, unsure = judged(*[token("a", SURE)] * 8), judged(*[token("a", UNSURE)] * 8)
    assert sure is not None
    assert unsure is not None
    assert sure.sign is unsure.sign is Sign.LOGPROBS
    assert unsure.confidence < 0.3 < PRIOR < sure.confidence < 1


def test_confidence_grows_with_the_log_probability_and_with_the_prior() -> None:
    logprobs = [-50.0, -3.0, -1.0, -0.5, 0.0]
    assert sorted(confidence(each, 0.5) for each in logprobs) == [confidence(each, 0.5) for each in logprobs]
    assert confidence(-1.0, 0.5) < confidence(-1.0, 0.9)
    assert 0.0 < confidence(-1e9, 0.01) < confidence(0.0, 0.99) < 1.0


def test_one_hesitation_of_a_few_tokens_tells_wherever_it_is() -> None:
    hesitating = judged(*[token("a", SURE)] * 10, *[token("b", UNSURE)] * 4, *[token("a", SURE)] * 10)
    assert hesitating is not None
    assert hesitating.confidence == pytest.approx(confidence(UNSURE, PRIOR))


def test_a_single_unlikely_token_weighs_as_a_part_of_its_window() -> None:
    verdict = judged(*[token("a", 0.0)] * 6, token("b", -4.0), *[token("a", 0.0)] * 6)
    assert verdict is not None
    assert verdict.confidence == pytest.approx(confidence(-1.0, PRIOR))


def test_an_answer_shorter_than_a_window_is_its_own_window() -> None:
    verdict = judged(token("a", -1.0), token("b", -3.0))
    assert verdict is not None
    assert verdict.confidence == pytest.approx(confidence(-2.0, PRIOR))


def test_tokens_beyond_those_that_are_judged_change_nothing_so_long_answers_are_not_weaker_for_their_length() -> None:
    begun = [token("a", SURE)] * JUDGED_TOKENS
    assert judged(*begun) == judged(*begun, *[token("b", UNSURE)] * 100)


def test_how_tokens_are_put_into_chunks_does_not_matter() -> None:
    alone = [token("a", SURE), *[token("b", UNSURE)] * 3, token("c", -1.0)]
    together = Chunk("abbbc", 5, tuple(each.logprobs[0] for each in alone))
    assert judged(*alone) == judged(together)


@pytest.mark.parametrize(
    "text",
    [
        "I'm not sure, but it may be Paris.",
        "I\u2019m not entirely sure what you mean.",
        "Sorry, I don't know.",
        "As an AI language model, I have no opinion.",
        "I am an AI and have no body.",
        "I cannot answer that question.",
        "Das weiß niemand. Ich weiß es leider nicht.",
        "Je ne sais pas.",
        "Lo siento, no lo sé.",
        "Não sei dizer.",
        "Mi dispiace, non lo so.",
        "Увы, я не знаю.",
        "对不起。我不知道。",
        "申し訳ありませんが、わかりません。",
        "잘 모르겠습니다.",
    ],
)
def test_who_says_that_it_does_not_know_is_not_believed_however_sure_its_tokens_are(text: str) -> None:
    assert judged(said(text)) == Verdict(UNCERTAIN, Sign.UNCERTAIN)
    assert judged(token(text, SURE)) == Verdict(UNCERTAIN, Sign.UNCERTAIN)


@pytest.mark.parametrize(
    "text",
    [
        "Paris.",
        "An aid for the deaf, as an aide said.",
        "I know that one.",
        "Sure!",
        "The pilot was certain of his way.",
        "x" * 300 + " I don't know.",
    ],
)
def test_who_does_not_say_so_is_not_judged_by_words(text: str) -> None:
    assert judged(said(text)) is None


def test_a_very_short_answer_is_weak_for_a_complex_query_only_and_only_once_it_has_ended() -> None:
    short = said("Use a queue.")
    assert judged(short, base=Complexity.COMPLEX) == Verdict(SHORT, Sign.SHORT)
    assert judged(short, base=Complexity.MODERATE) is None
    assert judged(short, base=Complexity.COMPLEX, is_whole=False) is None
    assert judged(said("x" * 50), base=Complexity.COMPLEX) is None


def test_log_probabilities_speak_for_a_short_answer() -> None:
    verdict = judged(token("Use a queue.", SURE), base=Complexity.COMPLEX)
    assert verdict is not None
    assert verdict.sign is Sign.LOGPROBS


def test_an_answer_of_a_stated_form_may_be_short_and_say_anything() -> None:
    assert judged(said('{"answer": "I don\'t know"}'), base=Complexity.COMPLEX, is_free=False) is None


def test_an_empty_answer_is_no_answer_and_one_that_calls_a_tool_is_one() -> None:
    assert judged(said(" \n")) == Verdict(0.0, Sign.EMPTY)
    assert judged(said(" \n"), is_whole=False) is None
    assert judged(Chunk("", 1, tool_calls=(ToolCall("c", "f", "{}"),))) is None

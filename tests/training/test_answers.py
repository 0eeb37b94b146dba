"""The calibration of confidence: on questions whose answers are known, and on answers made by a known rule."""

import numpy as np
import pytest
from answers import FIGURES, Answer, calibration_error, fitted, within_kinds
from questions import Question, questions


def test_questions_are_many_of_their_kinds_unlike_and_always_the_same():
    asked = questions()

    assert len(asked) > 400
    assert len({question.kind for question in asked}) > 10
    assert [question.text for question in asked] == [question.text for question in questions()]
    assert not [question for question in asked if "{" in question.text or not question.right]


@pytest.mark.parametrize(
    ("right", "answer", "is_right"),
    [
        ("Paris", "The capital of France is Paris.", True),
        ("Paris", "It is paris, of course", True),
        ("Paris", "The Parisian way", False),
        ("Paris", "Lyon.\n\nBut then\nParis", False),
        ("12", "3 + 9 = 12.", True),
        ("12", "3 + 9 = 12.5", False),
        ("12", "3 + 9 = 112", False),
        ("1200", "It is 1,200.", True),
        ("7|seven", "There are Seven days", True),
        ("Au", "Gold (Au)", True),
        ("Au", "August", False),
    ],
)
def test_an_answer_is_right_when_it_says_so_in_a_word_of_its_own(right: str, answer: str, is_right: bool):
    assert Question("kind", "What?", right).is_right(answer) is is_right


def test_the_lowest_window_is_the_mean_of_the_worst_four_tokens_in_a_row():
    answer = Answer("kind", True, [0.0, 0.0, -4.0, 0.0, 0.0, -9.0], [])

    assert FIGURES["lowest window"](answer, 5) == pytest.approx(-1.0)
    assert FIGURES["lowest window"](answer, 6) == pytest.approx(-13 / 4)
    assert FIGURES["lowest window"](answer, 2) == 0.0


def test_a_fit_finds_the_rule_that_the_outcomes_were_drawn_by():
    chance = np.random.default_rng(0)
    figures = chance.uniform(-3, 0, 20_000)
    probability = 1 / (1 + np.exp(-(1.5 + 1.2 * figures)))
    right = (chance.random(20_000) < probability).astype(float)

    assert fitted(figures, right) == pytest.approx((1.5, 1.2), abs=0.08)
    assert calibration_error(probability, right) < 0.02
    assert calibration_error(1 - probability, right) > 0.1


def test_within_kinds_what_only_knows_the_kind_tells_nothing():
    kinds = ["easy"] * 50 + ["hard"] * 50
    right = np.array([1.0] * 45 + [0.0] * 5 + [1.0] * 5 + [0.0] * 45)

    assert within_kinds(np.array([1.0] * 50 + [0.0] * 50), right, kinds) == 0.5
    assert within_kinds(right, right, kinds) == 1.0

import pytest

from tierway_core import Complexity

WORD = "word "
PLAIN_CODE = "python"
PLANNING = "roadmap"


@pytest.mark.parametrize(
    ("text", "complexity"),
    [
        ("", Complexity.TRIVIAL),
        (WORD * 9, Complexity.TRIVIAL),
        (WORD * 10, Complexity.SIMPLE),
        (WORD * 50, Complexity.SIMPLE),
        (WORD * 51, Complexity.MODERATE),
        (WORD * 200, Complexity.MODERATE),
        (WORD * 201, Complexity.COMPLEX),
        (PLAIN_CODE, Complexity.MODERATE),
        (PLANNING, Complexity.MODERATE),
        (f"{PLANNING} {PLAIN_CODE}", Complexity.COMPLEX),
        (f"{PLAIN_CODE} {WORD * 199}", Complexity.MODERATE),
        (f"{PLAIN_CODE} {WORD * 200}", Complexity.COMPLEX),
        ("字" * 18, Complexity.TRIVIAL),
        ("字" * 19, Complexity.SIMPLE),
        ("字" * 101, Complexity.MODERATE),
        ("字" * 401, Complexity.COMPLEX),
    ],
)
def test_the_class_follows_words_code_and_planning(decide, text, complexity):
    decision = decide(text)
    assert decision.complexity is decision.base is complexity
    assert decision.floor == decision.tier == int(complexity)


@pytest.mark.parametrize(("text", "base"), [("a photo", Complexity.TRIVIAL), ("photo " * 60, Complexity.MODERATE)])
def test_speaking_of_images_is_vision_with_the_floor_of_the_base_class(decide, text, base):
    decision = decide(text)
    assert (decision.complexity, decision.base, decision.floor) == (Complexity.VISION, base, int(base))


def test_an_image_makes_vision_with_the_floor_of_the_base_class(decide):
    decision = decide("hi", has_image=True)
    assert (decision.complexity, decision.base, decision.floor, decision.tier) == (
        Complexity.VISION,
        Complexity.TRIVIAL,
        1,
        4,
    )


def test_text_that_is_not_judged_counts_for_the_estimate_only(decide):
    decision = decide("hi", extra_input_tokens=1000)
    assert (decision.complexity, decision.input_tokens) == (Complexity.TRIVIAL, 1001)

import pytest

from tierway_core.terms import build_terms, parse_term
from tierway_core.text import tokens
from tierway_core.vocabulary import BUILT_IN, Category


def test_tokens_are_lower_cased_in_ascii_only():
    assert list(tokens("Don't STOP_it, Ünïcode-Élan…2x «ok»　全角")) == [
        "don",
        "t",
        "stop_it",
        "Ünïcode",
        "Élan",
        "2x",
        "ok",
        "全角",
    ]


@pytest.mark.parametrize("term", ["", "...", "one two three four five"])
def test_a_term_has_one_to_four_words(term):
    with pytest.raises(ValueError, match="1 to 4 words"):
        parse_term(term)


def test_no_built_in_term_is_listed_twice_in_a_category():
    for terms in BUILT_IN.values():
        parsed = [parse_term(term) for term in terms]
        assert len(parsed) == len(set(parsed))


def test_a_term_may_be_of_two_categories():
    assert build_terms(["Screenshot"])["screenshot",] == Category.VISION | Category.GOVERNANCE


@pytest.mark.parametrize(
    "text",
    [
        "screenshot", "Images", "the visual, please", "diagram", "charts", "a picture", "photo!", "PHOTOS", "UI mock-up", "ui mockups",
        "(ui) mock ups",
    ],
)  # fmt: skip
def test_words_for_images_are_vision_terms(extract, text):
    assert extract(text).vision


@pytest.mark.parametrize(
    "text",
    ["imagery", "charter", "photosynthesis", "picturesque", "mock-up", "ui", "visually", "image_size", "Überchart"],
)
def test_words_that_only_look_so_are_not(extract, text):
    assert not extract(text).vision


def test_every_occurrence_counts(extract):
    assert extract("image, image and picture").vision_terms == 3


def test_overlapping_terms_all_count(extract):
    terms = ["a", "a b", "b c", "a b c d"]
    assert extract("a b c d", terms).governance_terms == 4
    assert extract("a a b c", terms).governance_terms == 4


def test_a_term_does_not_match_in_part_or_in_another_order(extract):
    terms = ["constitutional ai", "four words are enough"]
    assert not extract("ai constitutional, constitutional. four words are", terms).governance
    assert extract("CONSTITUTIONAL\n  AI", terms).governance
    assert extract("x four words are enough", terms).governance


def test_governance_terms_may_be_of_any_script(extract):
    assert extract("Вопрос: конституция", ["конституция"]).governance
    assert extract("헌법 질문", ["헌법"]).governance


@pytest.mark.parametrize(
    "text",
    [
        "Write a Python function that reverses a list",
        "```\nx\n```",
        "fix this bug in my code",
        "SELECT name FROM users WHERE id == 1; -- sql",
        "for (int i = 0; i < n; ++i) {\n  total += get(i);\n}",
        "if (a != b && c() || d()) {\n",
        "const add = (a, b) => a + b;\nadd(1, 2);\n",
        "std::vector<int> v;\nv.push_back(1);\n",
        "<div><br/></div>",
        "Explain regular expressions",
    ],
)
def test_code_is_seen(extract, text):
    assert extract(text).code


@pytest.mark.parametrize(
    "text",
    [
        "see (e.g. below); thanks",
        "What is the function of the liver?",
        "The item(s) and box(es) listed; nothing more.",
        "Dear all,\nplease note the following;\nthanks",
        "A -> B",
        "Title\n=====\nbody --> end",
        "f(x) = 2x, and P(A) = 0.5",
        "It costs 5 != 6 dollars",
        "The penal code of 1910",
        "`quoted` and ``twice``",
        "a | b | c",
        "Note:: this",
    ],
)
def test_a_stray_mark_or_hint_is_not_code(extract, text):
    assert not extract(text).code


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("name(", 1), ("n(", 0), ("name(s)", 0), ("name(es)", 0), ("name(e)", 1), ("name(s", 1), ("name (", 0), ("é1(", 0),
        (";", 1), ("; ", 0), (";\r\n{\n{", 3), (";;", 1),
        ("a==b", 1), ("a===b", 1), ("a====b", 0), ("!=", 1), ("!==", 2), ("=>", 1), ("->", 1), ("-->", 0), ("==>", 1), ("-=>", 1),
        ("+=*=-=", 3), ("::", 1), (":::", 0), ("&&||", 2), ("</a", 1), ("</1", 0), ("/>", 1), ("</>", 1),
        ("```", 4), ("``````", 4), ("``` ```", 8), ("``", 0), ("\x00(", 0), ("aa(\x00", 1),
    ],
)  # fmt: skip
def test_marks_score(extract, text, score):
    assert extract(text).code_score == score


@pytest.mark.parametrize("text", ["Plan me a 6-day trip", "explain step by step", "a project roadmap", "Step-by-step"])
def test_planning_is_seen(extract, text):
    assert extract(text).planning


@pytest.mark.parametrize("text", ["a plane", "step by a step", "explain it"])
def test_planning_is_not_seen_where_it_is_not(extract, text):
    assert not extract(text).planning


@pytest.mark.parametrize("text", ["Solve the equation", "∫ x dx", r"\frac{1}{2}"])
def test_mathematics_is_seen(extract, text):
    assert extract(text).math

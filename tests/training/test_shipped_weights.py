from importlib.resources import as_file, files

import pytest

from tierway_core.assessment import assess
from tierway_core.weights import Weights


@pytest.fixture(scope="module")
def weights():
    return Weights.default()


def test_they_are_under_three_megabytes():
    with as_file(files("tierway_core") / "data" / "classifier.weights") as path:
        assert path.stat().st_size < 3_000_000


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("What is a hash table?", "SIMPLE"),
        ("Explain how virtual memory works", "MEDIUM"),
        ("Design a payment platform with fraud detection, reconciliation, tokenization, and audit logging.", "COMPLEX"),
        ("Prove that there are infinitely many prime numbers.", "REASONING"),
        ("Co to jest Kubernetes?", "SIMPLE"),
        ("Wyjaśnij, jak działa pamięć wirtualna", "MEDIUM"),
        ("素数が無限に存在することを証明してください。", "REASONING"),
        ("분산 시스템을 설계하세요. 합의, 샤딩, 복제, 모니터링을 포함하세요.", "COMPLEX"),
    ],
)
def test_labels_in_several_languages(weights, text, label):
    assert assess(weights, text).label == label


def test_olympiad_mathematics_is_harder_than_adding_up(weights):
    adding = assess(weights, "Tom has 3 apples and buys 4 more. How many apples does he have?")
    olympiad = assess(
        weights,
        "Let $p$ be an odd prime. Determine all integers $n$ for which $\\sum_{k=1}^{p-1} k^{n}$ is divisible by $p^2$, "
        "and find the number of such $n$ below $p^3$.",
    )

    assert olympiad.difficulty > adding.difficulty
    assert (adding.domain, olympiad.domain) == ("mathematics", "mathematics")


@pytest.mark.parametrize("text", ["zxq vkj wqpp rrt bnmz", "ქართული ენა ძალიან ლამაზია", "", "x" * 200_000])
def test_what_training_has_not_seen_is_not_trusted(weights, text):
    assert assess(weights, text).confidence < 0.5

"""Retries and hedging: what is refused, by the exact line."""

from __future__ import annotations

import pytest

from tierway_server.config import parse


@pytest.mark.parametrize(
    ("section", "stated", "problem"),
    [
        ("retries", {"max_retries": 11}, "retries.max_retries: must be at most 10"),
        ("retries", {"min_wait_s": 0}, "retries.min_wait_s: must be above 0"),
        ("retries", {"min_wait_s": 3}, "retries.max_wait_s: must be at least min_wait_s, which is 3"),
        ("retries", {"max_share": 1.5}, "retries.max_share: must be at most 1"),
        ("retries", {"max_retry": 1}, 'retries.max_retry: unknown key; did you mean "max_retries"?'),
        ("hedging", {"quantile": 1}, "hedging.quantile: must be below 1"),
        ("hedging", {"quantile": 0.4}, "hedging.quantile: must be at least 0.5"),
        ("hedging", {"max_share": -1}, "hedging.max_share: must be at least 0"),
    ],
)
def test_each_mistake_is_named(small, problems, section, stated, problem):
    assert problems(small | {section: stated}) == [problem]


def test_by_default_it_is_asked_again_but_nobody_besides(small):
    config = parse(small)
    assert config.retries.max_retries == 2
    assert not config.hedging.enabled

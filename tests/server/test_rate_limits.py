"""What header fields and errors say of rate limits, in the forms in use."""

from __future__ import annotations

import pytest

from tierway_server.backends.rate_limits import MOST_S, exhausted_s, retry_after_s, retry_info_s

NOW_S = 1_760_000_000.0


@pytest.mark.parametrize(
    ("fields", "expected_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "3600"}, MOST_S),
        ({"retry-after": "Thu, 09 Oct 2025 08:53:30 GMT"}, 10.0),
        ({"retry-after": "Thu, 09 Oct 2025 08:53:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s"}, 6.0),
    ],
)
def test_when_to_come_again(fields: dict[str, str], expected_s: float | None) -> None:
    assert retry_after_s(fields, lambda: NOW_S) == expected_s


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("1s", 1.0),
        ("6m0s", MOST_S),  # six minutes
        ("1m30s", 90.0),
        ("2m59.56s", 179.56),
        ("7.66s", 7.66),
        ("120ms", 0.12),
        ("1h", MOST_S),
        ("500µs", 5e-4),  # as Go writes it
        ("30", 30.0),
        (str(NOW_S + 12), 12.0),
        (str(int(NOW_S + 12) * 1_000), 12.0),
        ("2025-10-09T08:53:50Z", 30.0),
        ("", None),
        ("1x", None),
    ],
)
def test_until_when_nothing_is_left(text: str, expected_s: float | None) -> None:
    fields = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": text}
    waits_s = exhausted_s(fields, lambda: NOW_S)
    assert waits_s == (None if expected_s is None else pytest.approx(expected_s))


def test_the_longest_of_several_counts_and_what_is_left_does_not() -> None:
    fields = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "5s",
        "x-ratelimit-remaining": "12",
        "x-ratelimit-reset": "60",
    }
    assert exhausted_s(fields, lambda: NOW_S) == 5.0


@pytest.mark.parametrize(
    ("details", "expected_s"),
    [
        (None, None),
        ("36s", None),
        ([], None),
        ([7, {"retryDelay": 36}, {"retryDelay": "soon"}], None),
        ([{"links": []}, {"retryDelay": "36.5s"}], 36.5),
        ([{"retryDelay": "86400s"}], MOST_S),
    ],
)
def test_google_tells_in_an_error_s_details(details: object, expected_s: float | None) -> None:
    assert retry_info_s({"details": details}) == expected_s
    assert retry_info_s(details) is None

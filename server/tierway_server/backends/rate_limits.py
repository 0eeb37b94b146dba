"""What a provider says of its rate limits, in header fields or in an error: when to come again, and that nothing is left until then."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_S = 300.0
"""Longer waits are not believed: a deployment is asked again after this long at the latest."""

_UNIT_S = {
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}  # Go writes it so
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|ns|d|h|m|s)")  # likewise
_NUMBER = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,9})?")

_LIMITS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
)
"""Which field tells how much is left, and which one until when."""


def retry_after_s(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return in how many seconds the provider wants to be asked again, at most `MOST_S`; None where it does not say.

    Args:
        headers: names in lower case.
        now: Unix time, in seconds.

    """
    if (text := headers.get("retry-after-ms")) and _NUMBER.fullmatch(text.strip()):
        return min(float(text) / 1_000, MOST_S)
    if (text := headers.get("retry-after")) and (seconds := _seconds(text, now)) is not None:
        return seconds
    return exhausted_s(headers, now)


def retry_info_s(report: object, now: Callable[[], float] = time.time) -> float | None:
    """Return the same of an error as Google reports it, in a `google.rpc.RetryInfo` among its details: it sends no header field."""
    details = report.get("details") if isinstance(report, Mapping) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, Mapping) else None
        if isinstance(delay, str) and (seconds := _seconds(delay, now)) is not None:
            return seconds
    return None


def exhausted_s(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return for how many seconds a limit has nothing left, at most `MOST_S`; None while all of them have something."""
    waits_s = [
        wait_s
        for remaining, reset in _LIMITS
        if headers.get(remaining, "").strip() == "0" and (wait_s := _seconds(headers.get(reset, ""), now)) is not None
    ]
    return max(waits_s, default=None)


def _seconds(text: str, now: Callable[[], float]) -> float | None:
    """How long a text says: `12`, `0.5`, `6m0s`, `7.66s`, `120ms`, an HTTP or ISO date, or Unix time in seconds or milliseconds."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number > 1e11:  # OpenRouter's
            number = number / 1_000 - now()
        elif number > 1e9:
            number -= now()
        seconds = number
    elif text and not _PART.sub("", text):
        seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text))
    else:
        date = _date(text)
        if date is None:
            return None
        seconds = date - now()
    return min(max(seconds, 0.0), MOST_S)


def _date(text: str) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(text)
        except (TypeError, ValueError, OverflowError):
            continue
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return None

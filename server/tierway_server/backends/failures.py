"""What went wrong with a provider, classified once: from a status and what came with it, or from what the HTTP client raised.

    no connection                     unreachable        408, 504, 524, silence                timeout
    429, 503, 529 and their like      overloaded         other 5xx, garbage, a cut             failed
    401, 403                          auth               402, 429 for want of money            quota
    the content was refused           content blocked    too long for the context              context too long
    any other 4xx, a redirect         rejected

A body's words decide only where its code says nothing, and none of them goes further than this module: errors reach clients, and the
log has provider, status and type alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec

from tierway_server.backends.rate_limits import retry_after_s, retry_info_s
from tierway_server.errors import (
    ContentBlockedError,
    ContextTooLongError,
    ProviderAuthError,
    ProviderError,
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderQuotaError,
    ProviderRejectedError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    StreamBrokenError,
    TierwayError,
)

logger = logging.getLogger(__name__)

_OVERLOADED = frozenset({425, 429, 498, 503, 529})
_TIMEOUT = frozenset({408, 504, 522, 524})
_TRANSIENT_RETRY_S = 1.0
"""When to come again after a failure that says nothing of it."""

_KINDS: tuple[tuple[type[TierwayError], frozenset[str]], ...] = (
    (
        ProviderQuotaError,
        frozenset(
            {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
            | {"access_terminated", "exceeded_current_quota_error", "insufficient_balance"}
        ),
    ),
    (
        ContextTooLongError,
        frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}),
    ),
    (
        ContentBlockedError,
        frozenset(
            {"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "moderation_blocked"}
            | {"prohibited_content", "safety", "invalid_prompt", "sensitive_words_detected"}
        ),
    ),
    (
        ProviderAuthError,
        frozenset({"invalid_api_key", "authentication_error", "permission_error", "account_deactivated"})
        | frozenset({"permissiondenied", "unauthenticated", "permission_denied", "incorrect_api_key"}),
    ),
    (
        ProviderOverloadedError,
        frozenset({"overloaded_error", "rate_limit_exceeded", "rate_limit_error", "overloaded", "resource_exhausted"})
        | frozenset({"engine_overloaded", "engine_overloaded_error", "unavailable_error", "too_many_requests"})
        | frozenset({"capacity_exceeded", "service_unavailable", "rate_limited"}),
    ),
    (ProviderTimeoutError, frozenset({"timeout", "timeout_error", "deadline_exceeded"})),
)
"""Codes and types of bodies, in lower case, whatever status they come with."""

_REJECTED = frozenset(
    {"invalid_request_error", "not_found_error", "request_too_large", "invalid_argument", "not_found"}
)
"""Names of what would be refused again. With a status they say no more than that."""

_TOO_LONG = re.compile(
    r"maximum context length|context (?:length|window|size|limit)|exceeds? the (?:available )?context|prompt is too long"
    r"|input (?:is )?too long|too many (?:input )?tokens|maximum (?:number of )?(?:input )?tokens allowed",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(
    r"insufficient (?:balance|credits|funds|quota)|exceeded your current quota|credit balance is too low"
    r"|credits are depleted|specified API usage limits",
    re.IGNORECASE,
)
_BLOCKED = re.compile(r"content (?:management )?policy|moderation|flagged", re.IGNORECASE)
_KEY = re.compile(r"api.?key", re.IGNORECASE)


def of_response(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> TierwayError:
    """Return the error for an answer that is no answer.

    Args:
        provider: who answered, by its name in the configuration.
        status: of HTTP.
        headers: names in lower case.
        body: its beginning.

    """
    report = _report(body)
    words = _words(report) if isinstance(report, Mapping) else body[:4_096].decode("utf-8", "replace")
    info_s = retry_info_s(report)
    kind = _by_words(_by_report(report) or _by_status(status), status, words, will_be_over=info_s is not None)
    _log(provider, status, kind, report)
    asked_s = retry_after_s(headers)
    return _error(kind, provider, info_s if asked_s is None else asked_s)


def of_report(provider: str, report: object, *, status: int = 200) -> TierwayError:
    """Return the error for a failure that a service reports inside an answer that began well."""
    code = report.get("code") if isinstance(report, Mapping) else None
    if not isinstance(code, int) or not 400 <= code < 600:
        # Without a status its name tells whether it would be the same the next time.
        code = 400 if _REJECTED.intersection(_names(report)) else 500
    info_s = retry_info_s(report)
    kind = _by_words(_by_report(report) or _by_status(code), code, _words(report), will_be_over=info_s is not None)
    _log(provider, status, kind, report)
    return _error(kind, provider, info_s)


def of_exception(provider: str, failure: Exception) -> TierwayError:
    """Return the error for what the HTTP client raised before an answer had come."""
    match failure:
        case httpx2.PoolTimeout():
            kind: type[TierwayError] = ProviderOverloadedError
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError() | httpx2.UnsupportedProtocol():
            kind = ProviderUnreachableError
        case httpx2.TimeoutException():
            kind = ProviderTimeoutError
        case _:
            kind = ProviderFailedError
    _log(provider, 0, kind, type(failure).__name__)
    return _error(kind, provider, None)


def reported(body: bytes) -> object:
    """Return what a body reports as an error; None when it reports none."""
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document.get("error") if isinstance(document, Mapping) else None


def no_answer(provider: str, status: int, what: str) -> TierwayError:
    """Return the error for something that is no answer at all. `what` is for the log, in our own words."""
    _log(provider, status, ProviderFailedError, what)
    return _error(ProviderFailedError, provider, None)


def of_kind(provider: str, kind: type[TierwayError], what: str) -> TierwayError:
    """Return the error of a kind that is known already. `what` is for the log, in our own words."""
    _log(provider, 0, kind, what)
    return _error(kind, provider, None)


def broken(provider: str) -> StreamBrokenError:
    """Return the error for an answer that broke off, whatever the reason."""
    return StreamBrokenError(f"provider {provider} failed in the middle of the answer", metadata={"provider": provider})


_MESSAGES: Mapping[type[TierwayError], str] = {
    ProviderUnreachableError: "provider {} cannot be reached",
    ProviderTimeoutError: "provider {} did not answer in time",
    ProviderOverloadedError: "provider {} is overloaded, or its rate limit is reached",
    ProviderFailedError: "provider {} failed",
    ProviderAuthError: "provider {} does not accept this server's credential",
    ProviderQuotaError: "this server's account with provider {} is exhausted",
    ProviderRejectedError: "provider {} rejected the request",
    ContentBlockedError: "provider {} refused the prompt for its content",
    ContextTooLongError: "prompt and answer do not fit the context that provider {} has for this model",
}


def _error(kind: type[TierwayError], provider: str, after_s: float | None) -> TierwayError:
    if issubclass(kind, ProviderError) and after_s is None and kind is not ProviderOverloadedError:
        after_s = _TRANSIENT_RETRY_S
    return kind(
        _MESSAGES[kind].format(provider),
        field="query" if kind in (ContextTooLongError, ContentBlockedError) else "",
        metadata={"provider": provider},
        retry_after_s=after_s if issubclass(kind, ProviderError) else None,
    )


def _by_status(status: int) -> type[TierwayError]:
    if status in _OVERLOADED:
        return ProviderOverloadedError
    if status in _TIMEOUT:
        return ProviderTimeoutError
    if status in (401, 403):
        return ProviderAuthError
    if status == 402:
        return ProviderQuotaError
    return ProviderFailedError if status >= 500 or status < 300 or status == 409 else ProviderRejectedError


def _by_words(kind: type[TierwayError], status: int, words: str, *, will_be_over: bool) -> type[TierwayError]:
    """The kind, corrected by the words where a status means one thing here and another there."""
    if kind is ProviderRejectedError or status == 403:
        if status in (400, 413, 422) and _TOO_LONG.search(words):
            return ContextTooLongError
        if status in (400, 403) and _BLOCKED.search(words):
            return ContentBlockedError
        if status == 400 and _KEY.search(words):  # Gemini's and xAI's
            return ProviderAuthError
    # Google says "quota" of a minute's requests too, and then when to come again. Anthropic says 400 of an empty purse.
    if status in (400, 429) and not will_be_over and _NO_MONEY.search(words):
        return ProviderQuotaError
    return kind


def _by_report(report: object) -> type[TierwayError] | None:
    for name in _names(report):
        for kind, names in _KINDS:
            if name in names:
                return kind
    return None


def _names(report: object) -> list[str]:
    """What the report calls itself: its codes and types, the most telling first."""
    if not isinstance(report, Mapping):
        return []
    inner = report.get("innererror")
    stated = (inner.get("code") if isinstance(inner, Mapping) else None), *map(report.get, ("code", "type", "status"))
    return [name.lower() for name in stated if isinstance(name, str)]


def _report(body: bytes) -> object:
    """The error inside a body, if it is one of the forms in use."""
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(document, list) and document:  # Gemini's
        document = document[0]
    if isinstance(document, Mapping):
        error = document.get("error", document)
        return error if isinstance(error, Mapping) else {"message": error, "code": document.get("code")}
    return None


def _words(report: object) -> str:
    message = report.get("message") if isinstance(report, Mapping) else report
    return message[:4_096] if isinstance(message, str) else ""


_SAFE_NAME = re.compile(r"[A-Za-z_.]{1,48}")
"""What codes and types look like, and keys do not."""


def _log(provider: str, status: int, kind: type[TierwayError], report: object) -> None:
    # A name may be anything, such as a text with our key in it: only what looks like a name is logged.
    names = [report] if isinstance(report, str) else _names(report)
    error = next(filter(_SAFE_NAME.fullmatch, names), "")
    logger.warning(
        "provider failed", extra={"provider": provider, "status": status, "reason": kind.reason, "error": error}
    )

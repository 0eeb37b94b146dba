"""What providers do wrong, classified: a table of what they really send."""

from __future__ import annotations

import json

import httpx2
import pytest

from tierway_server.backends import failures
from tierway_server.errors import ProviderError, TierwayError


def body(message: str = "As told.", **error: object) -> bytes:
    return json.dumps({"error": {"message": message, **error}}).encode()


RESPONSES = [
    # status, body, reason
    (400, body("Unsupported parameter: 'max_tokens'", type="invalid_request_error"), "PROVIDER_REJECTED"),
    (400, body(code="context_length_exceeded", type="invalid_request_error"), "CONTEXT_TOO_LONG"),
    (400, body("This model's maximum context length is 4096 tokens.", type="BadRequestError"), "CONTEXT_TOO_LONG"),
    (
        400,
        body("the request exceeds the available context size", type="exceed_context_size_error", code=400),
        "CONTEXT_TOO_LONG",
    ),
    (
        400,
        body(
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", type="invalid_request_error"
        ),
        "CONTEXT_TOO_LONG",
    ),
    (413, body("prompt is too long: 300000 tokens > 200000 maximum", type="x"), "CONTEXT_TOO_LONG"),
    (413, body("Request too large", type="tokens", code="rate_limit_exceeded"), "PROVIDER_OVERLOADED"),
    (413, b"<html>Request Entity Too Large</html>", "PROVIDER_REJECTED"),
    (
        400,
        body(code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}),
        "CONTENT_BLOCKED",
    ),
    (400, body("Invalid prompt: flagged as violating our usage policy", code="invalid_prompt"), "CONTENT_BLOCKED"),
    (403, body("Your input was flagged", code=403, metadata={"reasons": ["violence"]}), "CONTENT_BLOCKED"),
    (401, body(code="invalid_api_key", type="invalid_request_error"), "PROVIDER_AUTH"),
    (401, b"Unauthorized", "PROVIDER_AUTH"),
    (403, body("Forbidden"), "PROVIDER_AUTH"),
    (
        400,
        json.dumps([{"error": {"code": 400, "message": "API key not valid.", "status": "x"}}]).encode(),
        "PROVIDER_AUTH",
    ),
    (400, json.dumps({"code": "x", "error": "Incorrect API key provided: sk***."}).encode(), "PROVIDER_AUTH"),
    (402, body("Insufficient credits", code=402), "PROVIDER_QUOTA"),
    (429, body("You exceeded your current quota", type="insufficient_quota"), "PROVIDER_QUOTA"),
    (429, body("Rate limit reached", type="tokens", code="rate_limit_exceeded"), "PROVIDER_OVERLOADED"),
    (429, b"", "PROVIDER_OVERLOADED"),
    (429, body("You exceeded your current quota. Limit: 20", status="RESOURCE_EXHAUSTED", code=429), "PROVIDER_QUOTA"),
    (429, body("Your prepayment credits are depleted.", status="RESOURCE_EXHAUSTED", code=429), "PROVIDER_QUOTA"),
    (400, body("Your credit balance is too low to access the API.", type="invalid_request_error"), "PROVIDER_QUOTA"),
    (400, body("You have reached your specified API usage limits.", type="invalid_request_error"), "PROVIDER_QUOTA"),
    (
        400,
        body(
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000", type="invalid_request_error"
        ),
        "CONTEXT_TOO_LONG",
    ),
    (404, body("The model does not exist", code="model_not_found"), "PROVIDER_REJECTED"),
    (405, b"", "PROVIDER_REJECTED"),
    (408, b"", "PROVIDER_TIMEOUT"),
    (409, body(), "PROVIDER_FAILED"),
    (422, body(), "PROVIDER_REJECTED"),
    (498, body("Flex tier capacity exceeded", code="capacity_exceeded"), "PROVIDER_OVERLOADED"),
    (500, body("The server had an error", type="server_error"), "PROVIDER_FAILED"),
    (502, b"<html>Bad gateway</html>", "PROVIDER_FAILED"),
    (503, body("Loading model", type="unavailable_error", code=503), "PROVIDER_OVERLOADED"),
    (504, b"", "PROVIDER_TIMEOUT"),
    (529, body(type="overloaded_error"), "PROVIDER_OVERLOADED"),
    (301, b"", "PROVIDER_REJECTED"),
    (400, b'{"error": ', "PROVIDER_REJECTED"),
    (400, b"[]", "PROVIDER_REJECTED"),
    (400, b"7", "PROVIDER_REJECTED"),
    (400, b'{"error": {"message": 7, "code": {}, "type": []}}', "PROVIDER_REJECTED"),
    (500, b"\xff\xfe", "PROVIDER_FAILED"),
    pytest.param(500, b"[" * 20_000 + b"]" * 20_000, "PROVIDER_FAILED", id="deep"),
]

REPORTS = [
    # what a stream holds instead of an answer, reason
    ({"message": "Overloaded", "type": "overloaded_error"}, "PROVIDER_OVERLOADED"),
    ({"message": "No", "code": 429}, "PROVIDER_OVERLOADED"),
    ({"message": "No", "code": 502}, "PROVIDER_FAILED"),
    ({"message": "No", "type": "server_error"}, "PROVIDER_FAILED"),
    ({"message": "No", "code": "invalid_api_key"}, "PROVIDER_AUTH"),
    ({"message": "the maximum context length is 4096", "code": 400}, "CONTEXT_TOO_LONG"),
    ({"message": "No", "code": 400}, "PROVIDER_REJECTED"),
    ({"message": "No", "code": True}, "PROVIDER_FAILED"),
    ({"message": "No", "type": "invalid_request_error"}, "PROVIDER_REJECTED"),
    ({"message": "prompt is too long: 2 tokens > 1 maximum", "type": "invalid_request_error"}, "CONTEXT_TOO_LONG"),
    ({"message": "Your credit balance is too low", "type": "invalid_request_error"}, "PROVIDER_QUOTA"),
    ({"message": "No", "code": 503, "status": "UNAVAILABLE"}, "PROVIDER_OVERLOADED"),
    ("No", "PROVIDER_FAILED"),
    (7, "PROVIDER_FAILED"),
]

EXCEPTIONS = [
    (httpx2.ConnectError("x"), "PROVIDER_UNREACHABLE"),
    (httpx2.ConnectTimeout("x"), "PROVIDER_UNREACHABLE"),
    (httpx2.UnsupportedProtocol("x"), "PROVIDER_UNREACHABLE"),
    (httpx2.ProxyError("x"), "PROVIDER_UNREACHABLE"),
    (httpx2.ReadTimeout("x"), "PROVIDER_TIMEOUT"),
    (httpx2.WriteTimeout("x"), "PROVIDER_TIMEOUT"),
    (httpx2.PoolTimeout("x"), "PROVIDER_OVERLOADED"),
    (httpx2.ReadError("x"), "PROVIDER_FAILED"),
    (httpx2.RemoteProtocolError("x"), "PROVIDER_FAILED"),
]


@pytest.mark.parametrize(("status", "content", "reason"), RESPONSES)
def test_responses(status: int, content: bytes, reason: str) -> None:
    check(failures.of_response("groq", status, {}, content), reason)


@pytest.mark.parametrize(("report", "reason"), REPORTS)
def test_reports_inside_a_stream(report: object, reason: str) -> None:
    check(failures.of_report("groq", report), reason)


@pytest.mark.parametrize(("raised", "reason"), EXCEPTIONS)
def test_exceptions(raised: Exception, reason: str) -> None:
    check(failures.of_exception("groq", raised), reason)


def check(failure: TierwayError, reason: str) -> None:
    """Every error has its reason, names the provider, tells nothing of its words, and lets another one answer where that may help."""
    assert failure.reason == reason
    assert failure.metadata == {"provider": "groq"}
    assert "groq" in failure.message
    assert "As told" not in failure.message
    assert failure.can_fall_back is (reason != "CONTENT_BLOCKED")
    assert (failure.retry_after_s is not None) is (
        isinstance(failure, ProviderError) and reason != "PROVIDER_OVERLOADED"
    )


def test_a_wait_that_the_provider_asks_for_is_told() -> None:
    failure = failures.of_response("groq", 429, {"retry-after": "7"}, b"")
    assert failure.retry_after_s == 7.0
    assert failures.of_response("groq", 401, {"retry-after": "7"}, b"").retry_after_s is None


def test_a_limit_by_the_minute_that_google_calls_a_quota_is_waited_for() -> None:
    quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerMinute"}]}
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26.5s"}
    told: dict[str, object] = {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [quota, delay]}
    failure = failures.of_response("google", 429, {}, body("You exceeded your current quota.", **told))
    assert (failure.reason, failure.retry_after_s) == ("PROVIDER_OVERLOADED", 26.5)
    assert failures.of_report("google", told).retry_after_s == 26.5
    del told["details"]
    failure = failures.of_response("google", 429, {}, body("You exceeded your current quota.", **told))
    assert failure.reason == "PROVIDER_QUOTA"


def test_a_key_that_is_rejected_is_no_fault_of_the_caller() -> None:
    from tierway_server.rpc.status import code_of

    assert code_of(failures.of_response("groq", 401, {}, b"")).name == "INTERNAL"


def test_an_answer_that_broke_off_names_the_provider() -> None:
    failure = failures.broken("groq")
    assert (failure.reason, failure.metadata) == ("ENGINE_LOST", {"provider": "groq"})

"""The faults of the matrix, and which wires can have them."""

from __future__ import annotations

import asyncio
import itertools

import grpc
from smg_grpc_proto.generated import vllm_engine_pb2 as pb

from tests.faults import anthropic_events as anthropic
from tests.faults import faulty_grpc as vllm
from tests.faults import google_events as google
from tests.faults import openai_events as openai
from tests.faults.certificates import self_signed
from tests.faults.dialects import ANTHROPIC, GOOGLE, GRPC, OPENAI
from tests.faults.faulty import AFTER, BEFORE, Row, after, harmed, nameless, over_http, refused, replied
from tests.faults.proxy import Kind
from tests.faults.upstream import Reply

_Status = grpc.StatusCode


def _answered(
    name: str,
    openai: Reply | None = None,
    anthropic: Reply | None = None,
    google: Reply | None = None,
    status: grpc.StatusCode | None = None,
    why: str = "",
) -> Row:
    """A fault that each wire has its own words for, all at once; None: it has none."""
    told = {OPENAI.name: openai, ANTHROPIC.name: anthropic, GOOGLE.name: google}
    wires = replied(lambda dialect, _: told[dialect.name] or Reply())
    wires = {name: serve for name, serve in wires.items() if told[name] is not None}
    return Row(name=name, when=BEFORE, wires=wires | (vllm.told(lambda _: (status,)) if status else {}), why=why)


def _alike(name: str, reply: Reply) -> Row:
    """A fault that looks the same over HTTP, whoever speaks."""
    return _answered(name, reply, reply, reply)


_BREATH_S = 0.02
_IMPATIENT = {"idle_timeout_s": 0.5}
_FAILED = pb.GenerateResponse(complete=pb.GenerateComplete(finish_reason="error"))
_NOT_THERE = (
    "a vLLM server is connected to before it is asked, for its tokenizer; while it is not there, it is no candidate."
)
_GONE = "a vLLM server whose connection is lost is no candidate until it is there again."

ROWS: tuple[Row, ...] = (
    Row(
        name="connection refused",
        when=BEFORE,
        wires=over_http(refused) | {GRPC: vllm.refused},
        why=_NOT_THERE,
    ),
    Row(name="DNS fails", when=BEFORE, wires=over_http(nameless) | {GRPC: vllm.nameless}, why=_NOT_THERE),
    Row(
        name="TLS fails",
        when=BEFORE,
        wires=replied(lambda dialect, _: Reply(steps=dialect.events), self_signed) | {GRPC: vllm.distrusted},
        why=_NOT_THERE,
    ),
    _answered(
        "400, INVALID_ARGUMENT",
        openai.error(400, "invalid_request_error"),
        anthropic.error(400, "invalid_request_error"),
        google.error(400, "INVALID_ARGUMENT"),
        _Status.INVALID_ARGUMENT,
    ),
    _answered(
        "400, the prompt is too long",
        openai.error(400, "invalid_request_error", "context_length_exceeded"),
        anthropic.error(400, "invalid_request_error", message="prompt is too long: 200001 tokens > 200000 maximum"),
        google.error(
            400,
            "INVALID_ARGUMENT",
            message="The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
        ),
    ),
    _answered(
        "the prompt is refused for its content",
        openai.error(400, "invalid_request_error", "content_filter"),
        Reply(
            steps=(anthropic.message_start(), anthropic.message_delta(0, "refusal"), anthropic.message_stop()),
        ),
        Reply(steps=(google.event(google.blocked()),)),
    ),
    _answered(
        "401, UNAUTHENTICATED",
        openai.error(401, "invalid_request_error", "invalid_api_key"),
        anthropic.error(401, "authentication_error"),
        google.error(401, "UNAUTHENTICATED"),
        _Status.UNAUTHENTICATED,
    ),
    _answered(
        "403, PERMISSION_DENIED",
        openai.error(403, "permission_error"),
        anthropic.error(403, "permission_error"),
        google.error(403, "PERMISSION_DENIED"),
        _Status.PERMISSION_DENIED,
    ),
    _answered(
        "404, NOT_FOUND",
        openai.error(404, "invalid_request_error", "model_not_found"),
        anthropic.error(404, "not_found_error"),
        google.error(404, "NOT_FOUND"),
        _Status.NOT_FOUND,
    ),
    _answered(
        "408, DEADLINE_EXCEEDED",
        openai.error(408, "timeout"),
        anthropic.error(408, "timeout_error"),
        google.error(408, "DEADLINE_EXCEEDED"),
        _Status.DEADLINE_EXCEEDED,
    ),
    _answered(
        "409, ABORTED",
        openai.error(409, "conflict"),
        anthropic.error(409, "conflict_error"),
        google.error(409, "ABORTED"),
        _Status.ABORTED,
    ),
    _answered(
        "413",
        openai.error(413, "request_too_large"),
        anthropic.error(413, "request_too_large"),
        google.error(413, "INVALID_ARGUMENT"),
    ),
    _answered(
        "422",
        openai.error(422, "invalid_request_error"),
        anthropic.error(422, "invalid_request_error"),
        google.error(422, "INVALID_ARGUMENT"),
    ),
    _answered(
        "429, again after 60 s",
        openai.error(429, "requests", "rate_limit_exceeded", retry_after="60"),
        anthropic.error(429, "rate_limit_error", retry_after="60"),
        google.error(429, "RESOURCE_EXHAUSTED", message="You exceeded your current quota.", retry_delay="60s"),
    ),
    _answered(
        "429, RESOURCE_EXHAUSTED",
        openai.error(429, "requests", "rate_limit_exceeded"),
        anthropic.error(429, "rate_limit_error"),
        google.error(429, "RESOURCE_EXHAUSTED", message="Resource has been exhausted (e.g. check quota)."),
        _Status.RESOURCE_EXHAUSTED,
    ),
    _answered(
        "no money left",
        openai.error(429, "insufficient_quota", "insufficient_quota"),
        anthropic.error(400, "invalid_request_error", message="Your credit balance is too low to access the API."),
        google.error(429, "RESOURCE_EXHAUSTED", message="Your prepayment credits are depleted."),
    ),
    _answered(
        "500, INTERNAL",
        openai.error(500, "server_error"),
        anthropic.error(500, "api_error"),
        google.error(500, "INTERNAL"),
        _Status.INTERNAL,
    ),
    _alike("502", Reply(status=502, content_type="text/html", steps=(b"<html>Bad Gateway</html>",))),
    _answered(
        "503, UNAVAILABLE",
        openai.error(503, "server_error"),
        anthropic.error(503, "api_error"),
        google.error(503, "UNAVAILABLE"),
        _Status.UNAVAILABLE,
        why="gRPC says UNAVAILABLE of a lost connection too.",
    ),
    _answered("529", openai.error(529, "overloaded_error"), anthropic.error(529, "overloaded_error")),
    Row(
        name="slow headers",
        when=BEFORE,
        wires=harmed(Kind.STALL, BEFORE, 20) | vllm.told(lambda _: (asyncio.Event(),)),
        provider=_IMPATIENT,
    ),
    Row(
        name="stall in mid-body",
        when=BEFORE,
        wires=harmed(Kind.STALL, BEFORE) | vllm.told(lambda _: (vllm.NO_TOKEN, asyncio.Event())),
        provider=_IMPATIENT,
    ),
    Row(
        name="stall in mid-body",
        when=AFTER,
        wires=harmed(Kind.STALL, AFTER) | vllm.told(lambda seen: (vllm.FIRST_TOKEN, seen, asyncio.Event())),
        provider=_IMPATIENT,
    ),
    Row(name="cut in mid-event", when=BEFORE, wires=harmed(Kind.CUT, BEFORE) | vllm.gone(Kind.CUT, BEFORE), why=_GONE),
    Row(name="cut in mid-event", when=AFTER, wires=harmed(Kind.CUT, AFTER) | vllm.gone(Kind.CUT, AFTER)),
    Row(name="reset in mid-event", when=AFTER, wires=harmed(Kind.RESET, AFTER) | vllm.gone(Kind.RESET, AFTER)),
    Row(name="garbled byte", when=BEFORE, wires=harmed(Kind.GARBLE, BEFORE)),
    Row(name="garbled byte", when=AFTER, wires=harmed(Kind.GARBLE, AFTER)),
    Row(name="malformed JSON", when=BEFORE, wires=replied(lambda dialect, _: Reply(steps=(dialect.broken,)))),
    Row(name="malformed JSON", when=AFTER, wires=after(lambda dialect: dialect.broken)),
    _alike("wrong content type", Reply(content_type="text/html", steps=(b"<html>Sign in, please.</html>",))),
    Row(name="empty stream", when=BEFORE, wires=replied(lambda *_: Reply()) | vllm.told(lambda _: ())),
    Row(name="end without a reason", when=AFTER, wires=after() | vllm.after()),
    Row(
        name="error event inside a 200",
        when=BEFORE,
        wires=replied(lambda dialect, _: Reply(steps=(dialect.failed,))) | vllm.told(lambda _: (_FAILED,)),
    ),
    Row(
        name="error event inside a 200",
        when=AFTER,
        wires=after(lambda dialect: dialect.failed) | vllm.after(_FAILED),
    ),
    Row(
        name="overload event inside a 200",
        when=BEFORE,
        wires=replied(lambda dialect, _: Reply(steps=(dialect.overloaded,))),
    ),
    Row(name="overload event inside a 200", when=AFTER, wires=after(lambda dialect: dialect.overloaded)),
    Row(
        name="endless stream",
        when=BEFORE,
        wires=replied(lambda *_: Reply(steps=itertools.cycle((b": still here\n\n", _BREATH_S))))
        | vllm.told(lambda _: itertools.cycle((vllm.NO_TOKEN, _BREATH_S))),
        deadline_s=4.0,
    ),
    Row(
        name="endless stream",
        when=AFTER,
        wires=replied(
            lambda dialect, seen: Reply(
                steps=itertools.chain(dialect.begun, (seen,), itertools.repeat(dialect.text("!")))
            )
        )
        | vllm.told(lambda seen: itertools.chain((vllm.FIRST_TOKEN, seen), itertools.repeat("!"))),
        why="the tokens of a vLLM server are counted, so it is cut where it should have ended; over HTTP only pieces are, of which a token "
        "may have many. OpenAI accounts for the prompt at the end only.",
    ),
)

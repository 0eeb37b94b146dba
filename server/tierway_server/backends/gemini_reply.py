"""What Google's own Gemini API answers, in our words.

| Gemini's | ours |
|---|---|
| `text` parts | text; those marked as `thought` are not shown |
| `functionCall` parts | tool calls, in the last chunk |
| `STOP` | STOP, TOOL_CALLS where something is called |
| `MAX_TOKENS` and whatever is not known | LENGTH |
| `SAFETY`, `RECITATION`, `BLOCKLIST`, `PROHIBITED_CONTENT`, `SPII`, `IMAGE_SAFETY` | CONTENT_FILTER |
| `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL` and their like | failures |
| `promptFeedback.blockReason` | the prompt is refused for its content |
| `logprobsResult` | log-probabilities |
| `promptTokenCount`, `cachedContentTokenCount` | input tokens, cached ones |
| `candidatesTokenCount` + `thoughtsTokenCount` | output tokens, the last of them as reasoning |
"""

from __future__ import annotations

from typing import Any

import msgspec

from tierway_core import estimate_tokens
from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, ToolCall, Usage
from tierway_server.backends.call_ids import with_own_ids
from tierway_server.backends.length import Length
from tierway_server.backends.reading import MalformedError, ReportedError, believed
from tierway_server.backends.whole_text import WholeText

_MOST_CALLS = 128
_FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
}
_BROKEN = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"}
    | {"MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"}
)
_BLOCKED = {"code": "content_filter"}


class _Call(msgspec.Struct):
    name: str = ""
    id: str = ""
    args: dict[str, Any] = {}


class _Part(msgspec.Struct, rename="camel"):
    text: str = ""
    thought: bool = False
    function_call: _Call | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Tokens(msgspec.Struct):
    candidates: list[_Token] = []


class _Logprobs(msgspec.Struct, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_Tokens] = []


class _Candidate(msgspec.Struct, rename="camel"):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None
    logprobs_result: _Logprobs | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int = 0
    cached_content_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0


class _Event(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    error: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Event)


class GeminiReply:
    """One reply while it comes; see `Reading`."""

    def __init__(self, input_tokens: int, max_tokens: int) -> None:
        """Begin a reply.

        Args:
            input_tokens: of the prompt, estimated: for when the service does not tell.
            max_tokens: the most that was asked for; a service that sends far more is cut.

        """
        self.finish_reason: FinishReason | None = None
        """Why it ended, once that is known."""
        self.is_done = False
        """Whether it is too long. The service says nothing of the kind: it just ends."""
        self._input_tokens = input_tokens
        self._length = Length(max_tokens)
        self._whole = WholeText()
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._calls: list[ToolCall] = []
        self._tokens = 0
        self._output_tokens = 0
        self._usage: _Usage | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing came but what surrounds an answer."""
        return not self._output_tokens and not self._calls

    def take(self, payload: bytes) -> None:
        """Take the next event.

        Raises:
            MalformedError: it is none.
            ReportedError: it reports a failure, or that the prompt is refused.

        """
        try:
            event = _decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MalformedError("no event") from None
        if event.error is not None:
            raise ReportedError(event.error)
        if event.prompt_feedback is not None and event.prompt_feedback.block_reason:
            raise ReportedError(_BLOCKED)
        self._usage = event.usage_metadata or self._usage
        for candidate in event.candidates:
            if candidate.index == 0:
                self._more(candidate)

    def chunk(self) -> Chunk | None:
        """What came since the last call, and is not the end; None when nothing did."""
        if not self._texts:
            return None
        chunk = Chunk("".join(self._texts), self._tokens, tuple(self._logprobs))
        self._texts.clear()
        self._logprobs.clear()
        self._tokens = 0
        return chunk

    def last_chunk(self) -> Chunk:
        """The end of the answer, with what came since the last chunk."""
        reason = self.finish_reason or FinishReason.LENGTH
        return Chunk(
            "".join(self._texts) + self._whole.end(),
            self._tokens,
            tuple(self._logprobs),
            FinishReason.TOOL_CALLS if self._calls and reason is FinishReason.STOP else reason,
            self._account(),
            tuple(with_own_ids(self._calls)),
        )

    def _more(self, candidate: _Candidate) -> None:
        text = ""
        for part in candidate.content.parts if candidate.content else ():
            if part.function_call is not None:
                self._call(part.function_call)
            elif not part.thought:
                text += part.text
        logprobs = _logprobs(candidate.logprobs_result)
        if text:
            self._spend(text)
            tokens = len(logprobs) or self._told_since() or estimate_tokens(text)
            self._tokens += tokens
            self._output_tokens += tokens
            if whole := self._whole.take(text):
                self._texts.append(whole)
        self._logprobs += logprobs
        if candidate.finish_reason:
            if candidate.finish_reason in _BROKEN:
                raise ReportedError({"type": "broken"})
            self.finish_reason = _FINISH_REASONS.get(candidate.finish_reason, FinishReason.LENGTH)

    def _told_since(self) -> int:
        """How many tokens the service has counted since the last piece; 0 where it does not say."""
        return max(0, self._usage.candidates_token_count - self._output_tokens) if self._usage is not None else 0

    def _call(self, call: _Call) -> None:
        if len(self._calls) == _MOST_CALLS:
            raise MalformedError("too many calls")
        arguments = msgspec.json.encode(call.args).decode()
        self._spend(arguments)
        self._output_tokens += estimate_tokens(arguments)
        self._calls.append(ToolCall(call.id, call.name, arguments))

    def _spend(self, piece: str) -> None:
        if self._length.is_passed_by(piece):
            self.finish_reason = FinishReason.LENGTH
            self.is_done = True

    def _account(self) -> Usage:
        """What the service says that was read and written, else what is estimated here."""
        told = self._usage
        if told is None or (prompt := believed(told.prompt_token_count)) is None:
            return Usage(self._input_tokens, 0, self._output_tokens)
        read = prompt + (believed(told.tool_use_prompt_token_count) or 0)
        cached, thought = believed(told.cached_content_token_count) or 0, believed(told.thoughts_token_count) or 0
        written = believed(told.candidates_token_count) or 0
        if self.is_done:  # it is we who ended it: more has come than the service had counted
            written = max(written, self._output_tokens)
        return Usage(read, min(cached, read), written + thought, thought)


def _logprobs(told: _Logprobs | None) -> list[TokenLogprob]:
    if told is None:
        return []
    top = [tuple((each.token, each.log_probability) for each in tokens.candidates) for tokens in told.top_candidates]
    top += [()] * (len(told.chosen_candidates) - len(top))
    return [
        TokenLogprob(chosen.token, chosen.log_probability, others)
        for chosen, others in zip(told.chosen_candidates, top, strict=False)
    ]

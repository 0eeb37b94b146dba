"""What comes of a chat completion, event by event, as a `Chunk`: the one way in."""

from __future__ import annotations

import json

import msgspec

from tierway_core import estimate_tokens
from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, ToolCall, Usage
from tierway_server.backends.call_ids import with_own_ids
from tierway_server.backends.length import Length
from tierway_server.backends.openai_events import (
    CallDelta,
    Choice,
    Delta,
    Logprobs,
    TextPart,
    Token,
    UsageReport,
    decoded,
)
from tierway_server.backends.reading import MalformedError, ReportedError, believed
from tierway_server.backends.whole_text import WholeText, encodable

_FINISH = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    # Together's, and those of Hugging Face's server.
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    # Zhipu's; Gemini's own, which come through its compatible endpoint.
    "sensitive": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "recitation": FinishReason.CONTENT_FILTER,
    "blocklist": FinishReason.CONTENT_FILTER,
    "prohibited_content": FinishReason.CONTENT_FILTER,
    "spii": FinishReason.CONTENT_FILTER,
}
"""In lower case, up to a colon: Gemini's endpoint says more behind one."""
_BROKEN = frozenset(
    {"error", "insufficient_system_resource", "abort", "network_error"}
    | {"malformed_function_call", "unexpected_tool_call", "function_call_filter"}
)
"""Finish reasons of answers that broke off: OpenRouter's, DeepSeek's, vLLM's, Zhipu's; Gemini's."""

_TOKEN_CHARACTERS = 32
"""An event with no more is taken for one token."""
_MOST_CALLS = 128


class _Call(msgspec.Struct):
    """A call of a function while it comes."""

    id: str
    name: str
    arguments: list[str]


class Answer:
    """One answer while it comes."""

    def __init__(self, input_tokens: int, max_tokens: int, *, alternatives: int) -> None:
        """Begin an answer.

        Args:
            input_tokens: of the prompt, estimated: for services that do not tell.
            max_tokens: the most that was asked for; a service that sends far more is cut.
            alternatives: as many were asked for to each token; a service that tells of more is not listened to.

        """
        self.finish_reason: FinishReason | None = None
        """Why it ended, once that is known."""
        self.is_done = False
        """Whether the service said that nothing more comes."""
        self._input_tokens = input_tokens
        self._alternatives = alternatives
        self._length = Length(max_tokens)
        self._whole = WholeText()
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._tokens = 0
        self._output_tokens = 0
        self._calls: list[_Call] = []
        self._places: dict[int, int] = {}
        self._usage: UsageReport | None = None
        self._is_refused = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing came but what surrounds an answer."""
        return not self._output_tokens and not self._calls

    def take(self, payload: bytes) -> None:
        """Take the next event.

        Raises:
            MalformedError: it is none.
            ReportedError: it reports a failure.

        """
        if payload.startswith(b"[DONE]"):
            self.is_done = True
            return
        event = decoded(payload)
        error = event.error if event.error is not None else (event.x_groq and event.x_groq.error)
        if error is not None:
            raise ReportedError(error)
        if event.choices is None and (event.object == "error" or event.message is not None):
            raise ReportedError(msgspec.json.decode(payload))
        usage = event.usage or (event.x_groq.usage if event.x_groq else None)
        if usage is not None:
            self._usage = usage
        for choice in event.choices or ():
            if choice.index == 0:
                self._choose(choice)

    def chunk(self) -> Chunk | None:
        """What came since the last call, and is not the end; None when nothing did."""
        if not self._texts and not self._logprobs:
            return None
        chunk = Chunk("".join(self._texts), self._tokens, tuple(self._logprobs))
        self._texts.clear()
        self._logprobs.clear()
        self._tokens = 0
        return chunk

    def last_chunk(self) -> Chunk:
        """The end of the answer, with what came since the last chunk."""
        if rest := self._whole.end():
            self._texts.append(rest)
        reason = self.finish_reason or FinishReason.LENGTH
        calls = tuple(
            with_own_ids(ToolCall(call.id, call.name, encodable("".join(call.arguments))) for call in self._calls)
        )
        if calls and reason is FinishReason.STOP:
            reason = FinishReason.TOOL_CALLS  # where a call was demanded, OpenAI calls that a stop
        if self._is_refused:
            reason = FinishReason.CONTENT_FILTER
        return Chunk(
            "".join(self._texts), self._tokens, tuple(self._logprobs), reason, self._account(), tool_calls=calls
        )

    def _choose(self, choice: Choice) -> None:
        delta = choice.delta
        if choice.message is not None and choice.finish_reason and self.is_empty:
            delta = _whole(choice.message)
        if delta is None and self.is_empty:
            return  # the end of nothing
        if delta is not None:
            content = _shown(delta.content)
            # A token that is no whole character comes without text.
            if content or delta.refusal or (content is not None and choice.logprobs):
                self._is_refused = self._is_refused or bool(delta.refusal)
                self._say((content or "") + (delta.refusal or ""), choice.logprobs)
            for call in delta.tool_calls or ():
                self._call(call)
        if choice.finish_reason:
            reason = choice.finish_reason.partition(":")[0].lower()
            if reason in _BROKEN:
                raise ReportedError({"type": "broken"})
            # Unknown reasons are a service's own ways to say that it had enough.
            self.finish_reason = _FINISH.get(reason, FinishReason.LENGTH)

    def _say(self, content: str, logprobs: Logprobs | None) -> None:
        self._spend(content)
        if text := self._whole.take(content):
            self._texts.append(text)
        tokens = logprobs.content if logprobs and logprobs.content else ()
        self._logprobs += [_logprob(token, self._alternatives) for token in tokens]
        count = len(tokens) or (1 if len(content) <= _TOKEN_CHARACTERS else estimate_tokens(content))
        self._tokens += count
        self._output_tokens += count

    def _call(self, delta: CallDelta) -> None:
        call = self._calls[self._place(delta)]
        function = delta.function
        call.id = call.id or delta.id or ""
        if function is not None:
            call.name = call.name or encodable(function.name or "")
            if (arguments := function.arguments) is not None:
                text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                self._spend(text)
                call.arguments.append(text)
                self._output_tokens += 1 if len(text) <= _TOKEN_CHARACTERS else estimate_tokens(text)

    def _place(self, delta: CallDelta) -> int:
        """Which call a part belongs to: that of its index; without one a new id begins a new call, and the rest goes to the last.

        Ollama and others give all calls the same index: there a name with a new id begins one, too.
        """
        is_new = bool(delta.id) and all(call.id != delta.id for call in self._calls)
        if delta.index is None:
            known = None if is_new or not self._calls else len(self._calls) - 1
        else:
            known = self._places.get(delta.index)
            if known is not None and is_new and self._calls[known].id and delta.function and delta.function.name:
                known = None
        if known is not None:
            return known
        if len(self._calls) == _MOST_CALLS:
            raise MalformedError("too many calls")
        self._calls.append(_Call("", "", []))
        if delta.index is not None:
            self._places[delta.index] = len(self._calls) - 1
        return len(self._calls) - 1

    def _spend(self, piece: str) -> None:
        if self._length.is_passed_by(piece):
            self.finish_reason = FinishReason.LENGTH
            self.is_done = True

    def _account(self) -> Usage:
        """What the service says that was read and written, else what is estimated here.

        Where the total is more than prompt and completion together (xAI, Gemini), the rest was thought, and is paid for as output.
        """
        usage = self._usage
        if usage is None or (prompt := believed(usage.prompt_tokens)) is None:
            return Usage(self._input_tokens, 0, self._output_tokens)
        completion = believed(usage.completion_tokens) or 0
        output = max(completion, (believed(usage.total_tokens) or 0) - prompt)
        prompt_details, details = usage.prompt_tokens_details, usage.completion_tokens_details
        cached_at_all = (prompt_details and prompt_details.cached_tokens) or usage.prompt_cache_hit_tokens
        cached = believed(cached_at_all or usage.cached_tokens) or 0
        reasoning = believed(details.reasoning_tokens if details else None) or output - completion
        return Usage(prompt, min(cached, prompt), output, min(reasoning, output))


def _whole(message: Delta) -> Delta:
    """A whole answer as the only part of one: each call is one of its own, whatever their ids are."""
    calls = [msgspec.structs.replace(call, index=at) for at, call in enumerate(message.tool_calls or ())]
    return msgspec.structs.replace(message, tool_calls=calls)


def _shown(content: str | list[TextPart] | None) -> str | None:
    """What of a delta is the answer's text; Mistral's models that think send a list, with their thoughts in it."""
    return "".join(part.text for part in content if part.type == "text") if isinstance(content, list) else content


def _logprob(token: Token, alternatives: int) -> TokenLogprob:
    return TokenLogprob(
        encodable(token.token),
        token.logprob,
        tuple((encodable(other.token), other.logprob) for other in (token.top_logprobs or ())[:alternatives]),
    )

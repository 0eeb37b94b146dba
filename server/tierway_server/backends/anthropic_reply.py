"""What Anthropic's Messages API answers, in our words.

| Anthropic's | ours |
|---|---|
| `text_delta` | text |
| `input_json_delta` | the arguments of a tool call, whole in the last chunk; of the tool that stands for any JSON object, text |
| `thinking_delta` and the like | not shown; counted in `reasoning_tokens` where the API tells |
| `end_turn`, `stop_sequence`, `pause_turn` | STOP |
| `max_tokens`, `model_context_window_exceeded` | LENGTH |
| `tool_use` | TOOL_CALLS; STOP where the tool stands for any JSON object |
| `refusal` | CONTENT_FILTER |
| `input_tokens` + `cache_creation_input_tokens` + `cache_read_input_tokens` | input tokens, the last of them as cached |
"""

from __future__ import annotations

from typing import Any

import msgspec

from tierway_core import estimate_tokens
from tierway_server.backends.base import Chunk, FinishReason, ToolCall, Usage
from tierway_server.backends.call_ids import with_own_ids
from tierway_server.backends.length import Length
from tierway_server.backends.reading import MalformedError, ReportedError, believed
from tierway_server.backends.whole_text import WholeText, encodable

_TOKEN_CHARACTERS = 32
"""An event with no more is taken for one token."""
_MOST_CALLS = 128

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}


class _Thinking(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    """Each event tells some of them, and the last word counts."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _Thinking | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] | None = None
    """Empty at Anthropic, where it comes in parts; others that speak the API have all of it here."""


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Message | None = None
    index: int = 0
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None


_decoder = msgspec.json.Decoder(_Event)


class Reply:
    """One reply while it comes; see `Reading`."""

    def __init__(
        self, input_tokens: int, max_tokens: int, *, is_json_by_tool: bool = False, white_space: str = ""
    ) -> None:
        """Begin a reply.

        Args:
            input_tokens: of the prompt, estimated: for services that speak the API and do not tell.
            max_tokens: the most that was asked for; a service that sends far more is cut.
            is_json_by_tool: whether the call of the tool for any JSON object is the answer.
            white_space: is left out where the reply begins with it.

        """
        self.finish_reason: FinishReason | None = None
        """Why it ended, once that is known."""
        self.is_done = False
        """Whether the service said that nothing more comes."""
        self._input_tokens = input_tokens
        self._is_json_by_tool = is_json_by_tool
        self._is_json_called = False
        self._white_space = white_space
        self._length = Length(max_tokens)
        self._is_cut = False
        self._whole = WholeText()
        self._texts: list[str] = []
        self._tokens = 0
        self._output_tokens = 0
        self._calls: dict[int, tuple[_Block, list[str]]] = {}
        self._usage = _Usage()

    @property
    def is_empty(self) -> bool:
        """Whether nothing came but what surrounds an answer."""
        return not (self._output_tokens or self._calls or self._is_json_called)

    def take(self, payload: bytes) -> None:
        """Take the next event.

        Raises:
            MalformedError: it is none.
            ReportedError: it reports a failure.

        """
        try:
            event = _decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MalformedError("no event") from None
        match event.type:
            case "content_block_delta" if event.delta is not None:
                self._more(event.index, event.delta)
            case "content_block_start" if event.content_block is not None:
                self._begin(event.index, event.content_block)
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
                self._usage.output_tokens = None  # what has been written by then is no account of the answer
            case "message_delta":
                self._count(event.usage)
                if event.delta is not None and event.delta.stop_reason is not None:
                    self.finish_reason = self._why(event.delta.stop_reason)
            case "message_stop":
                self.is_done = True
            case "error":
                raise ReportedError(msgspec.json.decode(payload).get("error"))

    def chunk(self) -> Chunk | None:
        """What came since the last call, and is not the end; None when nothing did."""
        if not self._texts:
            return None
        chunk = Chunk("".join(self._texts), self._tokens)
        self._texts.clear()
        self._tokens = 0
        return chunk

    def last_chunk(self) -> Chunk:
        """The end of the answer, with what came since the last chunk."""
        text = "".join(self._texts) + self._whole.end()
        if self._is_json_called and not self._output_tokens:
            text = "{}"  # for which nothing is sent
        calls = tuple(
            with_own_ids(
                ToolCall(
                    encodable(block.id), encodable(block.name), encodable("".join(pieces)) or _written(block.input)
                )
                for _, (block, pieces) in sorted(self._calls.items())
            )
        )
        return Chunk(
            text,
            self._tokens,
            finish_reason=self.finish_reason or FinishReason.LENGTH,
            usage=self._account(),
            tool_calls=calls,
        )

    def _begin(self, index: int, block: _Block) -> None:
        if block.type == "tool_use" and not self._is_json_by_tool:
            if len(self._calls) == _MOST_CALLS:
                raise MalformedError("too many calls")
            self._calls[index] = (block, [])
        elif block.type == "tool_use":
            self._is_json_called = True
        elif block.type == "text" and block.text:
            self._say(block.text)

    def _more(self, index: int, delta: _Delta) -> None:
        if delta.type == "text_delta":
            self._say(delta.text)
        elif delta.type == "input_json_delta":
            if self._is_json_by_tool:
                self._show(delta.partial_json)
            elif index in self._calls:
                self._spend(delta.partial_json)
                self._output_tokens += _tokens(delta.partial_json)
                self._calls[index][1].append(delta.partial_json)

    def _say(self, text: str) -> None:
        # Where a call is the answer, what the model says beside it is not.
        if not self._is_json_by_tool:
            self._show(text)

    def _show(self, text: str) -> None:
        self._spend(text)
        tokens = _tokens(text)
        self._tokens += tokens
        self._output_tokens += tokens
        while text and self._white_space and text[0] == self._white_space[0]:
            text, self._white_space = text[1:], self._white_space[1:]
        if text:
            self._white_space = ""
            if whole := self._whole.take(text):
                self._texts.append(whole)

    def _spend(self, piece: str) -> None:
        if self._length.is_passed_by(piece):
            self._is_cut = True
            self.finish_reason = FinishReason.LENGTH
            self.is_done = True

    def _why(self, stop_reason: str) -> FinishReason:
        # One that we do not know yet is an end like any other.
        reason = _FINISH_REASONS.get(stop_reason, FinishReason.STOP)
        return FinishReason.STOP if self._is_json_by_tool and reason is FinishReason.TOOL_CALLS else reason

    def _count(self, told: _Usage | None) -> None:
        for name in _Usage.__struct_fields__:
            if (value := getattr(told, name, None)) is not None:
                setattr(self._usage, name, value)

    def _account(self) -> Usage:
        """What the service says that was read and written, else what is estimated here."""
        told = self._usage
        cached = believed(told.cache_read_input_tokens) or 0
        read = self._input_tokens
        if (fresh := believed(told.input_tokens)) is not None:
            read = fresh + (believed(told.cache_creation_input_tokens) or 0) + cached
        written = believed(told.output_tokens)
        if written is None or self._is_cut:  # what is told at the beginning is no more than a beginning
            written = max(written or 0, self._output_tokens)
        thinking = told.output_tokens_details
        thought = believed(thinking.thinking_tokens if thinking else None) or 0
        return Usage(read, min(cached, read), written, min(thought, written))


def _written(arguments: dict[str, Any] | None) -> str:
    return msgspec.json.encode(arguments or {}).decode()


def _tokens(text: str) -> int:
    """About how many tokens a piece has."""
    if not text:
        return 0
    return 1 if len(text) <= _TOKEN_CHARACTERS else estimate_tokens(text)

"""What Anthropic's Messages API answers, in our words.

| Anthropic's | ours |
|---|---|
| `text_delta` | text |
| `input_json_delta` | the arguments of a tool call, whole in the last chunk; of the tool that stands for a JSON Schema, text |
| `thinking_delta` and the like | not shown; counted in `reasoning_tokens` where the API tells |
| `end_turn`, `stop_sequence`, `pause_turn` | STOP |
| `max_tokens`, `model_context_window_exceeded` | LENGTH |
| `tool_use` | TOOL_CALLS; STOP where the tool stands for a JSON Schema |
| `refusal` | CONTENT_FILTER |
| `input_tokens` + `cache_creation_input_tokens` + `cache_read_input_tokens` | input tokens, the last of them as cached |
"""

from __future__ import annotations

import msgspec

from tierway_server.backends.base import FinishReason, ToolCall, Usage

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
    thinking_tokens: int = 0


class WireUsage(msgspec.Struct):
    """Tokens as the API counts them; each event tells some of them, and the last word counts."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _Thinking | None = None


class WireError(msgspec.Struct):
    """What the API says of an error."""

    type: str = ""
    message: str = ""


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Message(msgspec.Struct):
    usage: WireUsage = msgspec.field(default_factory=WireUsage)


class WireEvent(msgspec.Struct):
    """An event of a stream, of any type; what we do not know is passed over."""

    type: str
    message: _Message | None = None
    index: int = 0
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: WireUsage | None = None
    error: WireError | None = None


class Reply:
    """Reads the events of one reply."""

    def __init__(self, *, is_json_by_tool: bool) -> None:
        self.finish_reason: FinishReason | None = None
        """Why it ended; None: it did not say."""
        self.is_over = False
        """Whether it is complete."""
        self._is_json_by_tool = is_json_by_tool
        self._calls: dict[int, tuple[_Block, list[str]]] = {}
        self._usage = WireUsage()

    def read(self, event: WireEvent) -> str:
        """Take an event and return the text that it brings."""
        if event.type == "content_block_delta" and event.delta is not None:
            return self._more(event.index, event.delta)
        if event.type == "content_block_start" and event.content_block is not None:
            return self._begin(event.index, event.content_block)
        if event.type == "message_start" and event.message is not None:
            self._count(event.message.usage)
        elif event.type == "message_delta":
            self._count(event.usage or WireUsage())
            if event.delta is not None and event.delta.stop_reason is not None:
                self.finish_reason = self._why(event.delta.stop_reason)
        elif event.type == "message_stop":
            self.is_over = True
        return ""

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """What the model called, in its order."""
        return tuple(
            ToolCall(block.id, block.name, "".join(pieces) or "{}")
            for _, (block, pieces) in sorted(self._calls.items())
        )

    @property
    def usage(self) -> Usage:
        """Tokens of the whole answer."""
        seen = self._usage
        cached = seen.cache_read_input_tokens or 0
        return Usage(
            (seen.input_tokens or 0) + (seen.cache_creation_input_tokens or 0) + cached,
            cached,
            seen.output_tokens or 0,
            seen.output_tokens_details.thinking_tokens if seen.output_tokens_details else 0,
        )

    def _begin(self, index: int, block: _Block) -> str:
        if self._is_json_by_tool:
            return ""
        if block.type == "tool_use":
            self._calls[index] = (block, [])
        return block.text if block.type == "text" else ""

    def _more(self, index: int, delta: _Delta) -> str:
        if self._is_json_by_tool:
            # The tool's call is the answer; what the model says beside it is not.
            return delta.partial_json
        if index in self._calls:
            self._calls[index][1].append(delta.partial_json)
        return delta.text

    def _why(self, stop_reason: str) -> FinishReason:
        # One that we do not know yet is an end like any other.
        reason = _FINISH_REASONS.get(stop_reason, FinishReason.STOP)
        return FinishReason.STOP if self._is_json_by_tool and reason is FinishReason.TOOL_CALLS else reason

    def _count(self, told: WireUsage) -> None:
        for name in WireUsage.__struct_fields__:
            if (value := getattr(told, name)) is not None:
                setattr(self._usage, name, value)

"""From a conversation to a vLLM engine's prompt: the model's own chat template, then its tokenizer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tierway_server.backends.base import Generation, Message, Role, Tool, ToolCall, ToolMode, Tools

# Longer prompts are tokenised in a thread: 4,000 characters take about 1 ms, the most that the event loop should be held.
_INLINE_CHARACTERS = 4_000


class Prompter:
    """Makes the prompts of one engine. Touched from the event loop only.

    Args:
        tokenizer: the engine's, of Hugging Face's fast kind.

    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenize")

    async def tokens(self, generation: Generation) -> list[int]:
        """The prompt of a generation."""
        characters = sum(len(message.text) for message in generation.messages) + len(generation.answered)
        if characters <= _INLINE_CHARACTERS:
            return self.encode(generation)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.encode, generation)

    def encode(self, generation: Generation) -> list[int]:
        """The same at once, on whatever thread this is."""
        tools = offered(generation)
        text: str = self._tokenizer.apply_chat_template(
            turns_of(generation.messages),
            tools=described(tools.tools) if tools else None,
            tokenize=False,
            add_generation_prompt=True,
        )
        prompt = self._ids(text)
        if not generation.answered:
            return prompt
        # The beginning of the assistant's own turn. Where its first token would be another one beside the template's last, it stays apart,
        # as it was when it was generated.
        whole = self._ids(text + generation.answered)
        return whole if whole[: len(prompt)] == prompt else prompt + self._ids(generation.answered)

    def close(self) -> None:
        """Let the thread end, when it has done what it was given."""
        self._thread.shutdown(wait=False)

    def _ids(self, text: str) -> list[int]:
        # The Rust tokenizer itself: the wrapper around it costs ten times as much. The template has written the special tokens.
        ids: list[int] = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def offered(generation: Generation) -> Tools | None:
    """What the model is told of that it may call: nothing where it must not call."""
    tools = generation.tools
    return None if tools is None or (tools.mode is ToolMode.NONE and not tools.name) else tools


def described(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """The functions as chat templates and vLLM's parsers read them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters) or {"type": "object", "properties": {}},
            },
        }
        for tool in tools
    ]


def turns_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation as chat templates read it."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return [_turn(message, names) for message in messages]


def _turn(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role.name.lower(), "content": message.text}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
            for call in message.tool_calls
        ]
    if message.role is Role.TOOL:
        turn |= {"tool_call_id": message.tool_call_id, "name": names.get(message.tool_call_id, "")}
    return turn


def _arguments(call: ToolCall) -> Any:
    """Templates write JSON themselves: a text would be quoted once more."""
    try:
        return json.loads(call.arguments)
    except ValueError:
        return call.arguments

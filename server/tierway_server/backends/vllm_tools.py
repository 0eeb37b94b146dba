"""Calling functions on a vLLM engine, by vLLM's own parsers: what holds a model to its form of a call, and what reads calls out of text.

Models differ in how they write a call, and so do their parsers; `engines.NAME.tool_parser` names the right one. Text that is no call is
passed on as it comes. Calls are given whole, when the answer is over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tierway_server.backends.base import Chunk, FinishReason, ToolCall, ToolMode, Tools
from tierway_server.backends.vllm_prompt import described
from tierway_server.errors import ModelUnavailableError, NotOfferedError

if TYPE_CHECKING:
    from vllm.entrypoints.generate.base.protocol import DeltaToolCall
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.parser import Parser
    from vllm.sampling_params import SamplingParams


def check_tool_parser(name: str) -> None:
    """Say before an engine starts what would only be found when it has: vLLM knows no parser of this name.

    Raises:
        ModelUnavailableError: so it is.

    """
    from vllm.parser import ParserManager

    try:
        ParserManager.get_tool_parser(tool_parser_name=name, enable_auto_tools=True)
    except TypeError:
        raise ModelUnavailableError(f'vLLM has no tool parser "{name}"') from None


class ToolParsing:
    """One of vLLM's parsers, for one engine.

    Args:
        name: vLLM's name for it.
        tokenizer: the engine's.

    Raises:
        ModelUnavailableError: vLLM has no parser of this name, or it cannot be used with this tokenizer.

    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        from vllm.parser import ParserManager

        try:
            parser = ParserManager.get_parser(tool_parser_name=name, enable_auto_tools=True, tokenizer=tokenizer)
        except TypeError:
            raise ModelUnavailableError(f'vLLM has no tool parser "{name}" that fits this model') from None
        assert parser is not None  # what is named is had, or raises
        self._parser = parser
        self._tokenizer = tokenizer

    def begin(self, tools: Tools, params: SamplingParams) -> Calls:
        """What reads the calls of one answer.

        Args:
            tools: what the model may call.
            params: how the engine generates; told here what the parser needs of it.

        Raises:
            NotOfferedError: the model cannot be held to the choice.
            ValueError: (of vLLM) a tool that it cannot offer.

        """
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        is_bound = bool(tools.name) or tools.mode is ToolMode.REQUIRED or tools.parallel is False
        offered = described(tools.tools)
        if is_bound:  # by a grammar: it may as well hold the arguments to their schema
            for tool in offered:
                tool["function"]["strict"] = True
        request = ChatCompletionRequest(
            messages=[],  # of no meaning here: the prompt has been made
            tools=offered,
            tool_choice=_choice(tools),
            parallel_tool_calls=tools.parallel is not False,
            structured_outputs=params.structured_outputs,
        )
        parser = self._parser(self._tokenizer, request.tools)
        request = parser.adjust_request(request)
        if is_bound and request.structured_outputs is None:
            raise NotOfferedError("the engine cannot be held to this choice", field="query.tool_choice")
        params.structured_outputs = request.structured_outputs
        params.skip_special_tokens = request.skip_special_tokens  # in some models they mark a call
        return Calls(parser, request)


class Calls:
    """Takes the calls out of one answer, as it comes."""

    def __init__(self, parser: Parser, request: ChatCompletionRequest) -> None:
        self._parser = parser
        self._request = request
        self._begun: dict[int, _Begun] = {}
        self._read = ""
        self._passed_characters = 0

    def taken_out(self, chunk: Chunk, token_ids: Sequence[int], prompt: list[int]) -> Chunk:
        """The same chunk with what of it, or of what was held back before, is text; the last one with all calls.

        A call that the answer's end cut short is left out; what only looked like the beginning of one is text after all.
        """
        is_last = chunk.finish_reason is not None
        is_whole = chunk.finish_reason is FinishReason.STOP
        # At the end of an answer vLLM completes the last call; one that was cut short it would complete with arguments of its own.
        delta = self._parser.parse_delta(chunk.text, list(token_ids), self._request, prompt, finished=is_whole)
        text = ""
        if delta is not None:
            text = delta.content or ""
            for part in delta.tool_calls or ():
                self._begun.setdefault(part.index, _Begun()).add(part)
        self._read += chunk.text
        self._passed_characters += len(text)
        if not is_last:
            return replace(chunk, text=text)
        calls = [begun.call(index) for index, begun in sorted(self._begun.items()) if begun.name]
        if not is_whole and calls and not _is_json(calls[-1].arguments):
            calls.pop()
        if is_whole and not self._begun:
            text += self._read[self._passed_characters :]
        reason = FinishReason.TOOL_CALLS if calls and is_whole else chunk.finish_reason
        return replace(chunk, text=text, tool_calls=tuple(calls), finish_reason=reason)


class _Begun:
    """A call of which more may come."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = self.name = self.arguments = ""

    def add(self, part: DeltaToolCall) -> None:
        self.id = self.id or part.id or ""
        if part.function is not None:
            self.name = self.name or part.function.name or ""
            self.arguments += part.function.arguments or ""

    def call(self, index: int) -> ToolCall:
        return ToolCall(self.id or f"call-{index}", self.name, self.arguments)


def _choice(tools: Tools) -> str | dict[str, Any]:
    if tools.name:
        return {"type": "function", "function": {"name": tools.name}}
    return "required" if tools.mode is ToolMode.REQUIRED else "auto"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

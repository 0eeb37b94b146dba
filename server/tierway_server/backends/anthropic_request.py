"""What we ask, in the words of Anthropic's Messages API.

| ours | Anthropic's |
|---|---|
| system turns | `system`, wherever they stood: most models know them at the beginning only |
| user turns, images | `text` and `image` blocks, by `base64` or by `url` |
| assistant turns, tool calls | `text` and `tool_use` blocks; arguments have to be a JSON object |
| results of tools | `tool_result` blocks of a user turn, those of one turn together |
| names of calls | the same; others' that have characters that it does not know get one of these instead |
| tools, choice, parallel | `tools`; `tool_choice` `auto`, `none`, `any`, `tool`; `disable_parallel_tool_use` |
| JSON Schema | `output_config.format`; an empty one, which that does not know, a tool that the model must call |
| `answered` | the beginning of the assistant's turn (prefill) where the model takes one, else `asked_to_continue` |
| max_tokens, stop | `max_tokens`, `stop_sequences` |
| temperature, top_p, top_k | the same, of the API's version 2023-06-01: the current one has none, and neither have newer models |
| seed, penalties, log-probabilities | there are none: refused here, and routing never comes here with them |

How the reply is read is `anthropic_reply.py`'s affair.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tierway_server.backends.base import (
    Generation,
    Image,
    Message,
    Role,
    ToolCall,
    ToolMode,
    Tools,
)
from tierway_server.backends.continuation import asked_to_continue
from tierway_server.errors import NotOfferedError

JSON_TOOL = "answer"
"""The tool that a model must call where any JSON object is asked for."""

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""The names of calls that the API takes back."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in Anthropic's words, and how its reply is to be read."""

    body: dict[str, Any]
    is_sampled: bool = False
    """Whether it has a say in how tokens are sampled, which takes the API's older version."""
    is_json_by_tool: bool = False
    """Whether the calls of `JSON_TOOL` are the answer's text."""
    is_asked_to_continue: bool = False
    """Whether the reply may repeat what was answered already."""
    white_space: str = ""
    """The end of what was answered, which the API does not take; the reply may begin with it again."""


def asked(generation: Generation, model: str, max_tokens: int, *, can_prefill: bool) -> Asked:
    """Write a generation in Anthropic's words.

    Args:
        generation: what is wanted.
        model: what Anthropic calls the model.
        max_tokens: the bound on the answer.
        can_prefill: whether it goes on from an assistant's turn that has begun. Older models do, newer ones refuse it.

    Raises:
        NotOfferedError: it asks for something that the API does not have.

    """
    _refuse_what_is_not_there(generation)
    sampling, messages, answered = generation.sampling, generation.messages, generation.answered
    # What is forced into a format is forced to begin anew, and so is what is forced into a tool.
    is_prefilled = bool(answered.strip()) and can_prefill and generation.json_schema is None
    is_continued = bool(answered.strip()) and not is_prefilled
    if is_prefilled:
        messages = (*messages, Message(Role.ASSISTANT, answered.rstrip()))
    elif is_continued:
        messages = asked_to_continue(messages, answered, generation.json_schema)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens,
        "messages": list(_turns(messages)),
        "stream": True,
    }
    if system := [_text(each.text) for each in messages if each.role is Role.SYSTEM and each.text.strip()]:
        body["system"] = system
    sampled = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop_sequences": list(sampling.stop) or None,
    }
    body |= {name: value for name, value in sampled.items() if value is not None}
    is_sampled = not body.keys().isdisjoint(("temperature", "top_p", "top_k"))
    if generation.tools is not None:
        body |= _tools(generation.tools)
    is_json_by_tool = False
    if generation.json_schema is not None and not is_continued:
        is_json_by_tool = not generation.json_schema
        body |= _json(generation)
    white_space = answered[len(answered.rstrip()) :] if is_prefilled else ""
    return Asked(body, is_sampled, is_json_by_tool, is_continued, white_space)


def _refuse_what_is_not_there(generation: Generation) -> None:
    sampling = generation.sampling
    stated = {
        "seed": sampling.seed is not None,
        "presence_penalty": bool(sampling.presence_penalty),
        "frequency_penalty": bool(sampling.frequency_penalty),
        "top_logprobs": sampling.top_logprobs is not None,
    }
    for name, is_stated in stated.items():
        if is_stated:
            raise NotOfferedError(f"this deployment's provider has no {name}", field=f"sampling.{name}")
    for index, stop in enumerate(sampling.stop):
        if stop.isspace():
            raise NotOfferedError(
                "this deployment's provider takes no stop text of white space alone", field=f"sampling.stop[{index}]"
            )


def _turns(messages: tuple[Message, ...]) -> Iterator[dict[str, Any]]:
    """The conversation without its system turns; neighbours of one role are one turn, as the API demands of tools' results."""
    role, content = "", list[dict[str, Any]]()
    for message in messages:
        if message.role is Role.SYSTEM:
            continue
        speaker = "assistant" if message.role is Role.ASSISTANT else "user"
        if speaker != role and content:
            yield {"role": role, "content": content}
            content = []
        role = speaker
        content.extend(_blocks(message))
    if content:
        yield {"role": role, "content": content}


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    parts = [_image(part) if isinstance(part, Image) else _text(part) for part in message.parts or (message.text,)]
    # The API refuses texts of nothing but white space.
    shown = [part for part in parts if part.get("text", "?").strip()]
    if message.role is Role.TOOL:
        yield {"type": "tool_result", "tool_use_id": _call_id(message.tool_call_id), "content": shown}
        return
    yield from shown
    for call in message.tool_calls:
        yield {"type": "tool_use", "id": _call_id(call.id), "name": call.name, "input": _arguments(call)}


def _call_id(call_id: str) -> str:
    """What a call is named here. Another provider may have named it in its way, `functions.weather:0`; the same name is always the same."""
    return call_id if _CALL_ID.fullmatch(call_id) else f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:24]}"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(image: Image) -> dict[str, Any]:
    if image.uri:
        return {"type": "image", "source": {"type": "url", "url": image.uri}}
    data = base64.b64encode(image.data).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": image.mime_type, "data": data}}


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        return msgspec.json.decode(call.arguments.strip() or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise NotOfferedError(
            "this deployment's provider takes back only calls whose arguments are a JSON object", field="query.messages"
        ) from None


def _tools(tools: Tools) -> dict[str, Any]:
    written: dict[str, Any] = {
        "tools": [
            {"name": tool.name, "input_schema": {"type": "object", **tool.parameters}}
            | ({"description": tool.description} if tool.description else {})
            for tool in tools.tools
        ]
    }
    if tools.name:
        choice: dict[str, Any] = {"type": "tool", "name": tools.name}
    else:
        choice = {"type": {ToolMode.AUTO: "auto", ToolMode.NONE: "none", ToolMode.REQUIRED: "any"}[tools.mode]}
    if tools.parallel is not None and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = not tools.parallel
    return {**written, "tool_choice": choice}


def _json(generation: Generation) -> dict[str, Any]:
    if generation.json_schema:
        return {"output_config": {"format": {"type": "json_schema", "schema": _closed(generation.json_schema)}}}
    if generation.tools is not None:
        raise NotOfferedError(
            "this deployment's provider cannot be held to any JSON object and call tools at once", field="query.tools"
        )
    tool = {
        "name": JSON_TOOL,
        "description": "The answer. Call this with it, and say nothing else.",
        "input_schema": {"type": "object"},
    }
    return {"tools": [tool], "tool_choice": {"type": "tool", "name": JSON_TOOL, "disable_parallel_tool_use": True}}


def _closed(schema: Any) -> Any:
    """The schema with `additionalProperties: false` where it leaves open whether there are any: the API takes no other.

    What satisfies this satisfies the caller's schema too. Where that one allows others in so many words it stays, and is refused.
    """
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {
        # A property, or a definition, may have any name: only what is below it is a schema.
        key: {name: _closed(each) for name, each in value.items()}
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping)
        else value
        if key in ("enum", "const", "default", "examples", "required")
        else _closed(value)
        for key, value in schema.items()
    }
    if isinstance(schema.get("properties"), Mapping):
        closed.setdefault("additionalProperties", False)
    return closed

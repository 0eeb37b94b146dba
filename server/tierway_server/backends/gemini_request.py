"""What we ask, in the words of Google's own Gemini API (`generateContent`).

| ours | Gemini's |
|---|---|
| system turns | `systemInstruction`, wherever they stood |
| user and assistant turns, images | `contents` of `user` and `model`; `text` and `inlineData` parts |
| tool calls, results of tools | `functionCall` and `functionResponse` parts; both JSON objects: a result that is none becomes one |
| tools, choice | `functionDeclarations`; `functionCallingConfig` `AUTO`, `NONE`, `ANY`, with a name |
| JSON Schema | `responseMimeType` with `responseJsonSchema`; an empty one without |
| `answered` | `asked_to_continue` |
| all of sampling, log-probabilities | `generationConfig`: also top_k, seed and penalties, which its endpoint for OpenAI's SDK refuses |
| images by address, parallel calls | there are none: routing never comes here with them |

How the reply is read is `gemini_reply.py`'s affair.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tierway_server.backends.base import Generation, Image, Message, Role, Sampling, ToolCall, ToolMode, Tools
from tierway_server.backends.continuation import asked_to_continue
from tierway_server.errors import NotOfferedError

_MODES = {ToolMode.AUTO: "AUTO", ToolMode.NONE: "NONE", ToolMode.REQUIRED: "ANY"}
_THINKS_IN_CALLS = re.compile(r"gemini-(?:[3-9]|[1-9][0-9])\b")
_SEED_BITS = 2**31 - 1
"""As many bits of a seed the API takes: the lower ones of ours."""
_NO_SIGNATURE = "skip_thought_signature_validator"
"""From Gemini 3 on a call is taken back only with the signature that came with it, which our contract does not carry. Google's
documentation has this one for calls that have none."""


def request_body(generation: Generation, model: str, max_tokens: int) -> dict[str, Any]:
    """Write a generation in Gemini's words.

    Args:
        generation: what is wanted.
        model: what Google calls the model.
        max_tokens: the bound on the answer.

    Raises:
        NotOfferedError: it asks for something that the API does not have.

    """
    is_continued = bool(generation.answered.strip())
    messages = asked_to_continue(generation.messages, generation.answered, generation.json_schema)
    config = _sampled(generation.sampling) | {"maxOutputTokens": max_tokens}
    # What is held to a schema would begin again.
    if generation.json_schema is not None and not is_continued:
        config["responseMimeType"] = "application/json"
        if generation.json_schema:
            config["responseJsonSchema"] = generation.json_schema
    body: dict[str, Any] = {"contents": list(_turns(messages, model)), "generationConfig": config}
    if system := [{"text": each.text} for each in messages if each.role is Role.SYSTEM and each.text]:
        body["systemInstruction"] = {"parts": system}
    if generation.tools is not None:
        body |= _tools(generation.tools)
    return body


def _sampled(sampling: Sampling) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "seed": None if sampling.seed is None else sampling.seed & _SEED_BITS,
        "presencePenalty": sampling.presence_penalty,
        "frequencyPenalty": sampling.frequency_penalty,
        "stopSequences": list(sampling.stop) or None,
    }
    if sampling.top_logprobs is not None:
        stated["responseLogprobs"] = True
        stated["logprobs"] = sampling.top_logprobs or None
    return {name: value for name, value in stated.items() if value is not None}


def _turns(messages: tuple[Message, ...], model: str) -> Iterator[dict[str, Any]]:
    """The conversation without its system turns; neighbours of one role are one turn."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    role = ""
    parts: list[dict[str, Any]] = []
    for message in messages:
        if message.role is Role.SYSTEM:
            continue
        speaker = "model" if message.role is Role.ASSISTANT else "user"
        if speaker != role and parts:
            yield {"role": role, "parts": parts}
            parts = []
        role = speaker
        parts.extend(_parts(message, names, model))
    if parts:
        yield {"role": role, "parts": parts}


def _parts(message: Message, names: Mapping[str, str], model: str) -> Iterator[dict[str, Any]]:
    if message.role is Role.TOOL:
        result = {
            "id": message.tool_call_id,
            "name": names.get(message.tool_call_id, message.tool_call_id),
            "response": _object(message.text) or {"result": message.text},
        }
        yield {"functionResponse": result}
        return
    for part in message.parts or (message.text,):
        if isinstance(part, Image):
            yield _image(part)
        elif part:
            yield {"text": part}
    for call in message.tool_calls:
        yield _call(call, model)


def _image(image: Image) -> dict[str, Any]:
    if image.uri:
        raise NotOfferedError("this deployment's provider takes no images by address", field="query.messages")
    return {"inlineData": {"mimeType": image.mime_type, "data": base64.b64encode(image.data).decode()}}


def _call(call: ToolCall, model: str) -> dict[str, Any]:
    arguments = _object(call.arguments.strip() or "{}")
    if arguments is None:
        raise NotOfferedError(
            "this deployment's provider takes back only calls whose arguments are a JSON object", field="query.messages"
        )
    part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": arguments}}
    if _THINKS_IN_CALLS.search(model):
        part["thoughtSignature"] = _NO_SIGNATURE
    return part


def _object(text: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None


def _tools(tools: Tools) -> dict[str, Any]:
    declared = [
        {"name": tool.name, "description": tool.description}
        | ({"parametersJsonSchema": {"type": "object", **tool.parameters}} if tool.parameters else {})
        for tool in tools.tools
    ]
    choice: dict[str, Any] = {"mode": "ANY" if tools.name else _MODES[tools.mode]}
    if tools.name:
        choice["allowedFunctionNames"] = [tools.name]
    return {"tools": [{"functionDeclarations": declared}], "toolConfig": {"functionCallingConfig": choice}}

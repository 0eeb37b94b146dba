"""A generation as a request of OpenAI's chat completions, in the dialect of the service: the one way out.

What a dialect lacks is refused here with `NotOfferedError`. Routing knows of it and sends such requests elsewhere, so that this is
only met where the configuration promises what is not there.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tierway_core import estimate_tokens
from tierway_server.backends.base import Generation, Image, Message, Role, Tool, ToolMode, Tools
from tierway_server.backends.image_tokens import image_tokens
from tierway_server.backends.openai_dialects import Dialect, Prefill, Schema
from tierway_server.backends.strict_schema import keeps_strict_rules
from tierway_server.errors import CostCeilingError, NotOfferedError

_ROLES = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant", Role.TOOL: "tool"}
_MODES = {ToolMode.AUTO: "auto", ToolMode.NONE: "none", ToolMode.REQUIRED: "required"}
_MANY_STOPS = 4
_HIGH_TEMPERATURE = 1.0
_SAY_JSON = "Answer with a JSON object."
_TURN_TOKENS = 4
"""What a turn costs beside its text, in most templates."""


def request_body(
    generation: Generation, dialect: Dialect, lacks: frozenset[str], *, model: str, context_tokens: int
) -> dict[str, Any]:
    """Return what to post for `generation`, but for the deployment's own parameters.

    Args:
        generation: what to generate; of `answered`, only what a service continues by itself is put into the request.
        dialect: of the service.
        lacks: what the deployment cannot do.
        model: what the service calls the model.
        context_tokens: most tokens of prompt and answer together.

    Raises:
        NotOfferedError: the generation needs what the deployment lacks.
        CostCeilingError: the prompt alone is estimated to cost more than the request may.

    """
    messages = [_message(message, lacks) for message in generation.messages]
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
    body["stream_options"] = {"include_usage": True}
    body[dialect.max_tokens] = _max_tokens(generation, context_tokens)
    _sample(body, generation, lacks, dialect.least_alternatives)
    if generation.tools is not None:
        _offer(body, generation.tools, lacks)
    if generation.json_schema is not None:
        _hold_to(body, generation.json_schema, dialect, lacks)
    if generation.answered:
        messages.append({"role": "assistant", "content": generation.answered})
        if dialect.prefill is Prefill.VLLM:
            body |= {"continue_final_message": True, "add_generation_prompt": False}
    return {**body, **dialect.parameters}


def estimated_input_tokens(generation: Generation) -> int:
    """About how many tokens the prompt has."""
    tokens = estimate_tokens(generation.answered)
    for message in generation.messages:
        images = sum(image_tokens(part) for part in message.parts if isinstance(part, Image))
        calls = sum(estimate_tokens(call.name + call.arguments) for call in message.tool_calls)
        tokens += estimate_tokens(message.text) + calls + _TURN_TOKENS + images
    return tokens


def _max_tokens(generation: Generation, context_tokens: int) -> int:
    """The bound on the answer: what was asked, what the context is estimated to leave, and what the cost ceiling pays for."""
    prompt_tokens = estimated_input_tokens(generation)
    left = max(1, context_tokens - prompt_tokens)  # whether it really does not fit, the service knows
    if (ceiling := generation.cost_ceiling) and (affordable := ceiling.affordable_tokens(prompt_tokens)) is not None:
        if affordable < 1:
            raise CostCeilingError("the prompt alone exceeds the cost ceiling", field="preferences.max_cost_usd")
        left = min(left, affordable)
    return min(left, generation.max_tokens)


def _message(message: Message, lacks: frozenset[str]) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": _ROLES[message.role], "content": message.text}
    if message.parts:
        turn["content"] = [_part(part, lacks) for part in message.parts]
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        turn["content"] = turn["content"] or None
    if message.role is Role.TOOL:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _part(part: str | Image, lacks: frozenset[str]) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.uri:
        _require("image_uri", lacks, "query.messages")
        return {"type": "image_url", "image_url": {"url": part.uri}}
    _require("image_data", lacks, "query.messages")
    data = base64.b64encode(part.data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{part.mime_type};base64,{data}"}}


def _sample(body: dict[str, Any], generation: Generation, lacks: frozenset[str], least_alternatives: int) -> None:
    sampling = generation.sampling
    if "penalties" in lacks and not (sampling.presence_penalty or sampling.frequency_penalty):
        sampling = replace(sampling, presence_penalty=None, frequency_penalty=None)  # none is what it has anyway
    stated: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": list(sampling.stop) or None,
    }
    needs = {
        "sampling": (sampling.temperature, sampling.top_p) != (None, None),
        "high_temperature": sampling.temperature is not None and sampling.temperature > _HIGH_TEMPERATURE,
        "top_k": sampling.top_k is not None,
        "seed": sampling.seed is not None,
        "penalties": (sampling.presence_penalty, sampling.frequency_penalty) != (None, None),
        "many_stops": len(sampling.stop) > _MANY_STOPS,
        "logprobs": sampling.top_logprobs is not None,
    }
    for feature, is_needed in needs.items():
        if is_needed:
            _require(feature, lacks, "sampling")
    body |= {key: value for key, value in stated.items() if value is not None}
    if sampling.top_logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = max(sampling.top_logprobs, least_alternatives)


def _offer(body: dict[str, Any], tools: Tools, lacks: frozenset[str]) -> None:
    is_silent = tools.mode is ToolMode.NONE and not tools.name
    if not tools.tools or (is_silent and "tool_choice" in lacks):
        return  # what must not be called, and cannot be forbidden, is not offered
    _require("tools", lacks, "tools")
    body["tools"] = [_tool(tool) for tool in tools.tools]
    if tools.name:
        _require("tool_choice", lacks, "tool_choice")
        body["tool_choice"] = {"type": "function", "function": {"name": tools.name}}
    elif tools.mode is not ToolMode.AUTO:
        _require("tool_choice", lacks, "tool_choice")
        body["tool_choice"] = _MODES[tools.mode]
    if tools.parallel is not None:
        _require("parallel_tools", lacks, "tool_choice")
        body["parallel_tool_calls"] = tools.parallel


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = dict(tool.parameters)
    return {"type": "function", "function": function}


def _hold_to(body: dict[str, Any], schema: Mapping[str, Any], dialect: Dialect, lacks: frozenset[str]) -> None:
    if not schema:
        _require("json_object", lacks, "query.response_format")
        body["response_format"] = {"type": "json_object"}
        if dialect.must_name_json and not any("json" in str(turn["content"]).lower() for turn in body["messages"]):
            body["messages"].insert(0, {"role": "system", "content": _SAY_JSON})
        return
    _require("json_schema", lacks, "query.response_format")
    wanted: dict[str, Any] = {"name": "answer", "schema": dict(schema)}
    if dialect.schema is Schema.STRICT:
        wanted["strict"] = schema.get("type") == "object" and keeps_strict_rules(schema)
    body["response_format"] = {"type": "json_schema", "json_schema": wanted}


def _require(feature: str, lacks: frozenset[str], field: str) -> None:
    if feature in lacks:
        raise NotOfferedError("this deployment cannot do what the field asks for", field=field)

"""The mapping table of vLLM's own gRPC service, `vllm.grpc.engine.VllmEngine` of `smg-grpc-proto`, both ways.

| ours | vLLM's |
|---|---|
| conversation, `answered` | `tokenized.input_ids`: its tokenizer and template are used here |
| max_tokens, temperature, top_p, top_k, penalties, stop | the same; what is not stated is the model's own default, which the server tells |
| seed | `seed`, of 31 bits: the lower ones of ours |
| JSON Schema | `json_schema`, as text; an empty one `json_object`; none where an answer is continued, for it would begin again |
| log-probabilities | `logprobs`: one alternative more than asked, because the sampled token takes a place among them |
| tools, images | there are none here: routing never comes here with them |

| vLLM's | ours |
|---|---|
| `chunk.token_ids` | text, decoded here |
| `finish_reason` `stop`, `length` and any other | STOP, LENGTH; `abort` and `error` are failures |
| `prompt_tokens`, `cached_tokens` | input tokens, cached ones; output tokens are counted here, for the last message counts a part |
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from smg_grpc_proto.generated import vllm_engine_pb2 as pb

from tierway_server.backends.base import FinishReason, Generation, TokenLogprob
from tierway_server.backends.chat_tokenizer import ChatTokenizer
from tierway_server.errors import NotOfferedError

MOST_LOGPROBS = 20
"""More than that vLLM does not tell unless it is started so. With so many asked for, the last alternative is the sampled token where
that is none of the likeliest."""

_SEED_BITS = 31
_DEFAULTS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def defaults(text: str) -> dict[str, float]:
    """The model's own sampling, as the server tells it in `default_sampling_params_json`."""
    try:
        told = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    return {name: told[name] for name in _DEFAULTS if isinstance(told.get(name), int | float)}


def request(
    generation: Generation, prompt: Sequence[int], max_tokens: int, default: Mapping[str, float]
) -> pb.GenerateRequest:
    """Write a generation in vLLM's words.

    Raises:
        NotOfferedError: it asks for what this way cannot carry.

    """
    if generation.tools is not None:
        raise NotOfferedError("this deployment cannot call tools", field="query.tools")
    if any(message.parts for message in generation.messages):
        raise NotOfferedError("this deployment cannot see images", field="query.messages")
    sampling = generation.sampling
    stated: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": sampling.stop or None,
        "seed": None if sampling.seed is None else sampling.seed & (2**_SEED_BITS - 1),
        "logprobs": None if sampling.top_logprobs is None else _asked_logprobs(sampling.top_logprobs),
    }
    params = {**default, **{name: value for name, value in stated.items() if value is not None}}
    if "top_k" in params:
        params["top_k"] = max(0, int(params["top_k"]))  # vLLM's -1 is 0 here
    if generation.json_schema is not None and not generation.answered:
        if generation.json_schema:
            params["json_schema"] = json.dumps(generation.json_schema)
        else:
            params["json_object"] = True
    return pb.GenerateRequest(
        request_id=generation.id,
        tokenized=pb.TokenizedInput(input_ids=prompt),
        sampling_params=pb.SamplingParams(
            **params, max_tokens=max_tokens, skip_special_tokens=True, spaces_between_special_tokens=True
        ),
        stream=True,
    )


def finish_reason(reason: str) -> FinishReason:
    """Our finish reason for vLLM's; whatever is no stop has cut the answer."""
    return FinishReason.STOP if reason == "stop" else FinishReason.LENGTH


def logprobs(chunk: pb.GenerateStreamChunk, alternatives: int, tokenizer: ChatTokenizer) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of a chunk's tokens, each with its likeliest alternatives."""
    told = chunk.output_logprobs
    entries = []
    for place, (token_id, value) in enumerate(zip(told.token_ids, told.token_logprobs, strict=True)):
        top: list[tuple[str, float]] = []
        if place < len(told.top_logprobs):
            others = told.top_logprobs[place]
            ranked = sorted(zip(others.values, others.token_ids, strict=True), key=lambda other: -other[0])
            top = [(tokenizer.token(other_id), other) for other, other_id in ranked[:alternatives]]
        entries.append(TokenLogprob(tokenizer.token(token_id), value, tuple(top)))
    return tuple(entries)


def _asked_logprobs(alternatives: int) -> int:
    return min(alternatives + 1, MOST_LOGPROBS) if alternatives else 0

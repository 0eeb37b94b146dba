"""What a request needs of whoever answers it: what providers differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tierway_core import Feature
from tierway_server.backends.base import Message, Sampling, ToolMode, Tools
from tierway_server.rpc.decode_conversation import images_of

_FEW_STOPS = 4
_TEMPERATURE = 1.0
"""What every provider takes that takes any."""


def needs_of(
    messages: Sequence[Message], tools: Tools | None, sampling: Sampling, json_schema: Mapping[str, Any] | None
) -> int:
    """All features that the request asks for: flags of `Feature`."""
    needs = 0  # a number, not a flag: each `|` of those takes a microsecond
    if len(messages) > 1 or messages[0].parts:
        for image in images_of(messages):
            needs |= Feature.IMAGE_URI.value if image.uri else Feature.IMAGE_DATA.value
        if any(message.tool_calls for message in messages):
            needs |= Feature.TOOLS.value
    if tools is not None:
        needs |= Feature.TOOLS.value
        if tools.name or tools.mode is ToolMode.REQUIRED:
            needs |= Feature.TOOL_CHOICE.value
        if tools.parallel is not None:
            needs |= Feature.PARALLEL_TOOLS.value
    if json_schema is not None:
        needs |= Feature.JSON_SCHEMA.value if json_schema else Feature.JSON_OBJECT.value
    return needs | _sampling_needs(sampling)


def _sampling_needs(sampling: Sampling) -> int:
    needs = 0
    if sampling.top_logprobs is not None:
        needs |= Feature.LOGPROBS.value
    if sampling.top_k is not None:
        needs |= Feature.TOP_K.value
    if sampling.seed is not None:
        needs |= Feature.SEED.value
    if sampling.presence_penalty or sampling.frequency_penalty:
        needs |= Feature.PENALTIES.value
    if len(sampling.stop) > _FEW_STOPS:
        needs |= Feature.MANY_STOPS.value
    if sampling.temperature is not None or sampling.top_p is not None:
        needs |= Feature.SAMPLING.value
    if sampling.temperature is not None and sampling.temperature > _TEMPERATURE:
        needs |= Feature.HIGH_TEMPERATURE.value
    return needs

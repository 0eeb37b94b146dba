"""How tokens are sampled and in which form the answer comes: from the wire to the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tierway.v1 import types_pb2 as types_pb
from tierway_server.backends.base import Sampling
from tierway_server.errors import InvalidRequestError
from tierway_server.rpc.structs import plain

_MAX_STOPS, _MAX_STOP_CHARACTERS = 16, 256

# Inclusive bounds of the numeric sampling fields; see the contract's comments.
_SAMPLING_BOUNDS: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_p": (1e-9, 1.0),
    "top_k": (1, 1_000_000),
    "max_tokens": (1, 2**31 - 1),
    "seed": (0, 2**63 - 1),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "top_logprobs": (0, 20),
}


def sampled(sampling: types_pb.Sampling) -> Sampling:
    """How tokens are sampled.

    Raises:
        InvalidRequestError: a field is out of its bounds.

    """
    stated: dict[str, Any] = {}
    for descriptor, value in sampling.ListFields():
        name = descriptor.name
        if name == "stop":
            stated[name] = _stops(value)
            continue
        low, high = _SAMPLING_BOUNDS[name]
        if not low <= value <= high:  # false for NaN, too
            bounds = "above 0 and at most 1" if name == "top_p" else f"{low:g} to {high:g}"
            raise InvalidRequestError(f"must be {bounds}", field=f"sampling.{name}")
        stated[name] = value
    return Sampling(**stated)


def _stops(stops: Sequence[str]) -> tuple[str, ...]:
    if len(stops) > _MAX_STOPS:
        raise InvalidRequestError(f"at most {_MAX_STOPS} stop texts", field="sampling.stop")
    for index, stop in enumerate(stops):
        if not 1 <= len(stop) <= _MAX_STOP_CHARACTERS:
            raise InvalidRequestError(
                f"a stop text has 1 to {_MAX_STOP_CHARACTERS} characters", field=f"sampling.stop[{index}]"
            )
    return tuple(stops)


def schema_of(form: types_pb.ResponseFormat) -> dict[str, Any]:
    """The JSON Schema asked for; an empty one stands for any JSON object.

    Raises:
        InvalidRequestError: no kind of form is set, or the schema is empty.

    """
    match form.WhichOneof("format"):
        case "json_object":
            return {}
        case "json_schema":
            path = "query.response_format.json_schema"
            schema = plain(form.json_schema, path)
            if not schema:
                raise InvalidRequestError("is empty; json_object asks for any object", field=path)
            return schema
        case _:
            raise InvalidRequestError("set json_object or json_schema", field="query.response_format")

"""This client's values as the contract's messages: what is asked. The way back is `_decode` and `_decode_fleet`."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_client._errors import InvalidArgumentError
from tierway_client._query import Image, JsonObject, JsonSchema, Message, Preferences, Query, Sampling, Text
from tierway_client._tools import Tool, ToolChoice

_Request = TypeVar("_Request", rpc.RouteRequest, rpc.ExplainRequest, rpc.ExecuteRequest, rpc.StreamRequest)


def encode_request(request_type: type[_Request], query: Query) -> _Request:
    """The request message of Route, Explain, Execute or Stream.

    Raises:
        InvalidArgumentError: A value does not fit the contract's type (text for a number, a number out of its range, a lone surrogate).
    """
    with _naming("query"):
        asked = pb.Query(
            prompt=query.prompt,
            messages=[_encode_message(message) for message in query.messages or ()],
            response_format=_encode_response_format(query.response_format),
            tools=[_encode_tool(tool) for tool in query.tools],
            tool_choice=_encode_tool_choice(query.tool_choice) if query.tool_choice is not None else None,
        )
    with _naming("preferences"):
        preferences = _encode_preferences(query.preferences) if query.preferences is not None else None
    with _naming("sampling"):
        sampling = _encode_sampling(query.sampling) if query.sampling is not None else None
    with _naming("request_id"):
        return request_type(query=asked, preferences=preferences, sampling=sampling, request_id=query.request_id)


def encode_explain(query: Query, *, max_features: int) -> rpc.ExplainRequest:
    """The request message of Explain."""
    request = encode_request(rpc.ExplainRequest, query)
    with _naming("max_features"):
        request.max_features = max_features
    return request


def encode_batch(queries: Iterable[str | Query], *, include_reasons: bool) -> rpc.RouteBatchRequest:
    """The request message of RouteBatch; text stands for a query of just that prompt."""
    asked = (Query(query) if isinstance(query, str) else query for query in queries)
    return rpc.RouteBatchRequest(
        requests=[encode_request(rpc.RouteRequest, query) for query in asked], include_reasons=include_reasons
    )


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Turns protobuf's refusal of a value into an error that names the part of the request."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InvalidArgumentError.of_field(field, f"a value does not fit the contract: {error}") from error


def _encode_message(message: Message) -> pb.Message:
    return pb.Message(
        role=cast("pb.Role", message.role),
        parts=[_encode_part(part) for part in message.parts],
        tool_calls=[pb.ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls],
        tool_call_id=message.tool_call_id,
    )


def _encode_part(part: Text | Image) -> pb.Part:
    if isinstance(part, Image):
        return pb.Part(image=pb.Image(data=part.data, uri=part.uri, mime_type=part.mime_type))
    return pb.Part(text=part.text)


def _encode_response_format(form: JsonObject | JsonSchema | None) -> pb.ResponseFormat | None:
    match form:
        case None:
            return None
        case JsonObject():
            return pb.ResponseFormat(json_object=pb.JsonObject())
        case JsonSchema(schema):
            return pb.ResponseFormat(json_schema=_struct(schema))
    raise TypeError(f"response_format must be a JsonObject or a JsonSchema, not {type(form).__name__}")


def _encode_tool(tool: Tool) -> pb.Tool:
    return pb.Tool(name=tool.name, description=tool.description, parameters=_struct(tool.parameters))


def _encode_tool_choice(choice: ToolChoice) -> pb.ToolChoice:
    return pb.ToolChoice(mode=cast("pb.ToolMode | None", choice.mode), name=choice.name, parallel=choice.parallel)


def _struct(values: Mapping[str, object]) -> Struct:
    struct = Struct()
    struct.update(cast("dict[str, Any]", values))
    return struct


def _encode_preferences(preferences: Preferences) -> pb.Preferences:
    budget_s, cache_age_s = preferences.latency_budget_s, preferences.max_cache_age_s
    return pb.Preferences(
        agent=preferences.agent,
        task_type=preferences.task_type,
        force_model=preferences.force_model,
        min_tier=preferences.min_tier,
        max_tier=preferences.max_tier,
        max_cost_usd=preferences.max_cost_usd,
        latency_budget=_duration(budget_s) if budget_s is not None else None,
        min_compliance=preferences.min_compliance,
        cost_quality=preferences.cost_quality,
        allow_fallback=preferences.allow_fallback,
        allow_escalation=preferences.allow_escalation,
        expected_constitution_hash=preferences.expected_constitution_hash,
        strategy=preferences.strategy,
        regions=preferences.regions,
        sticky_key=preferences.sticky_key,
        allow_takeover=preferences.allow_takeover,
        allow_hedging=preferences.allow_hedging,
        max_cache_age=_duration(cache_age_s) if cache_age_s is not None else None,
        priority=cast("pb.Priority | None", preferences.priority),
    )


def _encode_sampling(sampling: Sampling) -> pb.Sampling:
    return pb.Sampling(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        top_logprobs=sampling.top_logprobs,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration

"""From the wire to the domain: requests checked field by field, each fault named by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.struct_pb2 import Struct, Value

from tierway.v1 import router_service_pb2 as router_pb
from tierway.v1 import types_pb2 as types_pb
from tierway_core import InvalidTextError, Request, estimate_tokens
from tierway_server.backends.base import Message, Role, Sampling
from tierway_server.errors import InvalidRequestError, NotSupportedError
from tierway_server.rpc.prefix import prefix_key

Query = router_pb.RouteRequest | router_pb.ExplainRequest | router_pb.ExecuteRequest | router_pb.StreamRequest
M = TypeVar("M", bound=ProtoMessage)

_PICO_USD = 1e12
_MAX_MESSAGES = 1_024
_MAX_NAME_CHARACTERS = 128
_MAX_REGIONS = 64
_MAX_STOPS, _MAX_STOP_CHARACTERS = 16, 256
_NO_SAMPLING = Sampling()
_NOTHING: Mapping[str, Any] = {}
# Preferences of the contract whose behaviour is not built yet.
_NOT_SUPPORTED = ("allow_escalation",)
_ROLES = frozenset(role.value for role in Role)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})

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


class Asked(NamedTuple):
    """A checked request. A tuple: one is made for every decision."""

    messages: tuple[Message, ...]
    sampling: Sampling
    core: Request
    """What the decision reads."""
    max_cost_picousd: int | None
    json_schema: Mapping[str, Any] | None
    expected_constitution_hash: str


def parse(kind: type[M], data: bytes) -> M:
    """The message in `data`.

    Raises:
        InvalidRequestError: the bytes are not one; broken UTF-8 is found here too.

    """
    try:
        return kind.FromString(data)
    except DecodeError:
        name = kind.DESCRIPTOR.full_name
        raise InvalidRequestError(
            f"the bytes are not a valid {name} (broken UTF-8 in a string counts)", metadata={"type": name}
        ) from None


def judged(request: Query, size_bytes: int, prompt_bytes: int, tenant: str) -> tuple[Request, str]:
    """What the decision reads of a request, and the constitutional hash that it expects: for those who only decide.

    Takes and raises what `asked` does. Most that is only to be decided is a prompt and nothing else, which needs no more than this.
    """
    if size_bytes <= prompt_bytes and not (request.HasField("preferences") or request.HasField("sampling")):
        query = request.query
        prompt = query.prompt
        if prompt and len(query.ListFields()) == 1 and not prompt.isspace():
            return Request(prompt, tenant=tenant), ""
    wanted = asked(request, size_bytes, prompt_bytes, tenant)
    return wanted.core, wanted.expected_constitution_hash


def asked(request: Query, size_bytes: int, prompt_bytes: int, tenant: str, deadline_s: float = inf) -> Asked:
    """Check a request and turn it into the domain's terms.

    Args:
        request: what came.
        size_bytes: how large it was on the wire, or more.
        prompt_bytes: the most UTF-8 bytes that its texts may have together.
        tenant: who asks; empty when nobody says so.
        deadline_s: how much time the caller has left, in seconds.

    Raises:
        InvalidRequestError: a field is wrong.

    """
    query = request.query
    if query.tools:
        raise NotSupportedError("tools are not supported yet", field="query.tools")
    conversation, has_image = _conversation(query)
    _check_size(request, size_bytes, conversation, prompt_bytes)
    # Most requests state neither preferences nor sampling: what is not there is not walked through.
    sampling = _sampling(request.sampling) if request.HasField("sampling") else _NO_SAMPLING
    json_schema = _json_schema(query) if query.HasField("response_format") else None
    max_cost_picousd, expected_hash, stated = None, "", _NOTHING
    if request.HasField("preferences"):
        preferences = request.preferences
        max_cost_picousd, expected_hash = _max_cost_picousd(preferences), preferences.expected_constitution_hash
        stated = _preferences(preferences)
    text, history_tokens = _judged(conversation)
    core = Request(
        text,
        extra_input_tokens=history_tokens,
        has_image=has_image,
        needs_response_format=json_schema is not None,
        needs_logprobs=sampling.top_logprobs is not None,
        max_tokens=sampling.max_tokens or 0,
        max_cost_picousd=-1 if max_cost_picousd is None else max_cost_picousd,
        tenant=tenant,
        deadline_s=deadline_s,
        prefix_key=prefix_key(conversation) if len(conversation) > 1 else 0,
        **stated,
    )
    return Asked(conversation, sampling, core, max_cost_picousd, json_schema, expected_hash)


def _conversation(query: types_pb.Query) -> tuple[tuple[Message, ...], bool]:
    """The messages asked, and whether an image is among them."""
    if query.prompt:
        if query.messages:
            raise InvalidRequestError("set prompt or messages, not both", field="query.prompt")
        if query.prompt.isspace():
            raise InvalidRequestError("is blank", field="query.prompt")
        return (Message(Role.USER, query.prompt),), False
    if not query.messages:
        raise InvalidRequestError("set prompt or messages", field="query")
    if len(query.messages) > _MAX_MESSAGES:
        raise InvalidRequestError(f"at most {_MAX_MESSAGES} messages", field="query.messages")
    if query.messages[-1].role != types_pb.ROLE_USER:
        raise InvalidRequestError(
            "the last message must be of the user", field=f"query.messages[{len(query.messages) - 1}].role"
        )
    messages = tuple(_message(message, f"query.messages[{index}]") for index, message in enumerate(query.messages))
    has_image = any(part.HasField("image") for message in query.messages for part in message.parts)
    if not has_image and not messages[-1].text.strip():
        raise InvalidRequestError("is blank", field=f"query.messages[{len(messages) - 1}].parts")
    return messages, has_image


def _message(message: types_pb.Message, path: str) -> Message:
    if int(message.role) not in _ROLES:
        raise InvalidRequestError("must be system, user or assistant", field=f"{path}.role")
    if not message.parts:
        raise InvalidRequestError("a message has at least one part", field=f"{path}.parts")
    texts = []
    for index, part in enumerate(message.parts):
        match part.WhichOneof("content"):
            case "text":
                texts.append(part.text)
            case "image":
                _check_image(part.image, f"{path}.parts[{index}].image", message.role)
            case _:
                raise InvalidRequestError("a part is a text or an image", field=f"{path}.parts[{index}]")
    return Message(Role(message.role), "\n".join(texts))


def _check_image(image: types_pb.Image, path: str, role: int) -> None:
    if role != Role.USER:
        raise InvalidRequestError("only user messages carry images", field=path)
    match image.WhichOneof("source"):
        case "data":
            if not image.data:
                raise InvalidRequestError("is empty", field=f"{path}.data")
            if image.mime_type not in _IMAGE_TYPES:
                raise InvalidRequestError(
                    f"must be one of {', '.join(sorted(_IMAGE_TYPES))}", field=f"{path}.mime_type"
                )
        case "uri":
            if not image.uri.startswith("https://"):
                raise InvalidRequestError("must be an https: address", field=f"{path}.uri")
            if image.mime_type:
                raise InvalidRequestError("belongs to data, not to uri", field=f"{path}.mime_type")
        case _:
            raise InvalidRequestError("set data or uri", field=path)


def _check_size(request: Query, size_bytes: int, conversation: Sequence[Message], prompt_bytes: int) -> None:
    # The size on the wire bounds the texts' from above: only a large request is counted exactly.
    if size_bytes <= prompt_bytes:
        return
    size = sum(len(message.text.encode()) for message in conversation)
    if size > prompt_bytes:
        field = "query.prompt" if request.query.prompt else "query.messages"
        raise InvalidRequestError(
            f"has {size} bytes, the limit is {prompt_bytes}",
            field=field,
            metadata={"bytes": str(size), "limit": str(prompt_bytes)},
        )


def _judged(conversation: Sequence[Message]) -> tuple[str, int]:
    """The text that the decision judges, and the estimated tokens of all the rest.

    What the user says since the last answer is judged: neither a long history nor the application's instructions make a short
    question a hard one. The rest counts as context.
    """
    if len(conversation) == 1:
        return conversation[0].text, 0
    turn: list[str] = []
    rest_tokens = 0
    is_last_turn = True
    try:
        for message in reversed(conversation):
            is_last_turn = is_last_turn and message.role is not Role.ASSISTANT
            if is_last_turn and message.role is Role.USER:
                turn.append(message.text)
            else:
                rest_tokens += estimate_tokens(message.text)
    except InvalidTextError:
        raise InvalidRequestError("the text is not valid Unicode", field="query.messages") from None
    return "\n".join(reversed(turn)), rest_tokens


def _sampling(sampling: types_pb.Sampling) -> Sampling:
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


def _preferences(preferences: types_pb.Preferences) -> dict[str, Any]:
    """The preferences that the core reads; only those that are stated."""
    for name in _NOT_SUPPORTED:
        if preferences.HasField(name):
            raise NotSupportedError(f"{name} is not supported yet", field=f"preferences.{name}")
    for name in ("agent", "task_type", "force_model", "strategy", "sticky_key"):
        if len(getattr(preferences, name)) > _MAX_NAME_CHARACTERS:
            raise InvalidRequestError(f"at most {_MAX_NAME_CHARACTERS} characters", field=f"preferences.{name}")
    stated: dict[str, Any] = {
        "agent": preferences.agent,
        "task_type": preferences.task_type,
        "force_model": preferences.force_model,
        "strategy": preferences.strategy,
        "sticky_key": preferences.sticky_key,
        "regions": _regions(preferences),
        **_tiers(preferences),
    }
    if preferences.HasField("latency_budget"):
        budget_s = preferences.latency_budget.seconds + preferences.latency_budget.nanos * 1e-9
        if budget_s <= 0:
            raise InvalidRequestError("must be above 0", field="preferences.latency_budget")
        stated["latency_budget_s"] = budget_s
    for name in ("min_compliance", "cost_quality"):
        if preferences.HasField(name):
            share = getattr(preferences, name)
            if not 0 <= share <= 1:  # false for NaN, too
                raise InvalidRequestError("must be 0 to 1", field=f"preferences.{name}")
            stated[name] = share
    if preferences.HasField("allow_fallback"):
        stated["allow_fallback"] = preferences.allow_fallback
    return stated


def _regions(preferences: types_pb.Preferences) -> frozenset[str]:
    if len(preferences.regions) > _MAX_REGIONS:
        raise InvalidRequestError(f"at most {_MAX_REGIONS} regions", field="preferences.regions")
    for index, region in enumerate(preferences.regions):
        if not 1 <= len(region) <= _MAX_NAME_CHARACTERS:
            raise InvalidRequestError(
                f"a region has 1 to {_MAX_NAME_CHARACTERS} characters", field=f"preferences.regions[{index}]"
            )
    return frozenset(preferences.regions)


def _tiers(preferences: types_pb.Preferences) -> dict[str, int]:
    stated = {name: getattr(preferences, name) for name in ("min_tier", "max_tier") if preferences.HasField(name)}
    for name, tier in stated.items():
        if not 1 <= tier <= 5:
            raise InvalidRequestError("a tier is 1 to 5", field=f"preferences.{name}")
    if stated.get("min_tier", 1) > stated.get("max_tier", 5):
        raise InvalidRequestError("is above max_tier", field="preferences.min_tier")
    return stated


def _max_cost_picousd(preferences: types_pb.Preferences) -> int | None:
    if not preferences.HasField("max_cost_usd"):
        return None
    if not 0 < preferences.max_cost_usd <= 1e6:
        raise InvalidRequestError("must be above 0 and at most 1,000,000", field="preferences.max_cost_usd")
    return round(preferences.max_cost_usd * _PICO_USD)


def _json_schema(query: types_pb.Query) -> dict[str, Any]:
    """The schema asked for; an empty one stands for any JSON object."""
    match query.response_format.WhichOneof("format"):
        case "json_object":
            return {}
        case "json_schema":
            schema = _plain(query.response_format.json_schema)
            if not schema:
                raise InvalidRequestError(
                    "is empty; json_object asks for any object", field="query.response_format.json_schema"
                )
            return schema
        case _:
            raise InvalidRequestError("set json_object or json_schema", field="query.response_format")


def _plain(struct: Struct) -> dict[str, Any]:
    return {key: _plain_value(value) for key, value in struct.fields.items()}


def _plain_value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            # Struct knows doubles only; `minLength: 3.0` would be no valid schema.
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _plain(value.struct_value)
        case "list_value":
            return [_plain_value(item) for item in value.list_value.values]
        case _:
            return None

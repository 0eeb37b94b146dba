"""From the wire to the domain: requests checked field by field, each fault named by its path.

What is asked, how tokens are sampled and how the request wants to be served have a module each; here they come together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage

from tierway.v1 import router_service_pb2 as router_pb
from tierway_core import InvalidTextError, Request, estimate_tokens
from tierway_server.backends.base import Message, Sampling, Tools
from tierway_server.backends.image_tokens import image_tokens
from tierway_server.errors import InvalidRequestError
from tierway_server.rpc.decode_conversation import conversation_of, images_of, judged_text, texts_of
from tierway_server.rpc.decode_preferences import NO_PREFERENCES, Preferences, preferred
from tierway_server.rpc.decode_sampling import sampled, schema_of
from tierway_server.rpc.decode_tools import tools_of
from tierway_server.rpc.needs import needs_of
from tierway_server.rpc.prefix import prefix_key

Query = router_pb.RouteRequest | router_pb.ExplainRequest | router_pb.ExecuteRequest | router_pb.StreamRequest
M = TypeVar("M", bound=ProtoMessage)

_NO_SAMPLING = Sampling()


class Asked(NamedTuple):
    """A checked request. A tuple: one is made for every decision."""

    messages: tuple[Message, ...]
    tools: Tools | None
    sampling: Sampling
    core: Request
    """What the decision reads."""
    json_schema: Mapping[str, Any] | None
    preferences: Preferences


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
    return wanted.core, wanted.preferences.expected_constitution_hash


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
    conversation = conversation_of(query)
    tools = tools_of(query)
    offer = _offer(tools) if tools is not None else ""
    _check_size(request, size_bytes, conversation, offer, prompt_bytes)
    # Most requests state neither preferences nor sampling: what is not there is not walked through.
    sampling = sampled(request.sampling) if request.HasField("sampling") else _NO_SAMPLING
    json_schema = schema_of(query.response_format) if query.HasField("response_format") else None
    preferences = preferred(request.preferences) if request.HasField("preferences") else NO_PREFERENCES
    text, rest_tokens = judged_text(conversation)
    # Counted with the rest: text alone is judged. (A turn's own images then seem cached where the deployment is warm, as its tools do.)
    images = tuple(images_of(conversation))
    rest_tokens += sum(map(image_tokens, images))
    max_cost_picousd = preferences.max_cost_picousd
    core = Request(
        text,
        extra_input_tokens=rest_tokens + (_tokens(offer) if offer else 0),
        has_image=bool(images),
        needs_response_format=json_schema is not None,
        needs_logprobs=sampling.top_logprobs is not None,
        max_tokens=sampling.max_tokens or 0,
        max_cost_picousd=-1 if max_cost_picousd is None else max_cost_picousd,
        tenant=tenant,
        deadline_s=deadline_s,
        prefix_key=prefix_key(conversation) if len(conversation) > 1 else 0,
        needs=needs_of(conversation, tools, sampling, json_schema),
        **preferences.core,
    )
    return Asked(conversation, tools, sampling, core, json_schema, preferences)


def _offer(tools: Tools) -> str:
    """What a model reads of its tools, more or less: their templates differ."""
    return json.dumps([[tool.name, tool.description, tool.parameters] for tool in tools.tools], ensure_ascii=False)


def _tokens(offer: str) -> int:
    try:
        return estimate_tokens(offer)
    except InvalidTextError:
        raise InvalidRequestError("the text is not valid Unicode", field="query.tools") from None


def _check_size(
    request: Query, size_bytes: int, conversation: Sequence[Message], offer: str, prompt_bytes: int
) -> None:
    # The size on the wire bounds the texts' from above: only a large request is counted exactly.
    if size_bytes <= prompt_bytes:
        return
    offer_size = len(offer.encode())
    size = offer_size + sum(len(text.encode()) for message in conversation for text in texts_of(message))
    if size > prompt_bytes:
        field = "query.prompt" if request.query.prompt else "query.messages"
        if offer_size > prompt_bytes:
            field = "query.tools"
        raise InvalidRequestError(
            f"has {size} bytes, the limit is {prompt_bytes}",
            field=field,
            metadata={"bytes": str(size), "limit": str(prompt_bytes)},
        )

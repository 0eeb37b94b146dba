"""What is asked, turn by turn: from the wire to the domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tierway.v1 import types_pb2 as types_pb
from tierway_core import InvalidTextError, estimate_tokens
from tierway_server.backends.base import Image, Message, Role
from tierway_server.errors import InvalidRequestError
from tierway_server.rpc.decode_tools import calls_of

_MAX_MESSAGES = 1_024
_ROLES = frozenset(role.value for role in Role)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


def conversation_of(query: types_pb.Query) -> tuple[Message, ...]:
    """The messages asked, of which a prompt is one.

    Raises:
        InvalidRequestError: a message is wrong, or does not stand where it may.

    """
    if query.prompt:
        if query.messages:
            raise InvalidRequestError("set prompt or messages, not both", field="query.prompt")
        if query.prompt.isspace():
            raise InvalidRequestError("is blank", field="query.prompt")
        return (Message(Role.USER, query.prompt),)
    if not query.messages:
        raise InvalidRequestError("set prompt or messages", field="query")
    if len(query.messages) > _MAX_MESSAGES:
        raise InvalidRequestError(f"at most {_MAX_MESSAGES} messages", field="query.messages")
    last = len(query.messages) - 1
    if query.messages[last].role not in (types_pb.ROLE_USER, types_pb.ROLE_TOOL):
        raise InvalidRequestError(
            "the last message must be of the user, or a tool's result", field=f"query.messages[{last}].role"
        )
    messages = tuple(_message(message, f"query.messages[{index}]") for index, message in enumerate(query.messages))
    _check_calls(messages)
    if messages[last].role is Role.USER and not (messages[last].text.strip() or has_image(messages)):
        raise InvalidRequestError("is blank", field=f"query.messages[{last}].parts")
    return messages


def has_image(messages: Sequence[Message]) -> bool:
    """Whether there is an image to look at."""
    return any(True for _ in images_of(messages))


def images_of(messages: Sequence[Message]) -> Iterator[Image]:
    """All images of a conversation, in order."""
    return (part for message in messages for part in message.parts if isinstance(part, Image))


def texts_of(message: Message) -> Iterator[str]:
    """All that a model reads of a message."""
    yield message.text
    for call in message.tool_calls:
        yield call.name
        yield call.arguments


def judged_text(messages: Sequence[Message]) -> tuple[str, int]:
    """The text that the decision judges, and the estimated tokens of all the rest.

    What the user says since the last answer is judged: neither a long history nor the application's instructions make a short
    question a hard one. The rest counts as context, and so do the calls and results on the way to an answer.

    Raises:
        InvalidRequestError: a text is not valid Unicode.

    """
    if len(messages) == 1:
        return messages[0].text, 0
    turn: list[str] = []
    rest_tokens = 0
    is_last_turn = True
    try:
        for message in reversed(messages):
            is_last_turn = is_last_turn and (message.role is not Role.ASSISTANT or bool(message.tool_calls))
            if is_last_turn and message.role is Role.USER:
                turn.append(message.text)
            else:
                rest_tokens += sum(map(estimate_tokens, texts_of(message)))
    except InvalidTextError:
        raise InvalidRequestError("the text is not valid Unicode", field="query.messages") from None
    return "\n".join(reversed(turn)), rest_tokens


def _message(message: types_pb.Message, path: str) -> Message:
    if int(message.role) not in _ROLES:
        raise InvalidRequestError("must be system, user, assistant or tool", field=f"{path}.role")
    role = Role(message.role)
    if message.tool_calls and role is not Role.ASSISTANT:
        raise InvalidRequestError("only the assistant calls tools", field=f"{path}.tool_calls")
    if bool(message.tool_call_id) is not (role is Role.TOOL):
        fault = "belongs to a tool's result" if message.tool_call_id else "says which call this is the result of"
        raise InvalidRequestError(fault, field=f"{path}.tool_call_id")
    if not message.parts and not message.tool_calls:
        raise InvalidRequestError("a message has at least one part", field=f"{path}.parts")
    calls = calls_of(message.tool_calls, f"{path}.tool_calls") if message.tool_calls else ()
    parts = tuple(_part(part, f"{path}.parts[{index}]", role) for index, part in enumerate(message.parts))
    texts = tuple(part for part in parts if isinstance(part, str))
    return Message(role, "\n".join(texts), parts if len(texts) < len(parts) else (), calls, message.tool_call_id)


def _part(part: types_pb.Part, path: str, role: Role) -> str | Image:
    match part.WhichOneof("content"):
        case "text":
            return part.text
        case "image":
            if role is not Role.USER:
                raise InvalidRequestError("only user messages carry images", field=f"{path}.image")
            return _image(part.image, f"{path}.image")
        case _:
            raise InvalidRequestError("a part is a text or an image", field=path)


def _image(image: types_pb.Image, path: str) -> Image:
    match image.WhichOneof("source"):
        case "data":
            if not image.data:
                raise InvalidRequestError("is empty", field=f"{path}.data")
            if image.mime_type not in _IMAGE_TYPES:
                raise InvalidRequestError(
                    f"must be one of {', '.join(sorted(_IMAGE_TYPES))}", field=f"{path}.mime_type"
                )
            return Image(data=image.data, mime_type=image.mime_type)
        case "uri":
            if not image.uri.startswith("https://"):
                raise InvalidRequestError("must be an https: address", field=f"{path}.uri")
            if image.mime_type:
                raise InvalidRequestError("belongs to data, not to uri", field=f"{path}.mime_type")
            return Image(uri=image.uri)
        case _:
            raise InvalidRequestError("set data or uri", field=path)


def _check_calls(messages: Sequence[Message]) -> None:
    """Each call has its one result, right after it: providers refuse what has not."""
    open_calls: dict[str, str] = {}
    for index, message in enumerate(messages):
        path = f"query.messages[{index}]"
        if message.role is Role.TOOL:
            if open_calls.pop(message.tool_call_id, None) is None:
                raise InvalidRequestError("no call before it waits for this result", field=f"{path}.tool_call_id")
            continue
        if open_calls:
            break
        open_calls = {call.id: f"{path}.tool_calls[{place}]" for place, call in enumerate(message.tool_calls)}
    for field in open_calls.values():
        raise InvalidRequestError("no result of this call follows", field=field)

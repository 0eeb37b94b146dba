"""Functions that a model may call, and calls that it made: from the wire to the domain."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tierway.v1 import types_pb2 as types_pb
from tierway_server.backends.base import Tool, ToolCall, ToolMode, Tools
from tierway_server.errors import InvalidRequestError
from tierway_server.rpc.structs import plain

_MAX_TOOLS = 128
_MAX_ID_CHARACTERS = 128
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MODES = frozenset(mode.value for mode in ToolMode)


def tools_of(query: types_pb.Query) -> Tools | None:
    """What the model may call; None: nothing.

    Raises:
        InvalidRequestError: a tool is wrong, or the choice is.

    """
    if not query.tools:
        if query.HasField("tool_choice"):
            raise InvalidRequestError("there are no tools to choose from", field="query.tool_choice")
        return None
    if len(query.tools) > _MAX_TOOLS:
        raise InvalidRequestError(f"at most {_MAX_TOOLS} tools", field="query.tools")
    tools = tuple(_tool(tool, f"query.tools[{index}]") for index, tool in enumerate(query.tools))
    names = [tool.name for tool in tools]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidRequestError("another tool has this name", field=f"query.tools[{index}].name")
    if not query.HasField("tool_choice"):
        return Tools(tools=tools)
    choice = query.tool_choice
    parallel = choice.parallel if choice.HasField("parallel") else None
    match choice.WhichOneof("choice"):
        case "mode":
            if int(choice.mode) not in _MODES:
                raise InvalidRequestError("must be auto, none or required", field="query.tool_choice.mode")
            return Tools(tools=tools, mode=ToolMode(choice.mode), parallel=parallel)
        case "name":
            if choice.name not in names:
                raise InvalidRequestError("is none of the tools", field="query.tool_choice.name")
            return Tools(tools=tools, name=choice.name, parallel=parallel)
        case _:
            raise InvalidRequestError("set mode or name", field="query.tool_choice")


def calls_of(calls: Sequence[types_pb.ToolCall], path: str) -> tuple[ToolCall, ...]:
    """What the assistant called in one turn, at `path`.

    Raises:
        InvalidRequestError: a call is wrong.

    """
    seen: set[str] = set()
    for index, call in enumerate(calls):
        if not 1 <= len(call.id) <= _MAX_ID_CHARACTERS:
            raise InvalidRequestError(f"must be 1 to {_MAX_ID_CHARACTERS} characters", field=f"{path}[{index}].id")
        if call.id in seen:
            raise InvalidRequestError("another call has this id", field=f"{path}[{index}].id")
        seen.add(call.id)
        _check_name(call.name, f"{path}[{index}].name")
    return tuple(ToolCall(call.id, call.name, call.arguments) for call in calls)


def _tool(tool: types_pb.Tool, path: str) -> Tool:
    _check_name(tool.name, f"{path}.name")
    parameters = plain(tool.parameters, f"{path}.parameters")
    if parameters.get("type", "object") != "object":
        raise InvalidRequestError("must be the schema of an object", field=f"{path}.parameters")
    return Tool(name=tool.name, description=tool.description, parameters=parameters)


def _check_name(name: str, field: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequestError("must be 1 to 64 characters of a-z A-Z 0-9 _ -", field=field)

"""Functions that a model may call, and its calls of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tierway_client._enums import ToolMode
from tierway_client._errors import InvalidArgumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call."""

    name: str
    """Its name, unique among the query's tools: 1 to 64 letters, digits, `_` and `-`."""

    description: str = ""
    """What it does, for the model."""

    parameters: Mapping[str, object] = field(default_factory=dict)
    """The JSON Schema of its arguments, an object. Default: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """Whether and what the model must call: exactly one of `mode` and `name`.

    Raises:
        InvalidArgumentError: Both or neither is given.
    """

    mode: ToolMode | None = None
    """How free the model is."""

    name: str | None = None
    """The one function that must be called."""

    parallel: bool | None = None
    """Whether several functions may be called in one turn. Default: as the model does by itself."""

    def __post_init__(self) -> None:
        if (self.mode is None) == (self.name is None):
            raise InvalidArgumentError.of_field("query.tool_choice", "needs exactly one of mode and name")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a function, as a model made it."""

    id: str
    """Names the call in the conversation: its result is `Message.tool(call.id, ...)`."""

    name: str
    """The function's name."""

    arguments: str
    """A JSON object, character for character as the model wrote it; models can write what is no valid JSON."""

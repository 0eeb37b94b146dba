"""What a caller asks: the query, what is preferred of the decision, how tokens are sampled. Plain values, checked where they are made.

Only what cannot be sent at all is refused here; ranges and names are the server's to judge, which knows its limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from tierway_client._enums import Priority, Role
from tierway_client._errors import InvalidArgumentError
from tierway_client._tools import Tool, ToolCall, ToolChoice


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text in a message."""

    text: str
    """The text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in a user's message: the encoded file (`data` and `mime_type`), or an `https:` address (`uri`) that the provider fetches."""

    data: bytes | None = field(default=None, repr=False)
    """The encoded file. Default: none, `uri` says where it is."""

    mime_type: str = ""
    """The media type of `data`, such as `image/png`."""

    uri: str | None = None
    """Where the provider finds the image. Default: nowhere, `data` holds it."""

    def __post_init__(self) -> None:
        if (self.data is None) == (self.uri is None):
            raise InvalidArgumentError.of_field("query.messages.parts.image", "needs exactly one of data and uri")


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """One turn of a conversation.

    `Message.user("What is this?", Image(uri="https://..."))` is short for `Message(Role.USER, [Text(...), Image(...)])`.
    """

    role: Role
    """Who speaks."""

    parts: tuple[Text | Image, ...]
    """The content, in order."""

    tool_calls: tuple[ToolCall, ...]
    """What the model called in this turn; only in messages of the assistant."""

    tool_call_id: str
    """The `id` of the call whose result this is; only in messages of a tool."""

    def __init__(
        self,
        role: Role,
        parts: str | Sequence[str | Text | Image],
        *,
        tool_calls: Sequence[ToolCall] = (),
        tool_call_id: str = "",
    ) -> None:
        pieces = [parts] if isinstance(parts, str) else parts
        # A frozen dataclass with its own __init__, which turns text into Text, sets its fields past the freeze.
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "parts", tuple(Text(piece) if isinstance(piece, str) else piece for piece in pieces))
        object.__setattr__(self, "tool_calls", tuple(tool_calls))
        object.__setattr__(self, "tool_call_id", tool_call_id)

    @classmethod
    def system(cls, *parts: str | Text | Image) -> "Message":
        """The application's instructions."""
        return cls(Role.SYSTEM, parts)

    @classmethod
    def user(cls, *parts: str | Text | Image) -> "Message":
        """What the person says and shows."""
        return cls(Role.USER, parts)

    @classmethod
    def assistant(cls, *parts: str | Text | Image, tool_calls: Sequence[ToolCall] = ()) -> "Message":
        """An earlier answer of the model, with what it called. Each call's result follows, by `tool`."""
        return cls(Role.ASSISTANT, parts, tool_calls=tool_calls)

    @classmethod
    def tool(cls, tool_call_id: str, *parts: str | Text) -> "Message":
        """The result of a call."""
        return cls(Role.TOOL, parts, tool_call_id=tool_call_id)


@dataclass(frozen=True, slots=True)
class JsonObject:
    """The answer must be a JSON object, any."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The answer must be JSON that satisfies `schema`."""

    schema: Mapping[str, object]
    """A JSON Schema, as Python values of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the caller wants of the decision. Limits stated here are hard: no model that breaks one answers."""

    agent: str = ""
    """The calling agent; critical agents of the configuration are pinned to the accurate tier."""

    task_type: str = ""
    """What kind of work this is, a name of the configuration."""

    force_model: str = ""
    """The model that must answer."""

    min_tier: int | None = None
    """The lowest tier that may answer, 1 to 5. Default: 1."""

    max_tier: int | None = None
    """The highest tier that may answer, 1 to 5. Default: 5."""

    max_cost_usd: float | None = None
    """The most that the request may cost, in USD. Default: no ceiling."""

    latency_budget_s: float | None = None
    """The longest acceptable time to the first token, in seconds. Default: none."""

    min_compliance: float | None = None
    """The lowest compliance score of a model that may answer, 0 to 1. Default: the configuration's floor."""

    cost_quality: float | None = None
    """The dial from the cheapest model (0) to the best (1). Default: the configuration's. Needs the server's learned classifier."""

    allow_fallback: bool | None = None
    """Whether the fallback chain may answer when the chosen deployment fails. Default: true."""

    allow_escalation: bool | None = None
    """Whether a weak answer may be asked again one tier up. Default: the server's way."""

    allow_takeover: bool | None = None
    """Whether another deployment may go on with an answer that broke off. Default: true."""

    allow_hedging: bool | None = None
    """Whether a second deployment may be asked too when the first is slow to begin. Default: the server's way."""

    max_cache_age_s: float | None = None
    """How old a kept answer may be that is given instead of a new one, in seconds; 0: a new one, which is not kept either. Default: the
    server's way."""

    priority: Priority | None = None
    """Which requests wait behind which where the server is full. Default: normal, unless the call's metadata say otherwise."""

    expected_constitution_hash: str = ""
    """The constitutional hash that the caller was reviewed against. Default: not checked."""

    strategy: str = ""
    """How to choose among the models that may answer, such as `lowest_latency`. Default: the configuration's way."""

    regions: Sequence[str] = ()
    """The regions that may answer, names of the configuration. Default: all of them."""

    sticky_key: str = ""
    """What keeps a caller in the same arm of an experiment, such as a user's id. Default: each request is drawn for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are sampled. None leaves the model's own default."""

    temperature: float | None = None
    """Randomness, 0 (greedy) to 2."""

    top_p: float | None = None
    """The probability mass kept, above 0 to 1."""

    top_k: int | None = None
    """Only the k likeliest tokens are considered."""

    max_tokens: int | None = None
    """The most tokens to generate."""

    stop: Sequence[str] = ()
    """Texts that end the answer; not part of it."""

    seed: int | None = None
    """Makes sampling repeatable on the same deployment."""

    presence_penalty: float | None = None
    """Penalty for tokens that occurred at all, -2 to 2."""

    frequency_penalty: float | None = None
    """Penalty for tokens by how often they occurred, -2 to 2."""

    top_logprobs: int | None = None
    """Asks for log-probabilities, with this many alternatives a token, 0 to 20. Default: no log-probabilities."""

    def __post_init__(self) -> None:
        # A lone string is a sequence of its characters, which would end answers at the first "E" of "END".
        if isinstance(self.stop, str):
            raise InvalidArgumentError.of_field("sampling.stop", "must be a sequence of texts, not one text")


@dataclass(frozen=True, slots=True)
class Query:
    """One request: what is asked, and how. Exactly one of `prompt` and `messages` is given.

    Raises:
        InvalidArgumentError: Both or neither is given.
    """

    prompt: str | None = None
    """One user turn as plain text."""

    messages: Sequence[Message] | None = field(default=None, kw_only=True)
    """A conversation, oldest first; the last message is the user's, or a tool's result."""

    preferences: Preferences | None = field(default=None, kw_only=True)
    """What is wanted of the decision. Default: nothing in particular."""

    sampling: Sampling | None = field(default=None, kw_only=True)
    """How tokens are sampled. Default: the model's own way."""

    response_format: JsonObject | JsonSchema | None = field(default=None, kw_only=True)
    """The form that the answer must have. Default: free text."""

    tools: Sequence[Tool] = field(default=(), kw_only=True)
    """Functions that the model may call. Default: none."""

    tool_choice: ToolChoice | None = field(default=None, kw_only=True)
    """Whether and what the model must call. Default: the model decides."""

    request_id: str = field(default="", kw_only=True)
    """The caller's name for this request; comes back. Default: the server makes one."""

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise InvalidArgumentError.of_field("query", "needs exactly one of prompt and messages")


class QueryFields(TypedDict, total=False):
    """The fields of `Query` besides the prompt, as the keyword arguments of `route`, `explain`, `execute` and `stream`."""

    messages: Sequence[Message] | None
    preferences: Preferences | None
    sampling: Sampling | None
    response_format: JsonObject | JsonSchema | None
    tools: Sequence[Tool]
    tool_choice: ToolChoice | None
    request_id: str

"""How the services that speak OpenAI's chat completions differ: one row for each kind.

What a row says is from the vendors' references (November 2026). A deployment that is different says so in the configuration: `can`,
`lacks`, `parameters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

PREFILL = "prefill"
"""What a deployment can that goes on after the last words of an assistant's turn, instead of answering to it."""


class Prefill(Enum):
    """How a service is told to continue the assistant's turn that ends the conversation."""

    LAST_TURN = 1
    """It does so by itself."""
    VLLM = 2
    """By two parameters of vLLM's."""


class Schema(Enum):
    """How a service is asked for an answer by a JSON schema."""

    STRICT = 1
    """`strict` where the schema keeps the rules that strictness has; without it the service only tries."""
    PLAIN = 2
    """It holds every answer to every schema; there is no `strict`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is special about one kind of service."""

    max_tokens: str = "max_tokens"
    """The parameter that bounds the answer."""
    schema: Schema = Schema.STRICT
    """How an answer by a JSON schema is asked for."""
    must_name_json: bool = False
    """Whether the conversation has to say "JSON" where any JSON object is asked for."""
    seed: str = "seed"
    """The parameter for the seed."""
    lacks: frozenset[str] = frozenset()
    """What requests may need and it cannot do, by the names of the configuration."""
    prefill: Prefill = Prefill.LAST_TURN
    """How it continues an assistant's turn, if it does."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Stated in every request."""


_HOSTED = frozenset({"top_k", PREFILL})
"""What none of those lacks that descend from OpenAI's own service alone."""

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        # Of a compatible service nothing is known: it is taken for OpenAI's own. Reasoning models refuse `max_tokens`.
        "openai": Dialect(max_tokens="max_completion_tokens", must_name_json=True, lacks=_HOSTED),
        "azure": Dialect(max_tokens="max_completion_tokens", must_name_json=True, lacks=_HOSTED),
        # No log-probabilities, one image source only by the model; penalties are "not yet supported by any of our models".
        "groq": Dialect(
            max_tokens="max_completion_tokens", must_name_json=True, lacks=_HOSTED | {"logprobs", "penalties"}
        ),
        # It passes on what the model behind takes, and drops the rest without a word: so only what nearly all take is relied on.
        # `require_parameters` sends the request only where all of its parameters are honoured.
        "openrouter": Dialect(
            lacks=frozenset({PREFILL}), parameters=MappingProxyType({"provider": {"require_parameters": True}})
        ),
        "gemini": Dialect(
            schema=Schema.PLAIN,
            lacks=_HOSTED | {"logprobs", "seed", "penalties", "parallel_tools", "image_uri"},
        ),
        "xai": Dialect(max_tokens="max_completion_tokens", lacks=_HOSTED | {"penalties"}),
        "ollama": Dialect(
            schema=Schema.PLAIN,
            lacks=_HOSTED | {"tool_choice", "parallel_tools", "image_uri"},
        ),
        # Compiles every schema to a grammar. Its own penalties, top_k and seed are parameters beside OpenAI's.
        "llamacpp": Dialect(schema=Schema.PLAIN, lacks=frozenset({"image_uri"})),
        "vllm": Dialect(
            max_tokens="max_completion_tokens",
            schema=Schema.PLAIN,
            lacks=frozenset({"image_uri"}),
            prefill=Prefill.VLLM,
        ),
    }
)
"""By the kinds of the configuration that are compatible with OpenAI's."""

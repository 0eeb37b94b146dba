"""How the services that speak OpenAI's chat completions differ: one row for each kind.

What a row says is from the vendors' references (November 2026). What a kind cannot do at all is in `config/provider_kinds.py`, for routing
goes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType


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
    prefill: Prefill = Prefill.LAST_TURN
    """How it continues an assistant's turn, if it does."""
    least_alternatives: int = 0
    """Without so many of them it tells no log-probability of the token itself."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Stated in every request."""


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        # Its reasoning models refuse `max_tokens`; where a compatible server knows nothing else, `max_tokens` is its parameter, see
        # `dialect_of`.
        "openai": Dialect(max_tokens="max_completion_tokens", must_name_json=True),
        "azure": Dialect(max_tokens="max_completion_tokens", must_name_json=True),
        "groq": Dialect(max_tokens="max_completion_tokens", must_name_json=True),
        # It drops what the model behind it does not take, without a word, unless it is told not to send it there.
        "openrouter": Dialect(parameters=MappingProxyType({"provider": {"require_parameters": True}})),
        "gemini": Dialect(schema=Schema.PLAIN),
        "xai": Dialect(max_tokens="max_completion_tokens"),
        "ollama": Dialect(schema=Schema.PLAIN),
        "llamacpp": Dialect(schema=Schema.PLAIN, least_alternatives=1),
        "vllm": Dialect(max_tokens="max_completion_tokens", schema=Schema.PLAIN, prefill=Prefill.VLLM),
    }
)
"""By the kinds of the configuration that are compatible with OpenAI's."""


def dialect_of(kind: str, *, is_own_address: bool) -> Dialect:
    """Return the dialect of a kind of provider. Something compatible at an address of its own knows the older parameter for the length."""
    dialect = DIALECTS[kind]
    return replace(dialect, max_tokens="max_tokens") if kind == "openai" and is_own_address else dialect

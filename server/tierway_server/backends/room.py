"""How many tokens an answer may have, once its prompt is counted."""

from __future__ import annotations

from tierway_server.backends.base import Generation
from tierway_server.errors import ContextTooLongError, CostCeilingError


def tokens_to_generate(generation: Generation, prompt_tokens: int, context_tokens: int) -> int:
    """Return what was asked for, what the context leaves, or what the cost ceiling pays for, whichever is least; at least 1.

    Raises:
        ContextTooLongError: the context leaves none.
        CostCeilingError: the ceiling pays for none.

    """
    left = context_tokens - prompt_tokens
    if left < 1:
        raise ContextTooLongError(
            f"the prompt has {prompt_tokens} tokens, the context of this deployment {context_tokens}",
            field="query",
            metadata={"prompt_tokens": str(prompt_tokens), "context_tokens": str(context_tokens)},
        )
    ceiling = generation.cost_ceiling
    if ceiling is not None and (affordable := ceiling.affordable_tokens(prompt_tokens)) is not None:
        if affordable < 1:
            raise CostCeilingError("the prompt alone exceeds the cost ceiling", field="preferences.max_cost_usd")
        left = min(left, affordable)
    return min(left, generation.max_tokens)

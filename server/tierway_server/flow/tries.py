"""One try at an answer: when its tokens came, and what they cost."""

from __future__ import annotations

from collections.abc import Callable

from tierway_core.cost import estimate_picousd
from tierway_core.specs import INT64_MAX, ModelSpec
from tierway_server.backends.base import Backend, Chunk, Usage
from tierway_server.flow.budgets import Bill

_MOST_TOKENS = 2**31 - 1
"""More than any model reads or writes."""


class Try:
    """One try under way: what it has come to so far."""

    __slots__ = (
        "_bill",
        "_clock",
        "_input_tokens",
        "_model",
        "_prompt_picousd",
        "_usage",
        "answered",
        "backend",
        "began_s",
        "failed",
        "first_token_s",
        "last_s",
        "output_tokens",
        "tokens",
        "was_hurried",
    )

    def __init__(
        self, backend: Backend, model: ModelSpec, input_tokens: int, bill: Bill, clock: Callable[[], float]
    ) -> None:
        self.backend = backend
        """What generates."""
        self.answered = False
        """Whether it has answered to the end."""
        self.failed = False
        """Whether it failed by the deployment's fault."""
        self.began_s = clock()
        """When it began, on the server's clock."""
        self.first_token_s = 0.0
        """When its first chunk came, likewise; 0 before."""
        self.last_s = 0.0
        """When its latest chunk came, likewise; 0 before."""
        self.output_tokens = 0
        """Tokens that came so far."""
        self.tokens = 0
        """Tokens read and generated, once it has answered."""
        self.was_hurried = False
        """Whether it was given up because the request had no more time for its first token."""
        self._model = model
        self._input_tokens = input_tokens
        self._prompt_picousd = estimate_picousd(model, input_tokens, 0)
        self._bill = bill
        self._clock = clock
        self._usage: Usage | None = None

    @property
    def cost_picousd(self) -> int:
        """What it has cost so far."""
        return self._bill.picousd

    @property
    def usage(self) -> Usage:
        """The tokens that it cost so far: as the engine counted them, or estimated while it has not."""
        if self._usage is not None:
            return self._usage
        return Usage(self._input_tokens if self.cost_picousd or self.output_tokens else 0, 0, self.output_tokens)

    @property
    def token_s(self) -> float | None:
        """Seconds for each token after the first; None without one."""
        later_tokens = self.output_tokens - 1
        return (self.last_s - self.first_token_s) / later_tokens if later_tokens > 0 else None

    def came(self, chunk: Chunk) -> None:
        """Count a chunk. What has been generated is paid for, even if the answer is never finished."""
        self.last_s = self._clock()
        self.first_token_s = self.first_token_s or self.last_s
        self.output_tokens += chunk.token_count
        if chunk.usage is None:
            self._bill.picousd = min(self._prompt_picousd + self.output_tokens * self._model.output_picousd, INT64_MAX)
        else:
            self.answered = True
            self._usage = usage = plausible(chunk.usage)
            self.tokens = usage.input_tokens + usage.output_tokens
            self._bill.picousd = min(price_picousd(self._model, usage), INT64_MAX)

    def outrun(self) -> float:
        """It is given up because another was faster: the prompt that it reads is paid for. Returns how many seconds it had."""
        if not self.output_tokens:
            self._bill.picousd = self._prompt_picousd
        return self._clock() - self.began_s


def plausible(usage: Usage) -> Usage:
    """The same, with counts that can be some: what a provider garbles must neither pay money back nor stop the settlement."""
    input_tokens, output_tokens = (
        min(max(0, tokens), _MOST_TOKENS) for tokens in (usage.input_tokens, usage.output_tokens)
    )
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=min(max(0, usage.cached_input_tokens), input_tokens),
        output_tokens=output_tokens,
        reasoning_tokens=min(max(0, usage.reasoning_tokens), output_tokens),
    )


def price_picousd(model: ModelSpec, usage: Usage) -> int:
    """What an answer costs, by the model's prices."""
    fresh_tokens = usage.input_tokens - usage.cached_input_tokens
    return (
        fresh_tokens * model.input_picousd
        + usage.cached_input_tokens * model.cached_input_picousd
        + usage.output_tokens * model.output_picousd
    )

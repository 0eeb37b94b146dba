"""A deployment at a service that speaks OpenAI's chat completions.

What is asked is `openai_request.py`'s, how the answer is read `openai_answer.py`'s; the rest is that of every provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import cached_property

from tierway_server.backends.base import Chunk, Generation
from tierway_server.backends.continuation import asked_to_continue, continued
from tierway_server.backends.endpoint import Endpoint
from tierway_server.backends.http_backend import HttpBackend, RemoteModel
from tierway_server.backends.http_pool import HttpPool
from tierway_server.backends.openai_answer import Answer
from tierway_server.backends.openai_dialects import Dialect
from tierway_server.backends.openai_request import estimated_input_tokens, request_body
from tierway_server.config import PREFILL


class OpenAIBackend(HttpBackend):
    """A `Backend` over a provider's pool of connections. Usage that the provider does not tell is estimated, as the decision does."""

    may_come_whole = True

    def __init__(
        self,
        model: RemoteModel,
        dialect: Dialect,
        endpoint: Callable[[], Endpoint],
        pool: HttpPool,
        held: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare a deployment; nothing is sent.

        Args:
            model: what it is.
            dialect: how the provider differs.
            endpoint: tells where it is; asked once, and takes most of a second the first time in a process.
            pool: the provider's connections.
            held: told for how many seconds a rate limit of the provider has nothing left.

        """
        super().__init__(model, pool, held)
        self._dialect = dialect
        self._make_endpoint = endpoint

    def _prepare(self) -> None:
        """Make the endpoint, which imports the SDK."""
        _ = self._endpoint

    @cached_property
    def _endpoint(self) -> Endpoint:
        return self._make_endpoint()

    def _rest_of(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """The answer, or what follows on its beginning."""
        if not generation.answered or PREFILL not in self._model.lacks:
            return self._answer(generation)
        messages = asked_to_continue(generation.messages, generation.answered)
        return continued(self._answer(replace(generation, messages=messages, answered="")), generation.answered)

    def _answer(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        model = self._model
        body = request_body(
            generation, self._dialect, model.lacks, model=model.model, context_tokens=model.context_tokens
        )
        max_tokens = body[self._dialect.max_tokens]
        alternatives = generation.sampling.top_logprobs or 0
        answer = Answer(estimated_input_tokens(generation), max_tokens, alternatives=alternatives)
        return self._streamed(self._endpoint, body, answer, max_tokens)

"""A deployment at Anthropic, or at a service that speaks its Messages API.

What is asked is `anthropic_request.py`'s, how the reply is read `anthropic_reply.py`'s. Connections, failures and the bounds on a stream
are those of every provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import cached_property

from tierway_server.backends.anthropic_endpoint import OLDER_VERSION
from tierway_server.backends.anthropic_reply import Reply
from tierway_server.backends.anthropic_request import asked
from tierway_server.backends.base import Chunk, Generation
from tierway_server.backends.continuation import continued
from tierway_server.backends.endpoint import Endpoint
from tierway_server.backends.http_backend import HttpBackend, RemoteModel
from tierway_server.backends.http_pool import HttpPool
from tierway_server.backends.openai_request import estimated_input_tokens
from tierway_server.backends.room import tokens_to_generate
from tierway_server.config import PREFILL


class AnthropicBackend(HttpBackend):
    """A `Backend` over a provider's pool of connections. Usage that a compatible service does not tell is estimated."""

    def __init__(
        self,
        model: RemoteModel,
        endpoint: Callable[[str | None], Endpoint],
        pool: HttpPool,
        held: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare a deployment; nothing is sent.

        Args:
            model: what it is.
            endpoint: tells where a version of the API is, None being the SDK's own; takes most of a second the first time in a process.
            pool: the provider's connections.
            held: told for how many seconds a rate limit of the provider has nothing left.

        """
        super().__init__(model, pool, held)
        self._make_endpoint = endpoint

    def _prepare(self) -> None:
        """Make the endpoints, which imports the SDK."""
        _ = self._current, self._older

    @cached_property
    def _current(self) -> Endpoint:
        return self._make_endpoint(None)

    @cached_property
    def _older(self) -> Endpoint:
        return self._make_endpoint(OLDER_VERSION)

    def _rest_of(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        model = self._model
        input_tokens = estimated_input_tokens(generation)
        # Whether it really does not fit, the service knows.
        max_tokens = tokens_to_generate(generation, min(input_tokens, model.context_tokens - 1), model.context_tokens)
        it = asked(generation, model.model, max_tokens, can_prefill=PREFILL not in model.lacks)
        reply = Reply(input_tokens, max_tokens, is_json_by_tool=it.is_json_by_tool, white_space=it.white_space)
        endpoint = self._older if it.is_sampled else self._current
        chunks = self._unless_refused(self._streamed(endpoint, it.body, reply, max_tokens))
        return continued(chunks, generation.answered) if it.is_asked_to_continue else chunks

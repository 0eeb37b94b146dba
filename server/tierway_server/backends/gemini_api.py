"""A deployment at Google's own Gemini API, over plain HTTP: its SDK would bring a second client with connections of its own.

The endpoint that Google has for OpenAI's SDK (kind `gemini`) knows nothing of top_k, seed, penalties and log-probabilities, and takes back
no calls of Gemini 3 without a signature: this one (kind `google`) does. What is asked is `gemini_request.py`'s, how the reply is read
`gemini_reply.py`'s.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from urllib.parse import quote

import httpx2

from tierway_server.backends.base import Chunk, Generation
from tierway_server.backends.continuation import continued
from tierway_server.backends.endpoint import Endpoint
from tierway_server.backends.gemini_reply import GeminiReply
from tierway_server.backends.gemini_request import request_body
from tierway_server.backends.http_backend import HttpBackend, RemoteModel
from tierway_server.backends.http_pool import HttpPool
from tierway_server.backends.openai_request import estimated_input_tokens
from tierway_server.backends.room import tokens_to_generate


def stream_generate_content(base_url: str, key: str | None, headers: dict[str, str], model: str) -> Endpoint:
    """Return the endpoint of one model.

    Args:
        base_url: where the API begins, with its version.
        key: lets one in; None where nothing is asked for.
        headers: stated in every request.
        model: what Google calls it, with or without `models/`.

    """
    name = quote(model.removeprefix("models/"), safe="")
    url = httpx2.URL(f"{base_url.rstrip('/')}/models/{name}:streamGenerateContent?alt=sse")
    said = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity", **headers}
    if key is not None:
        said["x-goog-api-key"] = key
    return Endpoint(url, [(name.encode(), value.encode()) for name, value in said.items()])


class GeminiBackend(HttpBackend):
    """A `Backend` over a provider's pool of connections."""

    may_come_whole = True

    def __init__(
        self,
        model: RemoteModel,
        endpoint: Endpoint,
        pool: HttpPool,
        held: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare a deployment; nothing is sent.

        Args:
            model: what it is.
            endpoint: where it is.
            pool: the provider's connections.
            held: told for how many seconds a rate limit of the provider has nothing left.

        """
        super().__init__(model, pool, held)
        self._endpoint = endpoint

    def _rest_of(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        model = self._model
        input_tokens = estimated_input_tokens(generation)
        # Whether it really does not fit, the service knows.
        max_tokens = tokens_to_generate(generation, min(input_tokens, model.context_tokens - 1), model.context_tokens)
        body = request_body(generation, model.model, max_tokens)
        streamed = self._streamed(self._endpoint, body, GeminiReply(input_tokens, max_tokens), max_tokens)
        chunks = self._unless_refused(streamed)
        return continued(chunks, generation.answered) if generation.answered.strip() else chunks

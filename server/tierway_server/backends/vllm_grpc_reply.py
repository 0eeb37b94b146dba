"""What a vLLM server answers over its own gRPC, in our words: tokens come, and text goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smg_grpc_proto.generated import vllm_engine_pb2 as pb

from tierway_server.backends.base import Chunk, FinishReason, Generation, TokenLogprob, Usage
from tierway_server.backends.chat_tokenizer import ChatTokenizer, TokenText
from tierway_server.backends.vllm_grpc_wire import logprobs


class VllmReply:
    """One reply while it comes."""

    def __init__(
        self, tokenizer: ChatTokenizer, prompt: Sequence[int], generation: Generation, max_tokens: int
    ) -> None:
        """Begin a reply.

        Args:
            tokenizer: the model's.
            prompt: what it was asked, as token ids.
            generation: what was asked for.
            max_tokens: the most that were asked for; a server that sends more is cut.

        """
        self._tokenizer = tokenizer
        self._text = TokenText(tokenizer.tokenizer, prompt, generation.sampling.stop)
        self._alternatives = generation.sampling.top_logprobs
        self._max_tokens = max_tokens
        self._usage = Usage(len(prompt), 0, 0)
        self._tokens = 0
        self._logprobs: list[TokenLogprob] = []

    def is_passed_by(self, told: pb.GenerateStreamChunk) -> bool:
        """Whether this is more than was asked for."""
        return bool(told.token_ids) and self._usage.output_tokens >= self._max_tokens

    def take(self, told: pb.GenerateStreamChunk) -> Chunk | None:
        """Take the next tokens, and return the text that they complete; None: they are none yet, and go with the next."""
        self._usage = replace(
            self._usage,
            cached_input_tokens=max(self._usage.cached_input_tokens, min(told.cached_tokens, self._usage.input_tokens)),
            output_tokens=self._usage.output_tokens + len(told.token_ids),
        )
        self._tokens += len(told.token_ids)
        if self._alternatives is not None:
            self._logprobs += logprobs(told, self._alternatives, self._tokenizer)
        text = self._text.take(told.token_ids)
        return self._chunk(text) if text else None

    def last_chunk(self, reason: FinishReason) -> Chunk:
        """The end of the answer, with what came since the last chunk."""
        return replace(self._chunk(self._text.end()), finish_reason=reason, usage=self._usage)

    def _chunk(self, text: str) -> Chunk:
        chunk = Chunk(text, self._tokens, tuple(self._logprobs))
        self._tokens = 0
        self._logprobs.clear()
        return chunk

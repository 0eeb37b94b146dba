"""A deployment on a vLLM server that speaks its own gRPC (`vllm serve --grpc`), on this machine or another.

That server takes token ids and gives token ids: the model's tokenizer and chat template are fetched from it once, or read from a folder,
and used here. It is available from then until the connection is lost; when it is there again, it may run another model, and is asked anew.
Cancelling the call frees the engine's slot: the server aborts what it generates for a call that is gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import zipfile
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import grpc
from smg_grpc_proto.generated import common_pb2, vllm_engine_pb2, vllm_engine_pb2_grpc

from tierway_server.backends import failures
from tierway_server.backends.base import Availability, Chunk, FinishReason, Generation
from tierway_server.backends.chat_tokenizer import FILES, ChatTokenizer, TokenizerUnusableError
from tierway_server.backends.coalesced import coalesced
from tierway_server.backends.presence import NOT_ASKED
from tierway_server.backends.room import tokens_to_generate
from tierway_server.backends.vllm_grpc_reply import VllmReply
from tierway_server.backends.vllm_grpc_wire import defaults, finish_reason, request
from tierway_server.errors import (
    NotReadyError,
    ProviderAuthError,
    ProviderFailedError,
    ProviderOverloadedError,
    ProviderRejectedError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    TierwayError,
)

logger = logging.getLogger(__name__)

_INLINE_PROMPT_CHARACTERS = 4_000
"""Longer prompts are tokenised in a thread: that many take about 1 ms, the most that the event loop should be held."""
_MOST_BUNDLE_BYTES = 256 * 2**20
"""What the files of a tokenizer may have together; the largest in use have some 40 MB."""
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
"""Between two tries to reach a server that is not there."""

_KINDS: Mapping[grpc.StatusCode, type[TierwayError]] = {
    grpc.StatusCode.UNAVAILABLE: ProviderUnreachableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: ProviderTimeoutError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ProviderOverloadedError,
    grpc.StatusCode.UNAUTHENTICATED: ProviderAuthError,
    grpc.StatusCode.PERMISSION_DENIED: ProviderAuthError,
    grpc.StatusCode.INVALID_ARGUMENT: ProviderRejectedError,
    grpc.StatusCode.FAILED_PRECONDITION: ProviderRejectedError,
    grpc.StatusCode.NOT_FOUND: ProviderRejectedError,
    grpc.StatusCode.OUT_OF_RANGE: ProviderRejectedError,
    grpc.StatusCode.UNIMPLEMENTED: ProviderRejectedError,
}
"""What a status says went wrong; any other is the server's own fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmServer:
    """Where a vLLM server is, and how it is spoken to."""

    provider: str
    """The provider's name in the configuration."""
    target: str
    """`host:port`."""
    is_secure: bool
    """Whether over TLS."""
    key: str | None
    """Sent as a bearer token to whatever stands in front of the server, which itself asks for none; None: nothing."""
    capacity: int
    """Most answers at once."""
    context_tokens: int
    """Most tokens of prompt and answer together; the server's own bound holds too."""
    connect_timeout_s: float
    """Longest wait for an answer about the model, in seconds."""
    idle_timeout_s: float
    """Longest silence in an answer, in seconds."""
    coalesce_window_s: float
    """Longest wait for further tokens before a chunk is passed on, in seconds."""
    tokenizer: Path | None = None
    """Folder with the model's tokenizer; None: the server is asked for it."""

    def __repr__(self) -> str:
        return f"VllmServer({self.provider})"


@dataclass(frozen=True, slots=True)
class _Model:
    """What a server runs."""

    stub: vllm_engine_pb2_grpc.VllmEngineStub
    tokenizer: ChatTokenizer
    context_tokens: int
    defaults: Mapping[str, float]


class VllmGrpcBackend:
    """A `Backend` over one connection to a vLLM server."""

    idle_timeout_s = None
    """Each read has it."""
    will_return = True

    def __init__(self, server: VllmServer, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Prepare a deployment; `run` connects."""
        self.capacity = server.capacity
        self._server = server
        self._sleep = sleep
        self._model: _Model | None = None
        self._asked = asyncio.Event()
        self._availability = NOT_ASKED
        self._watchers: list[Callable[[Availability], None]] = []

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        # Not kept, so that no repr tells it.
        return (("authorization", f"Bearer {self._server.key}"),) if self._server.key else ()

    @property
    def availability(self) -> Availability:
        """Whether it is connected and knows the model."""
        return self._availability

    def watch(self, changed: Callable[[Availability], None]) -> None:
        """Call `changed` now and at every later change of availability."""
        self._watchers.append(changed)
        changed(self._availability)

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""
        # Another process may know that the server is there while this one, which has just started, asks it what it runs.
        await self._asked.wait()
        model, provider = self._model, self._server.provider
        if model is None:
            raise NotReadyError(
                f"provider {provider} is not ready", metadata={"provider": provider}, retry_after_s=_FIRST_WAIT_S
            )
        has_begun = False
        try:
            async with aclosing(coalesced(self._answer(model, generation), self._server.coalesce_window_s)) as chunks:
                async for chunk in chunks:
                    has_begun = True
                    yield chunk
        except TierwayError:
            if has_begun:
                raise failures.broken(provider) from None
            raise

    async def run(self) -> None:
        """Keep the connection, and know the model, until cancelled; then close it."""
        wait_s = _FIRST_WAIT_S
        async with _channel(self._server) as channel:
            stub = vllm_engine_pb2_grpc.VllmEngineStub(channel)
            while True:
                try:
                    self._model = await self._learn(stub)
                except (grpc.aio.AioRpcError, TimeoutError, TokenizerUnusableError, OSError) as failure:
                    self._asked.set()
                    self.become(Availability(False, _reason(failure)))
                    await self._sleep(wait_s)
                    wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                    continue
                self._asked.set()
                wait_s = _FIRST_WAIT_S
                self.become(Availability(True))
                await _disconnected(channel)
                self._model = None
                self.become(Availability(False, "no server: the connection was lost"))

    async def _learn(self, stub: vllm_engine_pb2_grpc.VllmEngineStub) -> _Model:
        """Ask the server what it runs."""
        server = self._server
        about = await stub.GetModelInfo(
            vllm_engine_pb2.GetModelInfoRequest(), timeout=server.connect_timeout_s, metadata=self._metadata
        )
        if server.tokenizer is not None:
            files = await asyncio.to_thread(_in_folder, server.tokenizer)
        else:
            files = await asyncio.to_thread(_in_bundle, *await self._bundle(stub))
        return _Model(
            stub,
            await asyncio.to_thread(ChatTokenizer, files),
            min(server.context_tokens, about.max_context_length or server.context_tokens),
            defaults(about.default_sampling_params_json),
        )

    async def _bundle(self, stub: vllm_engine_pb2_grpc.VllmEngineStub) -> tuple[bytes, str]:
        """The archive of the tokenizer's files, and its fingerprint."""
        data, fingerprint = bytearray(), ""
        async with asyncio.timeout(self._server.idle_timeout_s):
            async for part in stub.GetTokenizer(common_pb2.GetTokenizerRequest(), metadata=self._metadata):
                data += part.data
                fingerprint = part.sha256 or fingerprint
                if len(data) > _MOST_BUNDLE_BYTES:
                    raise TokenizerUnusableError("it is too large")
        return bytes(data), fingerprint

    async def _answer(self, model: _Model, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """The answer, chunk by chunk as the server sends it."""
        provider = self._server.provider
        prompt = await self._tokenized(model.tokenizer, generation)
        max_tokens = tokens_to_generate(generation, len(prompt), model.context_tokens)
        call = model.stub.Generate(
            request(generation, prompt, max_tokens, model.defaults), metadata=self._metadata, wait_for_ready=False
        )
        reply = VllmReply(model.tokenizer, prompt, generation, max_tokens)
        try:
            while True:
                async with asyncio.timeout(self._server.idle_timeout_s):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    raise failures.of_kind(provider, ProviderFailedError, "ended without its end")
                if response.HasField("chunk"):
                    if reply.is_passed_by(response.chunk):
                        yield reply.last_chunk(FinishReason.LENGTH)
                        return
                    if (chunk := reply.take(response.chunk)) is not None:
                        yield chunk
                elif response.HasField("complete"):
                    reason = response.complete.finish_reason
                    if reason in ("abort", "error"):
                        raise failures.of_kind(provider, ProviderFailedError, reason)
                    yield reply.last_chunk(finish_reason(reason))
                    return
        except grpc.aio.AioRpcError as failure:
            raise failures.of_kind(
                provider, _KINDS.get(failure.code(), ProviderFailedError), failure.code().name
            ) from None
        except TimeoutError:
            raise failures.of_kind(provider, ProviderTimeoutError, "silence") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():  # it is the channel that was closed
                raise failures.of_kind(provider, ProviderFailedError, "closed") from None
            raise
        finally:
            call.cancel()

    async def _tokenized(self, tokenizer: ChatTokenizer, generation: Generation) -> list[int]:
        characters = sum(len(message.text) for message in generation.messages) + len(generation.answered)
        try:
            if characters <= _INLINE_PROMPT_CHARACTERS:
                return tokenizer.prompt(generation.messages, generation.answered)
            return await asyncio.to_thread(tokenizer.prompt, generation.messages, generation.answered)
        except TokenizerUnusableError:
            raise failures.of_kind(self._server.provider, ProviderRejectedError, "chat template") from None

    def prepare(self) -> None:
        """Nothing would hold the first answer up: what is to be known is known before it is available."""

    def become(self, availability: Availability) -> None:
        """Tell the watchers, if it is news."""
        if availability != self._availability:
            logger.info(
                "vllm server", extra={"provider": self._server.provider, "available": availability.is_available}
            )
            self._availability = availability
            for changed in self._watchers:
                changed(availability)


def _channel(server: VllmServer) -> grpc.aio.Channel:
    options = (
        ("grpc.max_receive_message_length", 16 * 2**20),
        # Each deployment has a connection of its own, and hears of its end.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        # A server that comes back is found within seconds.
        ("grpc.max_reconnect_backoff_ms", 5_000),
    )
    if server.is_secure:
        return grpc.aio.secure_channel(server.target, grpc.ssl_channel_credentials(), options)
    return grpc.aio.insecure_channel(server.target, options)


async def _disconnected(channel: grpc.aio.Channel) -> None:
    """Return when the connection is not there any more."""
    while (state := channel.get_state()) is grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)


def _in_folder(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def _in_bundle(data: bytes, fingerprint: str) -> dict[str, bytes]:
    if hashlib.sha256(data).hexdigest() != fingerprint:
        raise TokenizerUnusableError("it did not come whole")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            found = [entry for entry in bundle.infolist() if entry.filename in FILES]
            if sum(entry.file_size for entry in found) > _MOST_BUNDLE_BYTES:
                raise TokenizerUnusableError("it is too large")
            return {entry.filename: bundle.read(entry) for entry in found}
    # RuntimeError: it is encrypted, or compressed in a way that is not known here.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise TokenizerUnusableError("it is no archive") from error


def _reason(failure: Exception) -> str:
    """Why the server cannot be used, in one line for the operator."""
    if isinstance(failure, grpc.aio.AioRpcError):
        if failure.code() is grpc.StatusCode.UNAVAILABLE:
            return "no server: nothing answers there"
        return f"no server: it answers {failure.code().name}"
    if isinstance(failure, TokenizerUnusableError):
        return f"no tokenizer: {failure}"
    if isinstance(failure, TimeoutError):
        return "no server: it does not answer in time"
    return "no tokenizer: its folder cannot be read"

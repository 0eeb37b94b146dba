"""The ways to the mock provider that `added_latency` compares: each asks for one answer and says when it began and when it was whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import grpc
import openai
from openai.types.chat import ChatCompletionUserMessageParam

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2
from tierway_bench.mock_provider import MODEL

Times = tuple[float, float]
"""Seconds to the first piece of text (unary: of the answer), and to the end."""
Ask = Callable[[str], Awaitable[Times]]
Way = Callable[[], AbstractAsyncContextManager[Ask]]
"""Opens what one way needs: a client with its connections."""

_TIMEOUT_S = 60.0
_MAX_TOKENS = 256
_SERVICE = "/tierway.v1.RouterService/"
_CONTENT = b'"content":"'
_EMPTY = b'"content":""'


class WrongAnswerError(Exception):
    """A way did not bring the answer that was asked for."""


def raw_http(base_url: str, *, is_streaming: bool, headers: dict[str, str] | None = None, model: str = MODEL) -> Way:
    """aiohttp and the bytes: the least that a client in Python can do. Also to gateways that speak the same."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Ask]:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:

            async def ask(prompt: str) -> Times:
                began_s, first_s = time.perf_counter(), 0.0
                body = {
                    "model": model,
                    "messages": _messages(prompt),
                    "max_tokens": _MAX_TOKENS,
                    "stream": is_streaming,
                }
                async with session.post(f"{base_url}/chat/completions", json=body) as reply:
                    received = b""
                    async for chunk in reply.content.iter_any():
                        received += chunk
                        if not first_s and is_streaming and _has_text(received):
                            first_s = time.perf_counter()
                    end_s = time.perf_counter()
                    if reply.status != 200 or _CONTENT not in received.replace(b'": "', b'":"'):
                        raise WrongAnswerError(f"{base_url}: {reply.status} {received[:500]!r}")
                return (first_s or end_s) - began_s, end_s - began_s

            yield ask

    return opened


def openai_sdk(base_url: str, *, is_streaming: bool) -> Way:
    """The official SDK, as an application would use it."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Ask]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=_TIMEOUT_S) as client:
            create = client.chat.completions.create

            async def stream(prompt: str) -> Times:
                began_s, first_s = time.perf_counter(), 0.0
                events = await create(model=MODEL, messages=_messages(prompt), max_tokens=_MAX_TOKENS, stream=True)
                async for event in events:
                    if not first_s and event.choices and event.choices[0].delta.content:
                        first_s = time.perf_counter()
                if not first_s:
                    raise WrongAnswerError("the SDK saw no text")
                return first_s - began_s, time.perf_counter() - began_s

            async def whole(prompt: str) -> Times:
                began_s = time.perf_counter()
                answer = await create(model=MODEL, messages=_messages(prompt), max_tokens=_MAX_TOKENS)
                if not answer.choices[0].message.content:
                    raise WrongAnswerError("the SDK saw no text")
                took_s = time.perf_counter() - began_s
                return took_s, took_s

            yield stream if is_streaming else whole

    return opened


def tierway(target: str, *, is_streaming: bool) -> Way:
    """Tierway's `Stream` or `Execute`, by the generated messages."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Ask]:
        async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
            execute = channel.unary_unary(
                f"{_SERVICE}Execute",
                request_serializer=pb.ExecuteRequest.SerializeToString,
                response_deserializer=pb.ExecuteResponse.FromString,
            )
            streamed = channel.unary_stream(
                f"{_SERVICE}Stream",
                request_serializer=pb.StreamRequest.SerializeToString,
                response_deserializer=pb.StreamResponse.FromString,
            )
            sampling = types_pb2.Sampling(max_tokens=_MAX_TOKENS)

            async def stream(prompt: str) -> Times:
                began_s, first_s = time.perf_counter(), 0.0
                request = pb.StreamRequest(query=types_pb2.Query(prompt=prompt), sampling=sampling)
                async for event in streamed(request, timeout=_TIMEOUT_S):
                    if not first_s and event.HasField("delta") and event.delta.text:
                        first_s = time.perf_counter()
                if not first_s:
                    raise WrongAnswerError("Tierway sent no text")
                return first_s - began_s, time.perf_counter() - began_s

            async def whole(prompt: str) -> Times:
                began_s = time.perf_counter()
                request = pb.ExecuteRequest(query=types_pb2.Query(prompt=prompt), sampling=sampling)
                reply = await execute(request, timeout=_TIMEOUT_S)
                took_s = time.perf_counter() - began_s
                if not reply.text:
                    raise WrongAnswerError("Tierway sent no text")
                return took_s, took_s

            yield stream if is_streaming else whole

    return opened


def _messages(prompt: str) -> list[ChatCompletionUserMessageParam]:
    return [{"role": "user", "content": prompt}]


def _has_text(received: bytes) -> bool:
    """Whether a piece of text has come, beside the empty one that opens a stream; gateways put spaces into their JSON."""
    plain = received.replace(b'": "', b'":"')
    return plain.count(_CONTENT) > plain.count(_EMPTY)

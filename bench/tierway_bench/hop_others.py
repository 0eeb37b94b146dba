"""Two other ways over the same distance, for comparison with what serves: gRPC, and all generations over one connection."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import grpc
import msgspec

from tierway_bench.hop_engine import PacedEngine
from tierway_server.backends.base import Chunk, Generation
from tierway_server.backends.hop import Generate, Made, answer_decoder, question_decoder

_METHOD = "/tierway.bench.Engine/Generate"
_HEAD = struct.Struct(">II")  # length, number of the generation


async def serve_grpc(engine: PacedEngine, address: str) -> grpc.aio.Server:
    """Serve by gRPC, the messages being the same bytes."""

    async def generate(request: bytes, _context: object) -> AsyncGenerator[bytes, None]:
        question = question_decoder.decode(request)
        assert isinstance(question, Generate)  # nobody asks anything else here
        async for chunk in engine.generate(question.generation):
            yield msgspec.msgpack.encode(Made(chunk))

    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    _, service, name = _METHOD.split("/")
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(generate)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    server.add_insecure_port(address)
    await server.start()
    return server


class GrpcEngine:
    """The other end of `serve_grpc`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(_METHOD)

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer."""
        call = self._call(msgspec.msgpack.encode(Generate("paced", generation)))
        async for reply in call:
            yield _chunk(reply)


async def serve_shared(engine: PacedEngine, path: str) -> asyncio.Server:
    """Serve with frames that carry the generation's number, any number of generations over one connection."""

    async def generate(number: int, question: bytes, send: Callable[[int, object], Awaitable[None]]) -> None:
        asked = question_decoder.decode(question)
        assert isinstance(asked, Generate)  # nobody asks anything else here
        async with aclosing(engine.generate(asked.generation)) as chunks:
            async for chunk in chunks:
                await send(number, Made(chunk))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(number: int, message: object) -> None:
            body = msgspec.msgpack.encode(message)
            writer.write(_HEAD.pack(len(body), number) + body)
            await writer.drain()

        async with asyncio.TaskGroup() as tasks:
            try:
                while True:
                    length, number = _HEAD.unpack(await reader.readexactly(_HEAD.size))
                    tasks.create_task(generate(number, await reader.readexactly(length), send))
            except asyncio.IncompleteReadError:
                pass  # the front end has gone

    return await asyncio.start_unix_server(handle, path)


class SharedEngine:
    """The other end of `serve_shared`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, asyncio.Queue[bytes]] = {}
        self._last = 0

    async def run(self) -> None:
        """Hand out what comes, until cancelled."""
        while True:
            length, number = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            self._waiting[number].put_nowait(await self._reader.readexactly(length))

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer."""
        self._last += 1
        number, replies = self._last, asyncio.Queue[bytes]()
        self._waiting[number] = replies
        body = msgspec.msgpack.encode(Generate("paced", generation))
        self._writer.write(_HEAD.pack(len(body), number) + body)
        chunk = None
        while chunk is None or chunk.finish_reason is None:
            chunk = _chunk(await replies.get())
            yield chunk
        del self._waiting[number]


def _chunk(reply: bytes) -> Chunk:
    made = answer_decoder.decode(reply)
    assert isinstance(made, Made)  # nothing fails here
    return made.chunk

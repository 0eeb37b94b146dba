"""Streams of a `raw_engine` process: the same shape as `grpc_streams`, so that the same workers drive both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

from tierway_bench.raw_protocol import Output, unpacked


class _Receiver(asyncio.Protocol):
    """Hands every output to the stream that waits for it."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Queue[Output | None]] = {}
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for output in unpacked(self._buffer):
            self.waiting[output.request].put_nowait(output)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the reason does not matter
        for queue in self.waiting.values():
            queue.put_nowait(None)


@asynccontextmanager
async def raw_streams(address: str) -> AsyncIterator[Callable[[str, int], AsyncIterator[int]]]:
    """Opens streams over one connection."""
    host, _, port = address.rpartition(":")
    transport, receiver = await asyncio.get_running_loop().create_connection(_Receiver, host, int(port))
    ids = count()

    async def stream(prompt: str, max_tokens: int) -> AsyncIterator[int]:
        request = next(ids)
        queue = receiver.waiting[request] = asyncio.Queue()
        transport.write(json.dumps({"id": request, "prompt": prompt, "max_tokens": max_tokens}).encode() + b"\n")
        while True:
            output = await queue.get()
            if output is None:
                raise ConnectionError("the engine closed the connection")
            yield output.token_count
            if output.is_last:
                del receiver.waiting[request]
                return

    try:
        yield stream
    finally:
        transport.close()

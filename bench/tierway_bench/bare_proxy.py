"""The least that a gRPC server in Python can put in front of a provider: grpc.aio, aiohttp, and the provider's bytes as they are.

It decides nothing, checks nothing, counts nothing, and has one provider: what it adds to an answer, no server on these two libraries can
do without. `added_latency` has it beside Tierway. `python -m tierway_bench.bare_proxy URL` says in a line of JSON where it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

import aiohttp
import grpc
import uvloop

from tierway.v1 import router_service_pb2 as pb
from tierway_bench.mock_provider import MODEL

Context = grpc.aio.ServicerContext[Any, Any]


class BareProxy:
    """The servicer."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._url = f"{base_url}/chat/completions"

    def handlers(self) -> grpc.GenericRpcHandler:
        """`Execute` and `Stream`, by the names that Tierway has for them."""
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Execute": grpc.unary_unary_rpc_method_handler(self._execute),
            "Stream": grpc.unary_stream_rpc_method_handler(self._stream),
        }
        return grpc.method_handlers_generic_handler("tierway.v1.RouterService", methods)

    async def _execute(self, data: bytes, _context: Context) -> bytes:
        request = pb.ExecuteRequest.FromString(data)
        async with self._asked(request.query.prompt, request.sampling.max_tokens, is_streaming=False) as reply:
            body = await reply.read()
        return pb.ExecuteResponse(text=body.decode()).SerializeToString()

    async def _stream(self, data: bytes, context: Context) -> None:
        request = pb.StreamRequest.FromString(data)
        async with self._asked(request.query.prompt, request.sampling.max_tokens, is_streaming=True) as reply:
            async for piece in reply.content.iter_any():
                event = pb.StreamResponse(delta=pb.StreamDelta(text=piece.decode(errors="replace")))
                await context.write(event.SerializeToString())

    def _asked(self, prompt: str, max_tokens: int, *, is_streaming: bool) -> Any:
        messages = [{"role": "user", "content": prompt}]
        body = {"model": MODEL, "messages": messages, "max_tokens": max_tokens, "stream": is_streaming}
        return self._session.post(self._url, json=body)


async def _serve(base_url: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        server.add_generic_rpc_handlers((BareProxy(session, base_url).handlers(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(json.dumps({"grpc": f"127.0.0.1:{port}"}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="A gRPC server that passes a provider's bytes on.")
    parser.add_argument("base_url", metavar="URL", help="where the provider's API begins")
    uvloop.run(_serve(parser.parse_args().base_url))


if __name__ == "__main__":
    main()

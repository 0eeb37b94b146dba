"""The least that grpc.aio can do with a request: take it and give back a constant. What `Route` is compared with.

Run as a process of its own; it prints its address as JSON when it serves, and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

import grpc
import uvloop

from tierway.v1 import router_service_pb2 as pb

BYTES = "/tierway.bench.Echo/Bytes"
"""Neither decodes nor encodes."""
MESSAGES = "/tierway.bench.Echo/Messages"
"""Decodes the request and encodes the constant, as every generated stub does."""
COUNT = "/tierway.bench.Echo/Count"
"""How many calls have been answered so far, as text."""


class Echo:
    """The servicer."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._message = pb.RouteResponse.FromString(reply)
        self._answered = 0

    def handlers(self) -> grpc.GenericRpcHandler:
        """The three methods."""
        methods = {
            "Bytes": grpc.unary_unary_rpc_method_handler(self._bytes),
            "Messages": grpc.unary_unary_rpc_method_handler(
                self._messages,
                request_deserializer=pb.RouteRequest.FromString,
                response_serializer=pb.RouteResponse.SerializeToString,
            ),
            "Count": grpc.unary_unary_rpc_method_handler(self._count),
        }
        return grpc.method_handlers_generic_handler("tierway.bench.Echo", methods)

    async def _bytes(self, _request: bytes, _context: object) -> bytes:
        self._answered += 1
        return self._reply

    async def _messages(self, _request: pb.RouteRequest, _context: object) -> pb.RouteResponse:
        self._answered += 1
        return self._message

    async def _count(self, _request: bytes, _context: object) -> bytes:
        return str(self._answered).encode()


async def serve(reply: bytes) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((Echo(reply).handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"grpc": f"127.0.0.1:{port}"}), flush=True)
    await stop.wait()
    await server.stop(None)


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description="Answers every request with the message in FILE.")
    parser.add_argument("reply", type=Path, metavar="FILE", help="a serialised tierway.v1.RouteResponse")
    uvloop.run(serve(parser.parse_args().reply.read_bytes()))


if __name__ == "__main__":
    main()

"""A vLLM server with a fault, over its own gRPC: what it does to a request, before its first token or after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from smg_grpc_proto.generated import vllm_engine_pb2 as pb

from tests.faults import openai_events as openai
from tests.faults.certificates import self_signed
from tests.faults.dialects import GRPC
from tests.faults.faulty import AFTER, NO_NAME, Faulty, Serve, unheard
from tests.faults.proxy import FaultProxy, Kind, fault_proxy
from tests.faults.upstream import upstream
from tests.server.byte_tokenizer import byte_tokenizer, files
from tests.server.vllm_grpc_server import Step, VllmServer, serving

KIND = "vllm_grpc"
FIRST = openai.PIECES[0]
_TEMPLATE = "x" * openai.INPUT_TOKENS
"""Writes the same prompt for every conversation: as many tokens as the other wires account for."""


NO_TOKEN = pb.GenerateResponse(chunk=pb.GenerateStreamChunk())
FIRST_TOKEN = pb.GenerateResponse(chunk=pb.GenerateStreamChunk(token_ids=[byte_tokenizer((FIRST,)).token_to_id(FIRST)]))


class _Server(VllmServer):
    """One whose answers do not end by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.files = files(_TEMPLATE, (FIRST,))
        self.finish_reason = ""


def told(steps: Callable[[asyncio.Event], Iterable[Step]]) -> dict[str, Serve]:
    """Takes these steps for every request."""

    @asynccontextmanager
    async def serve(seen: asyncio.Event) -> AsyncIterator[Faulty]:
        server = _Server()
        server.steps = steps(seen)
        async with serving(server) as port:
            yield _faulty(server, port)

    return {GRPC: serve}


def after(*steps: Step) -> dict[str, Serve]:
    """The first token, and when that has been seen, the steps."""
    return told(lambda seen: (FIRST_TOKEN, seen, *steps))


def gone(kind: Kind, when: str) -> dict[str, Serve]:
    """The server goes, with all its connections."""

    @asynccontextmanager
    async def serve(seen: asyncio.Event) -> AsyncIterator[Faulty]:
        server = _Server()
        async with serving(server) as port, fault_proxy(port) as proxy:
            begun = (FIRST_TOKEN, seen) if when == AFTER else ()
            server.steps = (*begun, _going(proxy, kind), asyncio.Event())
            yield _faulty(server, proxy.port)

    return {GRPC: serve}


def _going(proxy: FaultProxy, kind: Kind) -> Callable[[], None]:
    return lambda: proxy.go(kind)


def _faulty(server: VllmServer, port: int) -> Faulty:
    return Faulty(f"grpc://127.0.0.1:{port}", lambda: len(server.asked), KIND)


@asynccontextmanager
async def refused(seen: asyncio.Event) -> AsyncIterator[Faulty]:
    """Nobody listens there."""
    with unheard() as port:
        yield Faulty(f"grpc://127.0.0.1:{port}", lambda: 0, KIND, is_there=False)


@asynccontextmanager
async def nameless(seen: asyncio.Event) -> AsyncIterator[Faulty]:
    """Nobody has that name."""
    yield Faulty(f"grpc://{NO_NAME}:50051", lambda: 0, KIND, is_there=False)


@asynccontextmanager
async def distrusted(seen: asyncio.Event) -> AsyncIterator[Faulty]:
    """It has a certificate that nobody vouches for."""
    async with upstream(lambda _: openai.stream(), tls=self_signed()) as server:
        yield Faulty(f"grpcs://127.0.0.1:{server.port}", lambda: server.count, KIND, is_there=False)

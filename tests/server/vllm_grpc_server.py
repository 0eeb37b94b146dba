"""A vLLM server as its gRPC clients see it: a real server over loopback, whose tokens are single bytes and come as a test says."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from smg_grpc_proto.generated import common_pb2, vllm_engine_pb2_grpc
from smg_grpc_proto.generated import vllm_engine_pb2 as pb

from tests.server.byte_tokenizer import byte_tokenizer, files

TOKENIZER = byte_tokenizer()
_PART_BYTES = 1_000

Step = str | float | asyncio.Event | grpc.StatusCode | pb.GenerateResponse | Callable[[], None]


def tokens(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False).ids


class VllmServer(vllm_engine_pb2_grpc.VllmEngineServicer):
    """Answers each request with `steps`: a text is a chunk of its tokens, a number a pause in seconds, an event is waited for, a status
    ends the call with it, a function is called."""

    def __init__(self) -> None:
        self.steps: Iterable[Step] = ("Paris", " it is.")
        self.finish_reason = "stop"
        self.cached_tokens = 4
        self.asked: list[pb.GenerateRequest] = []
        self.metadata: list[dict[str, str]] = []
        """What came with each call, in order."""
        self.left = 0
        """Calls that were gone before their end."""
        self.files = files()
        self.about = pb.GetModelInfoResponse(max_context_length=512)
        self.about_status: grpc.StatusCode | None = None
        self.spoil: Callable[[bytes], bytes] = lambda data: data
        """What becomes of the tokenizer on its way."""
        self.packed: Callable[[bytes], bytes] = lambda data: data
        """What the tokenizer's archive is, before its fingerprint is taken."""
        self.asked_for_tokenizer = 0

    async def GetModelInfo(self, request: pb.GetModelInfoRequest, context: Any) -> pb.GetModelInfoResponse:
        self.metadata.append(dict(context.invocation_metadata()))
        if self.about_status is not None:
            await context.abort(self.about_status, "hunter2")
        return self.about

    async def GetTokenizer(
        self, request: common_pb2.GetTokenizerRequest, context: Any
    ) -> AsyncIterator[common_pb2.GetTokenizerChunk]:
        self.asked_for_tokenizer += 1
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, data in self.files.items():
                bundle.writestr(name, data)
        whole = self.packed(archive.getvalue())
        fingerprint = hashlib.sha256(whole).hexdigest()
        data = self.spoil(whole)
        for start in range(0, len(data), _PART_BYTES):
            part, is_last = data[start : start + _PART_BYTES], start + _PART_BYTES >= len(data)
            yield common_pb2.GetTokenizerChunk(data=part, sha256=fingerprint if is_last else "")

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> AsyncIterator[pb.GenerateResponse]:
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        read, is_whole = len(request.tokenized.input_ids), False
        try:
            for step in self.steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, grpc.StatusCode):
                    is_whole = True
                    await context.abort(step, "hunter2")
                elif isinstance(step, pb.GenerateResponse):
                    yield step
                elif isinstance(step, float):
                    await asyncio.sleep(step)
                elif callable(step):
                    step()
                else:
                    chunk = pb.GenerateStreamChunk(
                        token_ids=tokens(step), prompt_tokens=read, cached_tokens=self.cached_tokens
                    )
                    yield pb.GenerateResponse(chunk=chunk)
            is_whole = True
            if self.finish_reason:
                yield pb.GenerateResponse(
                    complete=pb.GenerateComplete(finish_reason=self.finish_reason, prompt_tokens=read)
                )
        finally:
            self.left += not is_whole

    def default_sampling(self, **values: float) -> None:
        self.about.default_sampling_params_json = json.dumps(values)


@asynccontextmanager
async def serving(servicer: VllmServer, port: int = 0) -> AsyncIterator[int]:
    """Serve until the block ends; gives the port."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    vllm_engine_pb2_grpc.add_VllmEngineServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)

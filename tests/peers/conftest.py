"""Other projects' servers, each started at most once a session, when the first test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import servers
from tests.peers.servers import Peer
from tierway_server.backends.embedded_model import prepare


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers write."""
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="session")
def llama_cpp(logs: Path) -> Iterator[Peer]:
    """llama.cpp's server on the embedded model."""
    with servers.llama_cpp(logs / "llama.log") as peer:
        yield peer


@pytest.fixture(scope="session")
def katan(logs: Path) -> Iterator[Peer]:
    """`llm-katan`, which echoes in OpenAI's, Anthropic's, Azure's and Google's ways."""
    with servers.katan(logs / "katan.log") as peer:
        yield peer


@pytest.fixture(scope="session")
def flapping_katan(logs: Path) -> Iterator[Peer]:
    """The same, with 500 for three requests in ten."""
    with servers.katan(logs / "flapping.log", "--error-rate=0.3") as peer:
        yield peer


@pytest.fixture(scope="session")
def limited_katan(logs: Path) -> Iterator[Peer]:
    """The same, with 429 for every request but the first."""
    with servers.katan(logs / "limited.log", "--rate-limit-after=1") as peer:
        yield peer


@pytest.fixture(scope="session")
def strict_katan(logs: Path) -> Iterator[Peer]:
    """The same, which knows its keys, and says in its refusals which one it was given."""
    with servers.katan(logs / "strict.log", "--validate-keys") as peer:
        yield peer


@pytest.fixture(scope="session")
def vllm_openai(logs: Path) -> Iterator[Peer]:
    """vLLM's OpenAI server on the embedded model; whoever asks first waits for most of a minute."""
    with servers.vllm_openai(prepare(), logs / "vllm-openai.log") as peer:
        yield peer


@pytest.fixture(scope="session")
def vllm_grpc(logs: Path) -> Iterator[Peer]:
    """vLLM's gRPC server on the embedded model; likewise."""
    with servers.vllm_grpc(prepare(), logs / "vllm-grpc.log") as peer:
        yield peer

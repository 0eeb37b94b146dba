"""The client's wheel alone, in an environment with nothing else of ours, on the oldest gRPC and protobuf that it claims to support.

The suite itself runs on protobuf 7: between them, the stubs are tested on both.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from tierway.v1 import router_service_pb2, router_service_pb2_grpc, types_pb2

_OLDEST = ("grpcio==1.81.1", "protobuf==6.33.6", "googleapis-common-protos==1.70.0")

_CALLS = """
import importlib.metadata, json, sys
import google.protobuf
from tierway_client import Client

with Client(sys.argv[1], timeout_s=30) as client:
    decision = client.route("hi")
    text = "".join(client.stream("hi").text())
    installed = sorted(one.name.lower() for one in importlib.metadata.distributions())
    print(json.dumps([google.protobuf.__version__, decision.model, decision.tier, text, installed, sorted(sys.modules)]))
"""


class ClientRun(NamedTuple):
    """What a process with the wheel alone saw."""

    protobuf: str
    model: str
    tier: int
    text: str
    distributions: list[str]
    modules: list[str]


class ScriptedRouter(router_service_pb2_grpc.RouterServiceServicer):
    """Answers every query with the model `scripted`, which says "hello" in two pieces."""

    def Route(
        self, request: router_service_pb2.RouteRequest, context: grpc.ServicerContext
    ) -> router_service_pb2.RouteResponse:
        return router_service_pb2.RouteResponse(decision=types_pb2.Decision(model="scripted", tier=2))

    def Stream(
        self, request: router_service_pb2.StreamRequest, context: grpc.ServicerContext
    ) -> Iterator[router_service_pb2.StreamResponse]:
        yield router_service_pb2.StreamResponse(
            started=router_service_pb2.StreamStarted(decision=types_pb2.Decision(model="scripted", tier=2))
        )
        for piece in ("hel", "lo"):
            yield router_service_pb2.StreamResponse(delta=router_service_pb2.StreamDelta(text=piece))
        yield router_service_pb2.StreamResponse(finished=router_service_pb2.StreamFinished())


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    router_service_pb2_grpc.add_RouterServiceServicer_to_server(ScriptedRouter(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait(timeout=10)


@pytest.fixture(scope="module")
def client_run(target: str, tmp_path_factory: pytest.TempPathFactory) -> ClientRun:
    folder = tmp_path_factory.mktemp("client-wheel")
    source = Path(__file__).resolve().parents[2] / "clients" / "python"
    # A copy: a build writes beside its sources, and other sessions may build the same checkout.
    shutil.copytree(source, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(folder / "source")],
        check=True,
    )
    (wheel,) = folder.glob("tierway_client-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", str(wheel), *_OLDEST], check=True)
    ran = subprocess.run(
        [python, "-I", "-c", _CALLS, target], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ClientRun(*json.loads(ran.stdout))


def test_client_brings_nothing_but_its_three_dependencies(client_run: ClientRun) -> None:
    assert set(client_run.distributions) == {
        "googleapis-common-protos",
        "grpcio",
        "protobuf",
        "tierway-client",
        "typing_extensions",
    }


def test_client_imports_nothing_of_the_server(client_run: ClientRun) -> None:
    roots = {module.partition(".")[0] for module in client_run.modules}
    assert roots.isdisjoint({"tierway_server", "tierway_core", "tierway_cli", "vllm", "torch", "pydantic"})


def test_client_runs_on_protobuf_6(client_run: ClientRun) -> None:
    assert client_run.protobuf == "6.33.6"


def test_client_routes(client_run: ClientRun) -> None:
    assert (client_run.model, client_run.tier) == ("scripted", 2)


def test_client_streams(client_run: ClientRun) -> None:
    assert client_run.text == "hello"

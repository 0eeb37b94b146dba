"""Does what a reader would type: runs it where no engine is needed, and otherwise checks that it would be understood."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import ROOT
from tests.server.running import RunningServer
from tierway_bench.__main__ import BENCHMARKS
from tierway_cli.serve import serve

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = frozenset(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
_MAKE_VARIABLES = frozenset({"ARGS", "PYTHON", "TIERWAY_CORE_DEBUG", "TORCH_INDEX_URL", "VENV"})
_STAGES = frozenset(re.findall(r"^FROM .* AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
_TOOLS = Path(sys.executable).parent
_PORTS = {"grpc": "127.0.0.1:50051", "admin": "127.0.0.1:50052", "http": "127.0.0.1:8020"}
_WITHIN_S = 240.0
_MADE = frozenset({"calibration.json", "shares.png"})


@dataclass(frozen=True)
class Reader:
    """Somebody with a terminal, beside a server."""

    server: RunningServer
    home: Path

    async def types(self, line: str) -> str:
        """Do what `line` says; return what a command that ran has printed.

        Raises:
            AssertionError: it fails, or nobody here knows what it means.

        """
        for name, shown in _PORTS.items():
            line = line.replace(shown, self._address(name))
        words = shlex.split(line)
        # What a reader makes is made at home: the repository stays as it is.
        words = [str(self.home / word) if word in _MADE else word for word in words]
        match words:
            case ["make", target, *settings]:
                _check_make(target, settings)
            case [".venv/bin/tierway", "serve", *arguments]:
                with serve.make_context("tierway serve", arguments):
                    pass  # understood; that it serves is tests/e2e's to show
            case [".venv/bin/tierway", *arguments]:
                return await self._run(sys.executable, "-m", "tierway_cli", *arguments)
            case [".venv/bin/buf", *arguments]:
                return await self._run(str(_TOOLS / "buf"), *arguments)
            case ["curl", "-s", url]:
                reply = await self.server.http.get(url)
                assert reply.status_code == 200, line
                return reply.text
            case ["docker", "build", "--target", stage, "-t", _, "."]:
                assert stage in _STAGES, line
            case _:
                raise AssertionError(f"no test knows how to follow: {line}")
        return ""

    async def runs_python(self, code: str) -> str:
        """Run a program; return what it printed."""
        return await self._run(sys.executable, "-c", code.replace(_PORTS["grpc"], self._address("grpc")))

    def _address(self, name: str) -> str:
        return str(self.server.process.addresses[name])

    async def _run(self, *command: str) -> str:
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TIERWAY_TARGET": self._address("grpc"),
            "TIERWAY_ADMIN_TARGET": self._address("admin"),
        }
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(_WITHIN_S):
                printed, complaints = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{shlex.join(command)}: {complaints.decode()}"
        return printed.decode()


def _check_make(target: str, settings: list[str]) -> None:
    assert target in TARGETS, f"make {target}"
    for name, _, value in (setting.partition("=") for setting in settings):
        assert name in _MAKE_VARIABLES, f"make {target} {name}=..."
        if name == "ARGS" and target == "run":
            with serve.make_context("tierway serve", shlex.split(value)):
                pass
        if name == "ARGS" and target == "bench":
            assert shlex.split(value)[0] in BENCHMARKS, value

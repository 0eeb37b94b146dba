"""A real `tierway serve` process: started on free ports, read through its own metrics, ended by its pid."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

START_S = 170.0
_PORT = re.compile(r"^  (grpc|admin|http) +127\.0\.0\.1:(\d+)$", re.MULTILINE)


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.ports: dict[str, int] = {}

    @classmethod
    def start(cls, config: Path | None, log: Path, *, listen: str = "127.0.0.1:0") -> Server:
        """Start one in a process group of its own, as a shell would, and wait until it has printed where it listens."""
        arguments = [
            "-m",
            "tierway_cli",
            "serve",
            f"--listen={listen}",
            "--admin-listen=127.0.0.1:0",
            "--http-listen=127.0.0.1:0",
        ]
        if config is not None:
            arguments.append(f"--config={config}")
        with log.open("wb") as output:
            process = subprocess.Popen(
                # Whoever runs the tests under `nohup` has SIGHUP ignored, which children inherit.
                ["env", "--default-signal=HUP", sys.executable, *arguments],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        server = cls(process, log)
        try:
            server._read_ports()
        except BaseException:
            server.kill()
            raise
        return server

    @property
    def target(self) -> str:
        """Where it serves gRPC."""
        return f"127.0.0.1:{self.ports['grpc']}"

    @property
    def printed(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text()

    async def ready(self) -> bool:
        """Whether it says that it can answer."""
        return (await self._get("/ready")).status_code == 200

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of a metric that carry these labels."""
        families = text_string_to_metric_families((await self._get("/metrics")).text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def answered(self, engine: str) -> float:
        """vLLM's own count of the requests that an engine has completed."""
        done = [
            await self.metric("vllm:request_success_total", model_name=engine, finished_reason=reason)
            for reason in ("stop", "length")
        ]
        return sum(done)

    async def is_idle(self, engine: str) -> bool:
        """Whether the engine's own gauges say that it neither runs nor queues anything, and our slots are free."""
        running = await self.metric("vllm:num_requests_running", model_name=engine)
        waiting = await self.metric("vllm:num_requests_waiting", model_name=engine)
        return running == waiting == await self.metric("tierway_in_flight") == 0

    def engine_processes(self, title: str = "VLLM::") -> list[psutil.Process]:
        """The processes of its engines, by the titles that vLLM gives them."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if title in " ".join(child.cmdline()) or title[:15] in child.name():
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return found

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 60)

    def kill(self) -> None:
        """End it and its engines at once."""
        if self.process.poll() is None:
            engines = self.engine_processes()
            self.process.kill()
            self.process.wait()
            for engine in engines:
                with contextlib.suppress(psutil.NoSuchProcess):
                    engine.kill()

    def _read_ports(self) -> None:
        deadline_s = time.monotonic() + START_S
        while len(self.ports) < 3:
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            self.ports = {name: int(port) for name, port in _PORT.findall(self.log.read_text())}
            time.sleep(0.1)  # polling for readiness, bounded above

    async def _get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://127.0.0.1:{self.ports['http']}{path}", timeout=10)


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = 30.0) -> None:
    """Wait until a condition holds; fail when it does not within the time."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110  (the state is another process's)
            await asyncio.sleep(0.02)

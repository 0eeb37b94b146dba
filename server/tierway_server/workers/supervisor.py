"""The process above all others: starts the engine host and the front ends, starts again what dies, and answers for all of them over HTTP.

    supervisor ──┬── engine host ── vLLM's processes
                 ├── front end 0 ┐
                 ├── front end 1 ├ one gRPC port, one administrators' port, one state in shared memory
                 └── ...         ┘

It speaks no gRPC and decides nothing. It owns the state: writes what the configuration grants and which deployments can answer, gives
back what a dead front end held, and keeps it in step with other machines.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tierway_core import Prefixes
from tierway_core.grants import new_state, state_bytes
from tierway_server import banner
from tierway_server.backends.engines import remote_engines
from tierway_server.backends.hop import Count as CountEngines
from tierway_server.backends.remote_models import RemoteModels
from tierway_server.config import Address, Config, Secrets, build_table, parse_address, redacted, unavailable_reason
from tierway_server.deciding import start_deciding
from tierway_server.flow.deployments import Deployments
from tierway_server.http import app as http_app
from tierway_server.local_socket import Frames, GarbledError, Listener, asking
from tierway_server.ports import listening, reserved, warn_of_exposure
from tierway_server.sharing import start_sharing
from tierway_server.stops import Stops
from tierway_server.telemetry.counting import SinceReset
from tierway_server.telemetry.families import Collected, Families, Merged, collect, families_decoder, merge
from tierway_server.telemetry.metrics import Metrics
from tierway_server.workers.assignment import Assignment, host_socket, supervisor_socket, worker_socket
from tierway_server.workers.child import CannotStartError, Child
from tierway_server.workers.memory import SharedMemory
from tierway_server.workers.questions import Reset, Serving, Whole, to_supervisor_decoder
from tierway_server.workers.whole import WholeCounts

logger = logging.getLogger(__name__)

HOST = "tierway_server.workers.host"
_WORKER = "tierway_server.workers.worker"

# Beyond the grace of a drain, until a process that does not end is killed.
_STOP_S = 10.0
_HOST_STOP_S = 20.0
_ENGINES_PATIENCE_S = 0.5
_RECOVER_AGAIN_S = 0.01
# How much of a dead front end's counts may be lost at most.
_COUNT_EVERY_S = 1.0


class Supervisor:
    """All of a server but its work. Construct it on the running loop of the main thread."""

    def __init__(self, config: Config, environ: Mapping[str, str], *, host_module: str = HOST) -> None:
        """Prepare a server; nothing is started.

        Args:
            config: the whole configuration.
            environ: the environment; the processes inherit it.
            host_module: what the engine host runs.

        Raises:
            ConfigError: weights or calibration cannot be used.

        """
        self._config = config
        self._socket = f"tierway-{secrets.token_hex(16)}"
        self.table = build_table(config)
        workers = config.server.workers
        self._memory = SharedMemory(state_bytes(self.table, workers))
        self.state = new_state(self.table, workers=workers, buffer=self._memory.buffer)
        self.metrics = Metrics()
        self._secrets = Secrets.of(config, environ)
        self.keeper = start_sharing(config, self._secrets, self.table, self.state, self.metrics.registry)
        # What would stop every front end is found here, once, before anything starts.
        _, calibrator = start_deciding(config, environ, self.table, self.state, Prefixes(), self.metrics)
        self.is_calibrated = calibrator is not None
        """Whether there is a calibration that SIGHUP could load."""
        reasons = [
            unavailable_reason(config, deployment, environ, self._secrets) for _, deployment in config.deployments
        ]
        self.engines = remote_engines(config, reasons, host_socket(self._socket))
        # Front ends ask remote models themselves; which of them are there is found out here, for all.
        self.remote = RemoteModels(config, reasons, environ, self._secrets, answers=False)
        self.deployments = Deployments(
            self.table,
            self.state,
            {**self.engines.by_deployment, **self.remote.by_deployment},
            dict(enumerate(reasons)),
        )
        self.addresses: dict[str, Address] = {}
        """What the server listens on, by `grpc`, `admin` and `http`; known after `listen`."""
        self._holders: list[socket.socket] = []
        self._http: http_app.HttpServer | None = None
        self._started_s = time.time()
        self._is_draining = False
        self._serving: set[int] = set()
        self.serves = asyncio.Event()
        """Set as soon as every front end has served."""
        self._dead: set[int] = set()
        """Front ends whose share of the state has not been given back yet."""
        self._to_hang_up: set[int] = set()
        """Front ends that are to load the calibration as soon as they serve."""
        self._host = self._child("engines", host_module, self._assignment, self._host_died)
        self._workers = [
            self._child(
                f"worker {worker}",
                _WORKER,
                partial(self._assignment, worker),
                partial(self._worker_died, worker),
                self._memory.fd,
            )
            for worker in range(workers)
        ]
        self._whole = WholeCounts(
            [worker_socket(self._socket, worker) for worker in range(workers)],
            lambda worker: self._workers[worker].lives,
        )
        self._counting = SinceReset(self._whole.counts)

    def listen(self) -> None:
        """Take all ports, before anything expensive starts.

        Raises:
            PortError: one of them cannot be had.

        """
        settings = self._config.server
        for name, text in (("grpc", settings.listen), ("admin", settings.admin_listen)):
            address = parse_address(text)
            holder = reserved(address)
            self._holders.append(holder)
            self.addresses[name] = address._replace(port=holder.getsockname()[1])
        listener = listening(parse_address(settings.http_listen))
        self._holders.append(listener)
        self.addresses["http"] = Address(*listener.getsockname()[:2])
        app = http_app.build(
            lambda: self.is_ready,
            lambda: self._is_draining,
            self._collected,
            lambda: self.keeper.degraded if self.keeper else "",
        )
        self._http = http_app.HttpServer(app, listener)
        warn_of_exposure(self.addresses)

    def close(self) -> None:
        """Let go of the ports; `run` does so at its end."""
        for holder in self._holders:
            holder.close()

    @property
    def is_ready(self) -> bool:
        """Whether some front end serves, and some deployment can answer."""
        return bool(self._serving) and self.deployments.is_ready

    @property
    def pids(self) -> dict[str, int | None]:
        """Which process each child is now; None while it is none."""
        return {child.name: child.pid for child in (self._host, *self._workers)}

    def hang_up(self) -> None:
        """Let every front end load the calibration; one that starts when it serves: before, the signal would end it."""
        self._to_hang_up.update(range(len(self._workers)))
        for worker in self._serving:
            self._hang_up(worker)

    def _hang_up(self, worker: int) -> None:
        if worker in self._to_hang_up:
            self._to_hang_up.discard(worker)
            self._workers[worker].signal(signal.SIGHUP)

    async def run(self, stops: Stops) -> None:
        """Serve until told to stop, then drain and leave nothing running.

        Raises:
            CannotStartError: one of the processes cannot start; its standard error says why.

        """
        assert self._http is not None  # listen() comes first
        logger.debug("configuration", extra={"config": redacted(self._config)})
        control = Listener(supervisor_socket(self._socket), to_supervisor_decoder, self._answer)
        await control.listen()
        http = asyncio.create_task(self._http.run_until_stopped(), name="http")
        watching = [asyncio.create_task(engine.run(), name=f"engine {engine.name}") for engine in self.engines.all]
        watching.append(asyncio.create_task(self.remote.run(), name="remote models"))
        watching += [asyncio.create_task(self._greet()), asyncio.create_task(self._keep_counting())]
        if self.keeper is not None:
            watching.append(asyncio.create_task(self.keeper.run(), name="shared state"))
        host = asyncio.create_task(self._host.run(), name=self._host.name)
        workers = [asyncio.create_task(worker.run(), name=worker.name) for worker in self._workers]
        told: asyncio.Task[Any] = asyncio.create_task(stops.drain.wait())
        try:
            await asyncio.wait((told, host, *workers), return_when=asyncio.FIRST_COMPLETED)
            await self._drain(workers, stops)
        finally:
            # In this order: nobody asks the engines any more, then they go down.
            for task in workers:
                task.cancel()
            ends: list[object] = await asyncio.gather(*workers, return_exceptions=True)
            self._host.stop()
            await asyncio.wait((host,), timeout=_HOST_STOP_S)
            self._http.stop()
            await control.close()
            for task in (told, host, *watching):
                task.cancel()
            ends += await asyncio.gather(host, told, http, *watching, return_exceptions=True)
            if self.keeper is not None:
                await self.keeper.leave()
            self.close()
        for failure in ends:
            if isinstance(failure, CannotStartError):
                raise failure

    async def _drain(self, workers: Sequence[asyncio.Task[None]], stops: Stops) -> None:
        self._is_draining = True
        logger.info("draining", extra={"workers": len(workers)})
        for worker in self._workers:
            worker.stop()
        impatient = asyncio.create_task(self._hurry_when(stops.at_once))
        await asyncio.wait(workers, timeout=self._config.server.drain_grace_s + _STOP_S)
        impatient.cancel()

    async def _hurry_when(self, told: asyncio.Event) -> None:
        await told.wait()
        for worker in self._workers:
            worker.stop()

    def _child(
        self,
        name: str,
        module: str,
        assignment: Callable[[], Assignment],
        died: Callable[[], Awaitable[None]],
        *fds: int,
    ) -> Child:
        began = self.metrics.process_starts.labels(name).inc
        return Child(name, module, assignment, fds=fds, began=began, died=died)

    def _assignment(self, worker: int | None = None) -> Assignment:
        return Assignment(
            config=self._config.model_dump(mode="json", exclude={"include"}),
            supervisor_pid=os.getpid(),
            socket=self._socket,
            worker=worker or 0,
            vault={} if worker is None else dict(self._secrets.vault),  # engines need none
            memory_fd=self._memory.fd,
            addresses={name: str(address) for name, address in self.addresses.items()},
            started_s=self._started_s,
        )

    async def _host_died(self) -> None:
        for engine in self.engines.all:
            engine.host_lost()

    async def _worker_died(self, worker: int) -> None:
        # Its connection tells so, too, but nobody may signal its successor before that serves.
        self._serving.discard(worker)
        self._whole.departed(worker)
        self._dead.add(worker)
        while worker in self._dead:
            try:
                recovered = self.state.recover(*self._dead)
            except RuntimeError:
                # Another one stopped in the midst of an operation: if it is dead, that is known in a moment.
                await asyncio.sleep(_RECOVER_AGAIN_S)
                continue
            self._dead.discard(worker)
            logger.warning("what a dead worker held is given back", extra={"worker": worker, **recovered._asdict()})

    async def _answer(self, question: Whole | Reset | Serving, frames: Frames[Any]) -> None:
        match question:
            case Whole():
                await frames.write(await self._counting.counts())
            case Reset():
                await frames.write(await self._counting.reset())
            case Serving(worker):
                self._serving.add(worker)
                self._hang_up(worker)
                if len(self._serving) == len(self._workers):
                    self.serves.set()
                try:
                    await asyncio.Event().wait()  # ends with the connection
                finally:
                    self._serving.discard(worker)

    async def _greet(self) -> None:
        await self.serves.wait()
        while not (self.engines.have_settled and self.remote.have_settled):
            await self.deployments.changed()
        sys.stdout.write(banner.text(self.addresses, self.table, self.deployments.availabilities))
        sys.stdout.flush()

    async def _keep_counting(self) -> None:
        while True:
            await self._whole.counts()
            await asyncio.sleep(_COUNT_EVERY_S)

    async def _collected(self) -> list[Collected]:
        """The metrics of all processes."""
        counts, engines = await asyncio.gather(self._whole.counts(), self._count_engines())
        return [Merged(merge((collect([self.metrics.registry]), counts.families, engines)))]

    async def _count_engines(self) -> Families:
        try:
            async with (
                asyncio.timeout(_ENGINES_PATIENCE_S),
                asking(host_socket(self._socket), CountEngines(), families_decoder) as told,
            ):
                return await told.read()
        except (EOFError, OSError, TimeoutError, GarbledError):
            return []  # an engine that is down has no metrics

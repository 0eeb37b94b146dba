"""The composition root: the only place that constructs, starts and stops the parts of the server."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from tierway_core import State
from tierway_server import banner
from tierway_server.backends.engines import Launch, launch_vllm, supervised_engines
from tierway_server.config import (
    Address,
    Config,
    ConfigError,
    build_table,
    default_path,
    load,
    parse_address,
    redacted,
    unavailable_reason,
)
from tierway_server.deciding import start_deciding
from tierway_server.flow.answer import Answerer
from tierway_server.flow.decide import Decider
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.drain import Drain
from tierway_server.http import app as http_app
from tierway_server.rpc import router_service
from tierway_server.rpc import server as rpc_server
from tierway_server.rpc.fleet import Fleet
from tierway_server.rpc.router_service import RouterService
from tierway_server.sharing import start_sharing
from tierway_server.stops import Stops
from tierway_server.telemetry import logging as telemetry_logging
from tierway_server.telemetry import semconv
from tierway_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

_STOP_GRACE_S = 1.0
"""How long servers may take to send what has been answered already."""


def serve(config_path: Path | None, overrides: Mapping[str, str]) -> int:
    """Run the server until it is told to stop, and return the exit code: 0, or 2 when it could not start.

    Args:
        config_path: the configuration file; None for the embedded default.
        overrides: flags, by dotted configuration key.

    """
    telemetry_logging.configure(os.environ.get("TIERWAY_LOG_LEVEL", "INFO").upper())
    try:
        config = load(config_path or default_path(), overrides=overrides, environ=os.environ)
        return uvloop.run(_serve(config, os.environ))
    except ConfigError as error:
        sys.stderr.writelines(f"tierway: {problem}\n" for problem in error.problems)
    except rpc_server.PortError as error:
        sys.stderr.write(f"tierway: {error}\n")
    return 2


async def _serve(config: Config, environ: Mapping[str, str]) -> int:
    process = Process(config, environ)
    process.listen()
    if process.calibrator is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, process.calibrator.ask)
    stops = Stops()
    await process.run(stops)
    return 0


class Process:
    """Everything that one server process consists of. Construct it on the running loop."""

    def __init__(self, config: Config, environ: Mapping[str, str], launch: Launch | None = None) -> None:
        self._config = config
        settings = config.server
        self.table = build_table(config)
        self.state = State(len(self.table.deployments))
        self.metrics = Metrics()
        self.keeper = start_sharing(config, environ, self.table, self.state, self.metrics.registry)
        self.drain = Drain()
        reasons = [unavailable_reason(config, deployment, environ) for _, deployment in config.deployments]
        self.engines = supervised_engines(config, reasons, launch or partial(launch_vllm, environ=environ))
        self.deployments = Deployments(self.table, self.state, self.engines.by_deployment, dict(enumerate(reasons)))
        self.metrics.gauge(
            semconv.AVAILABLE, "Whether a deployment can answer.", "deployment", self.deployments.available_by_name
        )
        self.metrics.gauge(
            semconv.IN_FLIGHT, "Generations under way.", "deployment", self.deployments.in_flight_by_name
        )

        deciding, self.calibrator = start_deciding(config, environ, self.table, self.state, self.metrics)
        self._decider = Decider(deciding, self.deployments, config.constitution.hash, self.metrics)
        self.metrics.gauge(
            semconv.CALIBRATION,
            "1 for the calibration that decides, by its identity.",
            "calibration",
            lambda: {self._decider.deciding.calibration or "none": 1},
        )
        service = RouterService(
            table=self.table,
            decider=self._decider,
            answerer=Answerer(self.table, self.state, self.deployments, self.metrics),
            fleet=Fleet(
                self.table,
                self.deployments.availabilities,
                config.constitution.hash,
                self.metrics,
                lambda: self._decider.deciding,
                time.time(),
            ),
            drain=self.drain,
            metrics=self.metrics,
            prompt_bytes=settings.limits.prompt_bytes,
            batch_requests=settings.limits.batch_requests,
            default_max_tokens=config.routing.default_max_tokens,
            default_deadline_s=settings.default_deadline_s,
            max_deadline_s=settings.max_deadline_s,
        )
        limits = settings.limits
        self._public = rpc_server.build(
            receive_bytes=limits.receive_bytes, max_concurrent_streams=limits.max_concurrent_streams
        )
        self._admin = rpc_server.build(
            receive_bytes=limits.receive_bytes, max_concurrent_streams=limits.max_concurrent_streams
        )
        self._health = rpc_server.Health([router_service.NAME])
        self._public.add_generic_rpc_handlers((service.handlers(),))
        self._health.add_to(self._public)
        self._health.add_to(self._admin)
        if settings.reflection:
            rpc_server.add_reflection(self._public, [router_service.NAME])
        if settings.channelz:
            rpc_server.add_channelz(self._admin)
        self._http: http_app.HttpServer | None = None
        self.addresses: dict[str, Address] = {}
        """What it listens on, by `grpc`, `admin` and `http`; known after `listen`."""

    def listen(self) -> None:
        """Take all ports, before anything expensive starts.

        Raises:
            PortError: one of them cannot be had.

        """
        settings = self._config.server
        for name, server, text in (
            ("grpc", self._public, settings.listen),
            ("admin", self._admin, settings.admin_listen),
        ):
            self.addresses[name] = parse_address(text)._replace(port=rpc_server.bind(server, text))
        listener = _listener(parse_address(settings.http_listen))
        self.addresses["http"] = Address(*listener.getsockname()[:2])
        app = http_app.build(
            lambda: self.deployments.is_ready,
            lambda: self.drain.is_draining,
            self._registries,
            lambda: self.keeper.degraded if self.keeper else "",
        )
        self._http = http_app.HttpServer(app, listener)
        for name, address in self.addresses.items():
            if address.host not in ("127.0.0.1", "::1", "localhost"):
                logger.warning(
                    "listening beyond this machine WITHOUT AUTHENTICATION",
                    extra={"port": name, "address": str(address)},
                )

    async def run(self, stops: Stops) -> None:
        """Serve until told to stop, then drain and leave nothing running."""
        assert self._http is not None  # listen() comes first
        logger.debug("configuration", extra={"config": redacted(self._config)})
        await self._health.alive()
        await self._public.start()
        await self._admin.start()
        http = asyncio.create_task(self._http.run_until_stopped(), name="http")
        engines = [asyncio.create_task(engine.run(), name=f"engine {engine.name}") for engine in self.engines.all]
        watching = [asyncio.create_task(self._watch_readiness(), name="readiness")]
        if self.calibrator is not None:
            watching.append(asyncio.create_task(self.calibrator.keep(self._decider), name="calibration"))
        if self.keeper is not None:
            watching.append(asyncio.create_task(self.keeper.run(), name="shared state"))
        try:
            await stops.drain.wait()
            await self._drain(stops)
        finally:
            # In this order: nothing new comes in, what was answered goes out, then the engines go down.
            await asyncio.gather(self._public.stop(_STOP_GRACE_S), self._admin.stop(_STOP_GRACE_S))
            self._http.stop()
            for task in (*watching, *engines):
                task.cancel()
            await asyncio.gather(http, *watching, *engines, return_exceptions=True)
            if self.keeper is not None:
                await self.keeper.leave()

    async def _drain(self, stops: Stops) -> None:
        await self._health.draining()
        grace_s = self._config.server.drain_grace_s
        logger.info("draining", extra={"in_flight": len(self.drain), "grace_s": grace_s})
        began_s = time.monotonic()
        impatient = asyncio.create_task(self._abort_when(stops.at_once))
        finished, aborted = await self.drain.drain(grace_s)
        impatient.cancel()
        logger.info(
            "drained", extra={"finished": finished, "aborted": aborted, "seconds": round(time.monotonic() - began_s, 3)}
        )

    async def _abort_when(self, told: asyncio.Event) -> None:
        await told.wait()
        self.drain.abort()

    async def _watch_readiness(self) -> None:
        greeted = False
        while True:
            await self._health.ready(self.deployments.is_ready)
            if not greeted and self.engines.have_settled:
                sys.stdout.write(banner.text(self.addresses, self.table, self.deployments.availabilities))
                sys.stdout.flush()
                greeted = True
                # What start-up made, vLLM's modules above all, stays for good: the collector need not walk through it again and
                # again, which would stop every call for some hundred milliseconds.
                gc.collect()
                gc.freeze()
            await self.deployments.changed()

    def _registries(self) -> list[CollectorRegistry]:
        return [self.metrics.registry, *(engine.registry for engine in self.engines.all if engine.registry is not None)]


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()  # until then a second process could bind the same port
    except OSError:
        listener.close()
        raise rpc_server.PortError(
            f"cannot listen on {address}: the port is taken, or the address is not of this machine"
        ) from None
    return listener

"""The composition root: the only place that constructs, starts and stops the parts of the server."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from tierway_core import Prefixes
from tierway_core.grants import new_state
from tierway_server import banner
from tierway_server.backends.engines import Engines, Launch, launch_vllm, supervised_engines
from tierway_server.backends.remote_models import RemoteModels
from tierway_server.caching import start_caching
from tierway_server.config import (
    Address,
    Config,
    ConfigError,
    Secrets,
    build_table,
    default_path,
    load,
    parse_address,
    redacted,
    unavailable_reason,
)
from tierway_server.deciding import start_deciding
from tierway_server.flow.admission import Admission
from tierway_server.flow.answer import Answerer
from tierway_server.flow.budgets import Budgets
from tierway_server.flow.decide import Decider
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.drain import Drain
from tierway_server.flow.escalation import Answering, Escalating
from tierway_server.flow.hedging import Hedges
from tierway_server.flow.holds import Holds
from tierway_server.flow.limits import Limits
from tierway_server.flow.queues import Queues
from tierway_server.flow.retries import Retries
from tierway_server.flow.standing import Standing
from tierway_server.http import app as http_app
from tierway_server.ports import listening, warn_of_exposure
from tierway_server.rpc import router_service
from tierway_server.rpc import server as rpc_server
from tierway_server.rpc.admin_service import AdminService
from tierway_server.rpc.fleet import Fleet
from tierway_server.rpc.router_service import RouterService
from tierway_server.sharing import lease_wait_s, start_sharing
from tierway_server.stops import Stops
from tierway_server.telemetry import logging as telemetry_logging
from tierway_server.telemetry import semconv
from tierway_server.telemetry.counting import SinceReset
from tierway_server.telemetry.families import Counts, collect
from tierway_server.telemetry.metrics import Metrics
from tierway_server.workers.child import CannotStartError
from tierway_server.workers.seat import Seat
from tierway_server.workers.supervisor import Supervisor

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
    except (rpc_server.PortError, CannotStartError) as error:
        sys.stderr.write(f"tierway: {error}\n")
    return 2


async def _serve(config: Config, environ: Mapping[str, str]) -> int:
    if config.server.workers > 1:
        return await _serve_with_workers(config, environ)
    process = Process(config, environ)
    process.listen()
    if process.calibrator is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, process.calibrator.ask)
    stops = Stops()
    await process.run(stops)
    return 0


async def _serve_with_workers(config: Config, environ: Mapping[str, str]) -> int:
    supervisor = Supervisor(config, environ)
    supervisor.listen()
    if supervisor.is_calibrated:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, supervisor.hang_up)
    await supervisor.run(Stops())
    return 0


class Process:
    """Everything that one server process consists of. Construct it on the running loop."""

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        launch: Launch | None = None,
        seat: Seat | None = None,
    ) -> None:
        """Construct a server.

        Args:
            config: the whole configuration.
            environ: the environment.
            launch: starts an engine; None for vLLM's.
            seat: this process's place among the front ends of a server; None for a server of one process.

        Raises:
            ConfigError: weights or calibration cannot be used.

        """
        self._config = config
        self._seat = seat
        settings = config.server
        self.table = build_table(config)
        self.state = seat.state if seat else new_state(self.table)
        self.holds = Holds(self.table, self.state)
        """For backends, whose providers say by headers that they want to be left alone."""
        prefixes = Prefixes()
        self.metrics = Metrics()
        # A front end's state is kept in step by its supervisor.
        secrets = Secrets(environ, seat.vault) if seat else Secrets.of(config, environ)
        self.keeper = None if seat else start_sharing(config, secrets, self.table, self.state, self.metrics.registry)
        self.drain = Drain()
        reasons = [unavailable_reason(config, deployment, environ, secrets) for _, deployment in config.deployments]
        self.engines: Engines[Any] = (
            seat.engines(config, reasons)
            if seat
            else supervised_engines(config, reasons, launch or partial(launch_vllm, environ=environ))
        )
        self.remote = RemoteModels(config, reasons, environ, secrets, self.holds.hold)
        self.deployments = Deployments(
            self.table,
            self.state,
            {**self.engines.by_deployment, **self.remote.by_deployment},
            dict(enumerate(reasons)),
            owns_state=seat is None,
        )
        self.metrics.gauge(
            semconv.AVAILABLE, "Whether a deployment can answer.", "deployment", self.deployments.available_by_name
        )
        self.metrics.gauge(
            semconv.IN_FLIGHT, "Generations under way.", "deployment", self.deployments.in_flight_by_name
        )

        deciding, self.calibrator = start_deciding(config, environ, self.table, self.state, prefixes, self.metrics)
        limits, budgets = (
            Limits(self.table, self.state, self.metrics),
            Budgets(self.table, self.state, self.metrics, lease_wait_s(config)),
        )
        self._decider = Decider(
            deciding, self.table, self.deployments, limits, budgets, config.constitution.hash, self.metrics
        )
        self.queues = Queues(self.table, self.state, self.deployments, config.queue, config.queue_sizes, self.metrics)
        admission = Admission(
            self.table,
            self.state,
            self.deployments,
            self.queues,
            limits,
            budgets,
            prefixes,
            self.holds,
            self.metrics,
        )
        answerer = Answerer(
            self.table,
            admission,
            self.metrics,
            Retries(config.retries, self.metrics),
            Hedges(config.hedging, len(self.table.deployments), self.metrics),
            self.drain,
        )
        layers: Answering = answerer
        if config.escalation.enabled:
            layers = Escalating(layers, self._decider, self.table, config.escalation, self.metrics)
        layers, self._kept = start_caching(config, secrets, layers, self.metrics)
        self.standing = Standing(self.table, self.state)
        self.metrics.gauge(
            semconv.BREAKER,
            "The circuit breaker: 1 closed, 2 open, 3 half-open.",
            "deployment",
            self.standing.breakers_by_name,
        )
        for name, documentation, figure in (
            (semconv.BUDGET_LIMIT_USD, "What may be spent in a period.", "limit_usd"),
            (semconv.BUDGET_SPENT_USD, "What has been spent in this period.", "spent_usd"),
            (semconv.BUDGET_RESERVED_USD, "What answers under way hold.", "reserved_usd"),
        ):
            self.metrics.gauge(name, documentation, "budget", partial(self.standing.budgets_by_name, figure))
        self.metrics.gauge(
            semconv.CALIBRATION,
            "1 for the calibration that decides, by its identity.",
            "calibration",
            lambda: {self._decider.deciding.calibration or "none": 1},
        )
        fleet = Fleet(
            self.table,
            self.deployments.availability,
            self.standing,
            config.constitution.hash,
            seat or SinceReset(self._own_counts),
            lambda: self._decider.deciding,
            seat.started_s if seat else time.time(),
        )
        service = RouterService(
            table=self.table,
            decider=self._decider,
            answerer=layers,
            fleet=fleet,
            drain=self.drain,
            metrics=self.metrics,
            prompt_bytes=settings.limits.prompt_bytes,
            batch_requests=settings.limits.batch_requests,
            default_max_tokens=config.routing.default_max_tokens,
            default_deadline_s=settings.default_deadline_s,
            max_deadline_s=settings.max_deadline_s,
        )
        admin = AdminService(self.standing, fleet, self.metrics)
        self._public, self._admin = (
            rpc_server.build(
                receive_bytes=settings.limits.receive_bytes,
                max_concurrent_streams=settings.limits.max_concurrent_streams,
                shares_ports=seat is not None,
            )
            for _ in range(2)
        )
        self._health = rpc_server.Health([router_service.NAME])
        self._public.add_generic_rpc_handlers((service.handlers(),))
        self._admin.add_generic_rpc_handlers((admin.handlers(),))
        self._health.add_to(self._public)
        self._health.add_to(self._admin)
        if settings.reflection:
            rpc_server.add_reflection(self._public, [router_service.NAME])
        if settings.channelz:
            rpc_server.add_channelz(self._admin)
        self._http: http_app.HttpServer | None = None
        self.serves = asyncio.Event()
        """Set as soon as it takes calls."""
        self.addresses: dict[str, Address] = {}
        """What it listens on, by `grpc`, `admin` and `http`; known after `listen`."""

    def listen(self) -> None:
        """Take all ports, before anything expensive starts.

        Raises:
            PortError: one of them cannot be had.

        """
        settings = self._config.server
        if self._seat is not None:
            # The ports are the supervisor's, which also answers HTTP for all.
            for name, server in (("grpc", self._public), ("admin", self._admin)):
                self.addresses[name] = self._seat.addresses[name]
                rpc_server.bind(server, str(self.addresses[name]))
            return
        for name, server, text in (
            ("grpc", self._public, settings.listen),
            ("admin", self._admin, settings.admin_listen),
        ):
            self.addresses[name] = parse_address(text)._replace(port=rpc_server.bind(server, text))
        listener = listening(parse_address(settings.http_listen))
        self.addresses["http"] = Address(*listener.getsockname()[:2])
        app = http_app.build(
            lambda: self.deployments.is_ready,
            lambda: self.drain.is_draining,
            self._registries,
            lambda: self.keeper.degraded if self.keeper else "",
        )
        self._http = http_app.HttpServer(app, listener)
        warn_of_exposure(self.addresses)

    def count(self) -> Counts:
        """What this process has counted."""
        return Counts(collect([self.metrics.registry]), len(self.drain))

    async def run(self, stops: Stops) -> None:
        """Serve until told to stop, then drain and leave nothing running."""
        assert self.addresses  # listen() comes first
        logger.debug("configuration", extra={"config": redacted(self._config)})
        await self._health.alive()
        await self._public.start()
        await self._admin.start()
        self.serves.set()
        http = [asyncio.create_task(self._http.run_until_stopped(), name="http")] if self._http is not None else []
        engines = [asyncio.create_task(engine.run(), name=f"engine {engine.name}") for engine in self.engines.all]
        engines.append(asyncio.create_task(self.remote.run(), name="remote models"))
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
            if self._http is not None:
                self._http.stop()
            for task in (*watching, *engines):
                task.cancel()
            await asyncio.gather(*http, *watching, *engines, return_exceptions=True)
            if self.keeper is not None:
                await self.keeper.leave()
            if self._kept is not None:
                await self._kept.close()

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
            if not greeted and self.engines.have_settled and self.remote.have_settled:
                if self._seat is None:
                    sys.stdout.write(banner.text(self.addresses, self.table, self.deployments.availabilities))
                    sys.stdout.flush()
                greeted = True
                # What start-up made, vLLM's modules above all, stays for good: the collector need not walk through it again and
                # again, which would stop every call for some hundred milliseconds.
                gc.collect()
                gc.freeze()
            await self.deployments.changed()

    async def _own_counts(self) -> Counts:
        return self.count()

    async def _registries(self) -> list[CollectorRegistry]:
        return [self.metrics.registry, *(engine.registry for engine in self.engines.all if engine.registry is not None)]

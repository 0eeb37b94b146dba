"""The HTTP port: `/health` (the process lives), `/ready` (it can answer), `/metrics` (Prometheus)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tierway_server.telemetry.exposition import expose
from tierway_server.telemetry.families import Collected


def build(
    is_ready: Callable[[], bool],
    is_draining: Callable[[], bool],
    registries: Callable[[], Awaitable[Iterable[Collected]]],
    degraded: Callable[[], str] = lambda: "",
) -> Starlette:
    """The ASGI application; `degraded` tells in one line what is not as it should be, and yet no reason to be out of service."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "draining" if is_draining() else "ok"})

    async def ready(request: Request) -> Response:
        if is_draining():
            return JSONResponse({"status": "draining"}, status_code=503)
        if not is_ready():
            return JSONResponse({"status": "not ready"}, status_code=503)
        detail = degraded()
        return JSONResponse({"status": "ready", "degraded": detail} if detail else {"status": "ready"})

    async def metrics(request: Request) -> Response:
        content, content_type = expose(await registries())
        return Response(content, headers={"content-type": content_type})

    return Starlette(routes=[Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)])


class HttpServer(uvicorn.Server):
    """uvicorn on the process's own loop; signals are the process's affair, not uvicorn's."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        )
        self._listener = listener

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def run_until_stopped(self) -> None:
        """Serve until `stop` is called."""
        await self.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Finish what is under way and return from `run_until_stopped`."""
        self.should_exit = True

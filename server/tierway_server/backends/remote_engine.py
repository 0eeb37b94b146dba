"""The engines that live in the engine host's process, as a front end sees them: each one a `Backend` over a local socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

from tierway_server.backends.base import Availability, Chunk, Generation
from tierway_server.backends.hop import (
    EngineState,
    Failed,
    Generate,
    Watch,
    answer_decoder,
    state_decoder,
)
from tierway_server.errors import EngineLostError, NotReadyError, StreamBrokenError, TierwayError
from tierway_server.local_socket import GarbledError, asking

logger = logging.getLogger(__name__)

_RECONNECT_S = 0.05
"""Between two tries to reach a host that is not there; a try costs microseconds."""
_GONE = Availability(False, "lost")
_ABSENT = EngineState(Availability(False, "the engine's process is starting"), will_return=True, has_settled=False)


class RemoteEngine:
    """A `Backend` over an engine of the host, through all the host's lives."""

    registry = None
    """The engine's own metrics are told by its process."""

    def __init__(
        self,
        name: str,
        socket: str,
        *,
        capacity: int,
        idle_timeout_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.capacity = capacity
        self.idle_timeout_s = idle_timeout_s
        self._socket = socket
        self._state = _ABSENT
        self._sleep = sleep
        self._watchers: list[Callable[[Availability], None]] = []

    @property
    def availability(self) -> Availability:
        """Whether the engine can answer now."""
        return self._state.availability

    @property
    def will_return(self) -> bool:
        """Whether it becomes available by itself when it is not."""
        return self._state.will_return

    @property
    def has_settled(self) -> bool:
        """Whether its first start is over, well or badly."""
        return self._state.has_settled

    def watch(self, changed: Callable[[Availability], None]) -> None:
        """Call `changed` now and at every later change of availability."""
        self._watchers.append(changed)
        changed(self.availability)

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""
        has_begun = False
        try:
            async with asking(self._socket, Generate(self.name, generation), answer_decoder) as answer:
                while True:
                    reply = await answer.read()
                    if isinstance(reply, Failed):
                        if reply.has_gone:
                            self._become(EngineState(_GONE, self.will_return, self.has_settled))
                        raise reply.error()
                    has_begun = True
                    yield reply.chunk
                    if reply.chunk.finish_reason is not None:
                        return
        except (EOFError, OSError, GarbledError) as failure:
            if isinstance(failure, EOFError | ConnectionError):
                self.host_lost()  # `run` hears of it, too, but maybe later than who must know why this answer failed
            raise self._lost(failure, has_begun=has_begun) from None

    async def run(self) -> None:
        """Follow what the host says of the engine, until cancelled."""
        while True:
            try:
                async with asking(self._socket, Watch(self.name), state_decoder) as told:
                    while True:
                        self._become(await told.read())
            except (EOFError, OSError, GarbledError):
                self.host_lost()
            await self._sleep(_RECONNECT_S)

    def host_lost(self) -> None:
        """There is no host: the engine can answer again when a new one says so."""
        self._become(EngineState(_ABSENT.availability, will_return=True, has_settled=self.has_settled))

    def _become(self, state: EngineState) -> None:
        if state != self._state:
            self._state = state
            for changed in self._watchers:
                changed(state.availability)

    def _lost(self, failure: Exception, *, has_begun: bool) -> TierwayError:
        if isinstance(failure, ConnectionRefusedError | BlockingIOError):
            return NotReadyError(f"engine {self.name} is not ready", metadata={"engine": self.name}, retry_after_s=1.0)
        logger.warning("engine's process lost", extra={"engine": self.name, "error": type(failure).__name__})
        if has_begun:
            return StreamBrokenError("the engine died in the middle of the answer")
        return EngineLostError("the engine died before the first token", retry_after_s=1.0)

"""The engines that live in the engine host's process, as a front end sees them: each one a `Backend` over a local socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

from tierway_server.backends.base import Availability, Chunk, Generation
from tierway_server.backends.hop import (
    EngineState,
    Failed,
    Generate,
    Watch,
    answer_decoder,
    engines_decoder,
)
from tierway_server.errors import EngineLostError, NotReadyError, StreamBrokenError, TierwayError
from tierway_server.local_socket import GarbledError, asking

logger = logging.getLogger(__name__)

_RECONNECT_S = 0.05
"""Between two tries to reach a host that is not there; a try costs microseconds."""
_ABSENT = EngineState(Availability(False, "the engine's process is starting"), will_return=True, has_settled=False)


class RemoteEngine:
    """A `Backend` over an engine of the host."""

    def __init__(self, name: str, socket: str, *, capacity: int) -> None:
        self.name = name
        self.capacity = capacity
        self._socket = socket
        self._state = _ABSENT
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

    def become(self, state: EngineState) -> None:
        """Take over what the host says."""
        if state != self._state:
            self._state = state
            for changed in self._watchers:
                changed(state.availability)

    async def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        """Generate one answer; see `Backend.generate`."""
        has_begun = False
        try:
            async with asking(self._socket, Generate(self.name, generation), answer_decoder) as answer:
                while True:
                    reply = await answer.read()
                    if isinstance(reply, Failed):
                        raise reply.error()
                    has_begun = True
                    yield reply.chunk
                    if reply.chunk.finish_reason is not None:
                        return
        except (EOFError, OSError, GarbledError) as failure:
            raise self._lost(failure, has_begun=has_begun) from None

    def _lost(self, failure: Exception, *, has_begun: bool) -> TierwayError:
        if isinstance(failure, ConnectionRefusedError | BlockingIOError):
            return NotReadyError(f"engine {self.name} is not ready", metadata={"engine": self.name}, retry_after_s=1.0)
        logger.warning("engine's process lost", extra={"engine": self.name, "error": type(failure).__name__})
        if has_begun:
            return StreamBrokenError("the engine died in the middle of the answer")
        return EngineLostError("the engine died before the first token", retry_after_s=1.0)


class HostWatch:
    """Keeps the remote engines of one host up to date."""

    def __init__(
        self,
        socket: str,
        engines: Sequence[RemoteEngine],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._socket = socket
        self._engines: Mapping[str, RemoteEngine] = {engine.name: engine for engine in engines}
        self._sleep = sleep

    async def run(self) -> None:
        """Follow the host, through all its lives, until cancelled."""
        while True:
            try:
                async with asking(self._socket, Watch(), engines_decoder) as told:
                    while True:
                        for name, state in (await told.read()).states.items():
                            if name in self._engines:
                                self._engines[name].become(state)
            except (EOFError, OSError, GarbledError):
                self.lost()
            await self._sleep(_RECONNECT_S)

    def lost(self) -> None:
        """There is no host: nothing of it can answer, until a new one says otherwise."""
        for engine in self._engines.values():
            has_settled = engine.has_settled
            engine.become(EngineState(Availability(False, "the engine's process is starting"), True, has_settled))

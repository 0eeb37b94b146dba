"""Calls of Tierway whose answers are stories of the mock provider: what came, and whether it is what was told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from tierway.v1 import router_service_pb2 as pb
from tierway.v1 import types_pb2
from tierway.v1.router_service_pb2_grpc import RouterServiceStub
from tierway_bench.mock_provider import story

_TIMEOUT_S = 30.0
_ROOM = 4
"""Tokens that may be asked for, beside each that comes: whoever continues may count them in another way."""


@dataclass(frozen=True, slots=True)
class Told:
    """How one call ended."""

    error: str = ""
    """The code and the reason of its failure."""
    is_right: bool = False
    """Whether the text is the story, character for character."""
    failed_over: int = 0
    """Tries that fell back or broke off before it was answered."""
    broke_off: int = 0
    """Of these, in the midst of the text."""


class Calls:
    """Calls over one connection."""

    def __init__(self, router: RouterServiceStub, tokens: int) -> None:
        self._router = router
        self._tokens = tokens
        self._sampling = types_pb2.Sampling(max_tokens=_ROOM * tokens)

    async def execute(self, prompt: str) -> Told:
        """Ask for the whole answer."""
        try:
            request = pb.ExecuteRequest(query=types_pb2.Query(prompt=prompt), sampling=self._sampling)
            reply = await self._router.Execute(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return Told(error=_named(error))
        return self._told(prompt, reply.text, reply.attempts)

    async def stream(self, prompt: str, resumed: Callable[[], None] = lambda: None) -> Told:
        """Ask for the answer as it comes; `resumed` is called at the first piece of text behind each seam."""
        text, seams, finished, is_broken = "", [], None, False
        try:
            async for event in self._router.Stream(_streaming(prompt, self._sampling), timeout=_TIMEOUT_S):
                match event.WhichOneof("event"):
                    case "delta":
                        text += event.delta.text
                        if is_broken:
                            resumed()
                            is_broken = False
                    case "attempt":
                        seams.append(event.attempt.text_characters == len(text))
                        is_broken = event.attempt.outcome == types_pb2.ATTEMPT_OUTCOME_BROKE_OFF
                    case "finished":
                        finished = event.finished
        except grpc.aio.AioRpcError as error:
            return Told(error=_named(error))
        if finished is None or not all(seams):
            return Told(error="a seam is not where the events say")
        return self._told(prompt, text, finished.attempts)

    async def leave(self, prompt: str) -> None:
        """Begin a stream, and leave it at its first event."""
        call = self._router.Stream(_streaming(prompt, self._sampling), timeout=_TIMEOUT_S)
        try:
            async for _ in call:
                break
        except grpc.aio.AioRpcError:
            pass  # it failed before: there is nothing to leave
        finally:
            call.cancel()

    def _told(self, prompt: str, text: str, attempts: list[types_pb2.Attempt]) -> Told:
        outcomes = [attempt.outcome for attempt in attempts]
        return Told(
            is_right=text == "".join(story(prompt, self._tokens)),
            failed_over=sum(
                outcome in (types_pb2.ATTEMPT_OUTCOME_FELL_BACK, types_pb2.ATTEMPT_OUTCOME_BROKE_OFF)
                for outcome in outcomes
            ),
            broke_off=outcomes.count(types_pb2.ATTEMPT_OUTCOME_BROKE_OFF),
        )


@asynccontextmanager
async def calls(target: str, tokens: int) -> AsyncIterator[Calls]:
    """Calls of the server at `target`, whose providers tell stories of so many tokens."""
    async with grpc.aio.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        yield Calls(RouterServiceStub(channel), tokens)


def _streaming(prompt: str, sampling: types_pb2.Sampling) -> pb.StreamRequest:
    return pb.StreamRequest(query=types_pb2.Query(prompt=prompt), sampling=sampling)


def _named(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"

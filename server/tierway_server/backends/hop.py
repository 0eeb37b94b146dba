"""What a front end and the engine host say to each other: the questions, the answers, and errors in both directions' terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from tierway_server.backends.base import Availability, Chunk, Generation
from tierway_server.errors import InternalError, TierwayError


class Generate(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Asks for one answer: `Made` for each chunk, the last of which has a finish reason, or `Failed` in the end."""

    engine: str
    generation: Generation


class Watch(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Asks for the state of one engine, now and after every change, for as long as the connection lasts: `EngineState` each time."""

    engine: str


class Count(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Asks for the engines' own metrics: `telemetry.families.Families`, once."""


Question = Generate | Watch | Count


class Made(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """More of an answer."""

    chunk: Chunk


class Failed(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Why there is no more of an answer: a `TierwayError`, by the name of its class and its attributes."""

    kind: str
    message: str
    field: str
    metadata: dict[str, str]
    retry_after_s: float | None
    has_gone: bool = False
    """Whether the engine cannot answer any more; `EngineState` tells so too, but maybe a moment later."""

    @classmethod
    def of(cls, error: TierwayError, *, has_gone: bool = False) -> Failed:
        """What is to be sent of an error."""
        return cls(type(error).__name__, error.message, error.field, error.metadata, error.retry_after_s, has_gone)

    def error(self) -> TierwayError:
        """The error that was sent; one of a kind unknown here is an internal one."""
        kind = _KINDS.get(self.kind, InternalError)
        return kind(self.message, field=self.field, metadata=self.metadata, retry_after_s=self.retry_after_s)


class EngineState(msgspec.Struct, array_like=True, frozen=True):
    """One engine as it is now."""

    availability: Availability
    will_return: bool
    has_settled: bool


def _below(kind: type[TierwayError]) -> Iterator[type[TierwayError]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from _below(subclass)


_KINDS: Mapping[str, type[TierwayError]] = {kind.__name__: kind for kind in _below(TierwayError)}

question_decoder: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
answer_decoder: msgspec.msgpack.Decoder[Made | Failed] = msgspec.msgpack.Decoder(Made | Failed)
state_decoder: msgspec.msgpack.Decoder[EngineState] = msgspec.msgpack.Decoder(EngineState)

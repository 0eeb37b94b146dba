"""What the supervisor and the front ends ask each other, over their local sockets."""

from __future__ import annotations

import msgspec


class Count(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Asks a front end what it has counted: `telemetry.families.Counts`, once."""


class Whole(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Asks the supervisor what all front ends have counted since the last `Reset`: `telemetry.families.Counts`, once."""


class Reset(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Asks the supervisor to begin these counts anew: a float, once, the Unix time from which they count."""


class Serving(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Tells the supervisor that a front end serves, for as long as the connection lasts. There is no answer."""

    worker: int


to_worker_decoder: msgspec.msgpack.Decoder[Count] = msgspec.msgpack.Decoder(Count)
to_supervisor_decoder: msgspec.msgpack.Decoder[Whole | Reset | Serving] = msgspec.msgpack.Decoder(
    Whole | Reset | Serving
)
time_decoder: msgspec.msgpack.Decoder[float] = msgspec.msgpack.Decoder(float)

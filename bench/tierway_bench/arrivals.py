"""When requests are to be sent: an open loop does not wait for answers, so a slow server cannot slow down what it is measured with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Literal

Kind = Literal["fixed", "poisson"]


def arrivals_s(kind: Kind, *, per_second: float, seconds: float, seed: int) -> Iterator[float]:
    """The times of arrival from the start, ascending, all before `seconds`.

    Args:
        kind: `fixed` for equal gaps, `poisson` for exponential ones, as independent callers make them.
        per_second: mean rate.
        seconds: how long to go on.
        seed: the same seed gives the same times; `fixed` needs none.

    """
    if per_second <= 0:
        raise ValueError("a rate is above 0")
    if kind == "fixed":
        for index in count():
            if (at_s := index / per_second) >= seconds:
                return
            yield at_s
    chance = random.Random(seed)
    at_s = chance.expovariate(per_second)
    while at_s < seconds:
        yield at_s
        at_s += chance.expovariate(per_second)

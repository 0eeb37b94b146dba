"""Traffic: which query comes when.

Queries are pooled: what is asked again is the same object, so that a million requests cost no more memory than what is asked.
"""

import random
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from tierway_sim.errors import TrafficError

__all__ = ["Query", "Traffic", "arriving", "as_logged"]

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked, and what is known of the answers."""

    prompt: str
    at_s: float | None = None
    """When it was asked, in seconds from any beginning; None: not known."""
    agent: str = ""
    tenant: str = ""
    task_type: str = ""
    max_tokens: int = 0
    """The most tokens of output; 0: not stated."""
    output_tokens: int = 0
    """How many tokens the answer had; 0: not known, what the table expects is taken."""
    prefix: str = ""
    """What names the beginning that it shares with others, such as a conversation; empty: none."""
    prefix_tokens: int = 0
    """How many tokens that beginning has; they come on top of the prompt's."""
    outcomes: Mapping[str, float] = field(default_factory=dict)
    """By model of the table: how good its answer is, 0 to 1."""

    @property
    def prefix_key(self) -> int:
        """64 bits for its beginning; 0: it shares none."""
        if not self.prefix or not self.prefix_tokens:
            return 0
        return int.from_bytes(blake2b(self.prefix.encode(), digest_size=8).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests in the order of their times."""

    pool: Sequence[Query]
    """What is asked."""
    order: "array[int]"
    """For each request, its place in the pool."""
    at_ns: "array[int]"
    """For each request, when it comes, in nanoseconds from the beginning; never falling."""

    def __len__(self) -> int:
        return len(self.order)


def as_logged(pool: Sequence[Query]) -> Traffic:
    """Each query once, when it was asked; the first one comes at 0.

    Raises:
        TrafficError: there is no query, or one does not say when it was asked.
    """
    times = [query.at_s for query in pool if query.at_s is not None]
    if not pool or len(times) < len(pool):
        raise TrafficError("not every row says when it was asked (at_s): a rate is needed")
    order = sorted(range(len(pool)), key=times.__getitem__)
    first_s = times[order[0]]
    return Traffic(
        pool=pool,
        order=array("i", order),
        at_ns=array("q", [int((times[place] - first_s) * _NS) for place in order]),
    )


def arriving(pool: Sequence[Query], *, requests: int, rate: float, seed: int = 0) -> Traffic:
    """Independent arrivals (Poisson): whole rounds through the pool, each in an order of its own.

    Args:
        pool: what is asked.
        requests: how many there are.
        rate: how many there are a second, on average.
        seed: of the chance.

    Raises:
        TrafficError: the pool is empty.
    """
    if not pool:
        raise TrafficError("there is nothing to ask")
    chance = random.Random(seed)
    order, at_ns = array("i"), array("q")
    round_of_pool = list(range(len(pool)))
    while len(order) < requests:
        chance.shuffle(round_of_pool)
        order.extend(round_of_pool[: requests - len(order)])
    now_s = 0.0
    for _ in range(requests):
        now_s += chance.expovariate(rate)
        at_ns.append(int(now_s * _NS))
    return Traffic(pool=pool, order=order, at_ns=at_ns)

"""How evenly strategies share an uneven load: `python -m tierway_bench.balance [--seed N]`.

A simulation on a virtual clock, through the real core: one model in twenty places with four slots each, a quarter of them half
as slow again as the rest, and requests that come in bursts and take exponentially distributed times. Every strategy gets the same
requests, at three loads (the share of all slots that the mean load would keep busy). Random and round robin are what needs
no state at all. What is waited for the first token, and the answer, are told back to the state, as the service does.

Printed for each load and strategy: mean and percentiles of the time to the whole answer, in milliseconds.
"""

import argparse
import heapq
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from random import Random

from tierway_bench.places import table_of
from tierway_core import DeploymentSpec, Request, Router, State

PLACES = 20
SLOW = 5
SLOTS = 4
FAST_S = 0.2
SLOW_S = 0.3
TOKENS = 32
LOADS = (0.3, 0.5, 0.7)
REQUESTS = 60_000

Choose = Callable[[int, int], int]
"""Chooses a place: time in nanoseconds, 64 random bits."""


def mean_s(place: int) -> float:
    """What an answer takes there on average, in seconds."""
    return SLOW_S if place < SLOW else FAST_S


def arrivals(random: Random, load: float) -> Iterator[tuple[float, float]]:
    """When requests come, and how much of a mean answer each takes: bursts of one to eight at once."""
    rate = load * sum(SLOTS / mean_s(place) for place in range(PLACES))
    now_s = 0.0
    coming = 0
    while coming < REQUESTS:
        burst = random.randint(1, 8)
        now_s += random.expovariate(rate / 4.5)
        for _ in range(min(burst, REQUESTS - coming)):
            coming += 1
            yield now_s, random.expovariate(1.0)


class Day:
    """One load by one strategy."""

    def __init__(self, state: State, choose: Choose, seed: int) -> None:
        self._state = state
        self._choose = choose
        self._draws = Random(seed)
        self._waiting: list[deque[tuple[float, float]]] = [deque() for _ in range(PLACES)]
        self._busy = [0] * PLACES
        self._endings: list[tuple[float, int, int, float, float]] = []
        self._order = count()
        self.answers_s: list[float] = []

    def run(self, coming: Iterator[tuple[float, float]]) -> list[float]:
        """Plays all requests; the time that each took, in seconds."""
        for now_s, size in coming:
            self._end_until(now_s)
            place = self._choose(int(now_s * 1e9), self._draws.getrandbits(64))
            self._state.begin(place)
            self._waiting[place].append((now_s, size))
            self._start(place, now_s)
        self._end_until(float("inf"))
        return self.answers_s

    def _start(self, place: int, now_s: float) -> None:
        while self._waiting[place] and self._busy[place] < SLOTS:
            came_s, size = self._waiting[place].popleft()
            self._busy[place] += 1
            ending = (now_s + size * mean_s(place), next(self._order), place, came_s, now_s)
            heapq.heappush(self._endings, ending)

    def _end_until(self, now_s: float) -> None:
        while self._endings and self._endings[0][0] <= now_s:
            ended_s, _, place, came_s, started_s = heapq.heappop(self._endings)
            self._busy[place] -= 1
            token_s = (ended_s - started_s) / TOKENS
            first_token_s = started_s - came_s + token_s
            self._state.observe(
                place, int(ended_s * 1e9), ok=True, first_token_s=first_token_s, token_s=token_s, tokens=TOKENS
            )
            self._state.end(place)
            self.answers_s.append(ended_s - came_s)
            self._start(place, ended_s)


def build() -> tuple[Router, State]:
    """One model in all places, and a state in which all are up."""
    places = (
        DeploymentSpec(name=f"model@{place}", provider="p", context_tokens=32_768, expected_latency_s=0.01)
        for place in range(PLACES)
    )
    table = table_of(places)
    state = State(PLACES)
    for place in range(PLACES):
        state.set_available(place, True)
    return Router(table, state), state


def choosers(router: Router) -> dict[str, Choose]:
    """The strategies that are compared, by name."""

    def by(strategy: str) -> Choose:
        request = Request("hi", strategy=strategy, max_tokens=TOKENS)
        return lambda now_ns, draw: router.decide(request, now_ns, draw).deployment

    turn = count()
    return {
        "random": by("weighted"),
        "round robin": lambda _now_ns, _draw: next(turn) % PLACES,
        "least busy": by("least_busy"),
        "usage based": by("usage_based"),
        "power of two": by("lowest_latency"),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of arrivals, sizes and draws (default: 1)")
    seed = parser.parse_args().seed
    print(
        f"{PLACES} places of {SLOTS} slots, {SLOW} of them slow ({SLOW_S:g} s an answer, not {FAST_S:g} s); {REQUESTS:,} requests"
    )
    print(f"{'load':>5} {'strategy':<14} {'mean':>8} {'P50':>8} {'P90':>8} {'P99':>8} {'P99 : random':>14}   (ms)")
    for load in LOADS:
        random_p99 = 0.0
        for name in choosers(build()[0]):
            router, state = build()
            times = Day(state, choosers(router)[name], seed).run(arrivals(Random(seed), load))
            percentiles = statistics.quantiles(times, n=100)
            random_p99 = random_p99 or percentiles[98]
            figures = (statistics.fmean(times), percentiles[49], percentiles[89], percentiles[98])
            row = " ".join(f"{figure * 1e3:>8.0f}" for figure in figures)
            print(f"{load:>5.2f} {name:<14} {row} {percentiles[98] / random_p99:>14.2f}")


if __name__ == "__main__":
    main()

"""Replaying traffic: every request is decided by the real core, on a virtual clock; only the answers are made up.

A discrete-event simulation: time jumps from event to event. Arrivals are known beforehand; ends of attempts wait in a heap. The
way of a request is that of `tierway_server.flow.answer`: the chosen deployment, then its fallback chain, each admitted and
counted in the state as the server does it. A fault holds for the attempts that start while it lasts. A deployment holds the
beginning of a prompt in its cache for as long as the core takes it to (`RoutingSpec.prefix_s`), and is sooner and cheaper by that.

Thread-safety: none is needed; a replay has a state of its own.
"""

import random
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from tierway_core import Decision, Prefixes, Router, UnroutableError
from tierway_core.grants import new_state
from tierway_core.prospects import WARM_LEAST
from tierway_sim.admission import Admission, Held
from tierway_sim.faults import Fault, FaultKind, affected
from tierway_sim.fleet import Fleet, Pace
from tierway_sim.run import AS_CONFIGURED, RATE_LIMITED, Run, Wishes
from tierway_sim.traffic import Traffic

__all__ = ["VANISHED_S", "replay"]

VANISHED_S = 1.0
"""How long a caller waits before it knows that a deployment is not there."""

_NS = 1_000_000_000
_FACTORS = 1024  # drawn once: a draw of the logarithm for every time would cost more than the decision


def replay(
    fleet: Fleet,
    traffic: Traffic,
    faults: Sequence[Fault] = (),
    *,
    wishes: Wishes = AS_CONFIGURED,
    seed: int = 0,
    spread: float = 0.25,
) -> Run:
    """Replays traffic against a fleet that is all available.

    Args:
        fleet: what decides, and how fast it answers.
        traffic: what comes when.
        faults: what goes wrong.
        wishes: what every request asks for.
        seed: of the chance in times, failures and draws.
        spread: standard deviation of the logarithm of times, around the paces' means; 0: all are as the paces say.

    Raises:
        FaultError: a fault is of nothing in the table.
        CoreError: the core refuses a query for what it says, such as an unknown task type.
    """
    return _Replay(fleet, traffic, faults, wishes, seed, spread).run()


@dataclass(slots=True)
class _Line:
    """The slots of a deployment or an engine, and who waits for them."""

    slots: int
    queue: int
    running: int = 0
    waiting: "deque[_Attempt]" = field(default_factory=deque)


_Attempt = tuple[int, Decision, int, int, Held, int]
"""Number of the request, its decision, how many were tried with this one, index of the deployment, what it holds, when it was
admitted."""


class _Replay:
    def __init__(
        self, fleet: Fleet, traffic: Traffic, faults: Sequence[Fault], wishes: Wishes, seed: int, spread: float
    ) -> None:
        table = fleet.table
        state = new_state(table)
        for deployment in table.deployments:
            state.set_available(deployment.index, True)
        self._admission = Admission(table, state)
        self._models = [deployment.model for deployment in table.deployments]
        self._prefixes = Prefixes()
        self._prefix_ns = round(table.routing.prefix_s * _NS)
        self._prefix_keys = [query.prefix_key for query in traffic.pool]
        self._decide = Router(table, state, fleet.classifier, self._prefixes).decide
        self._paces = tuple(fleet.paces)
        self._lines = _lines(fleet.paces)
        self._faults: list[list[Fault]] = [[] for _ in table.deployments]
        for fault in faults:
            for index in affected(table, fault):
                self._faults[index].append(fault)
        self._requests = [wishes.request(query) for query in traffic.pool]
        self._tenants_limits: list[tuple[int, ...]] = []
        if table.tenants:
            tenants = [table.tenant(query.tenant) for query in traffic.pool]
            self._tenants_limits = [() if tenant is None else tenant.limits for tenant in tenants]
        self._chance = random.Random(seed)
        of_times = random.Random(seed + 1)
        self._factors = [of_times.lognormvariate(-spread * spread / 2, spread) for _ in range(_FACTORS)]
        self._events: list[tuple[int, int, _Attempt, int, int, float]] = []
        self._numbers = count()
        self._at_ns = traffic.at_ns
        requests, queries = len(traffic), len(traffic.pool)
        self._run = Run(
            fleet=fleet,
            traffic=traffic,
            wishes=wishes,
            chosen=array("i", [-1]) * requests,
            answered=array("i", [-1]) * requests,
            tries=array("i", [0]) * requests,
            is_warm=array("b", [0]) * requests,
            first_token_s=array("d", [0.0]) * requests,
            latency_s=array("d", [0.0]) * requests,
            input_tokens=array("q", [-1]) * queries,
            output_tokens=array("q", [query.output_tokens for query in traffic.pool]),
        )

    def run(self) -> Run:
        events = self._events
        for number, now_ns in enumerate(self._at_ns):
            while events and events[0][0] <= now_ns:
                self._end(*heappop(events))
            self._arrive(number, now_ns)
        while events:
            self._end(*heappop(events))
        return self._run

    def _arrive(self, number: int, now_ns: int) -> None:
        run = self._run
        query = run.traffic.order[number]
        if self._tenants_limits and not self._admission.take(self._tenants_limits[query], now_ns):
            run.refusals[RATE_LIMITED] += 1
            return
        try:
            decision = self._decide(self._requests[query], now_ns, self._chance.getrandbits(64))
        except UnroutableError as refused:
            run.refusals[refused.kind.value] += 1
            return
        run.chosen[number] = decision.deployment
        if run.input_tokens[query] < 0:
            run.input_tokens[query] = decision.input_tokens
            run.output_tokens[query] = run.output_tokens[query] or decision.output_tokens
        self._try(number, decision, 0, now_ns)

    def _try(self, number: int, decision: Decision, tried: int, now_ns: int) -> None:
        """Asks the next of the chain that has room; after the last one the request has failed."""
        index = decision.deployment
        while True:
            if tried > 0:  # worked out by those alone that need it
                fallback = decision.fallback
                if tried > len(fallback):
                    break
                index = fallback[tried - 1]
            tried += 1
            line = self._lines[index]
            has_slot = not line.slots or line.running < line.slots
            if not has_slot and len(line.waiting) >= line.queue:
                continue
            held = self._admission.admit(index, decision, now_ns)
            if held is None:
                continue
            attempt = (number, decision, tried, index, held, now_ns)
            if has_slot:
                line.running += 1
                self._start(attempt, now_ns)
            else:
                line.waiting.append(attempt)
            return
        self._run.tries[number] = tried

    def _start(self, attempt: _Attempt, now_ns: int) -> None:
        """Settles what will become of an attempt that has a slot, and when it will be over."""
        number, index, run = attempt[0], attempt[3], self._run
        query = run.traffic.order[number]
        pace = self._paces[index]
        one, other = divmod(self._chance.getrandbits(20), _FACTORS)
        first_s, token_s = pace.first_token_s * self._factors[one], pace.token_s * self._factors[other]
        key = self._prefix_keys[query]
        if key:
            is_warm = index in self._prefixes.holders(key, max(0, now_ns - self._prefix_ns))
            run.is_warm[number] = is_warm
            if is_warm:
                tokens = run.input_tokens[query]
                first_s *= max((tokens - run.traffic.pool[query].prefix_tokens) / tokens, WARM_LEAST)
        fails = False
        for fault in self._faults[index]:
            if fault.from_s * _NS <= now_ns < fault.until_s * _NS:
                if fault.kind is FaultKind.SLOW:
                    first_s, token_s = first_s * fault.size, token_s * fault.size
                elif fault.kind is FaultKind.FAIL:
                    fails = fails or self._chance.random() < fault.size
                else:
                    fails, first_s = True, VANISHED_S
        first_ns = now_ns + int(first_s * _NS)
        if fails:
            event = (first_ns, next(self._numbers), attempt, -1, 0, 0.0)
        else:
            tokens = run.output_tokens[query]
            last_ns = first_ns + int(max(0, tokens - 1) * token_s * _NS)
            event = (last_ns, next(self._numbers), attempt, first_ns, tokens, token_s)
        heappush(self._events, event)

    def _end(self, now_ns: int, _: int, attempt: _Attempt, first_ns: int, tokens: int, token_s: float) -> None:
        """An attempt is over: its slot goes to who waits; a failed one goes down its chain."""
        number, decision, tried, index, held, admitted_ns = attempt
        line = self._lines[index]
        line.running -= 1
        if line.waiting:
            line.running += 1
            self._start(line.waiting.popleft(), now_ns)
        if first_ns < 0:
            self._admission.fail(index, held, now_ns)
            self._try(number, decision, tried, now_ns)
            return
        run, arrived_ns = self._run, self._at_ns[number]
        query = run.traffic.order[number]
        if self._prefix_keys[query]:
            self._prefixes.remember(self._prefix_keys[query], index, now_ns)
        self._admission.answer(
            index,
            held,
            now_ns,
            first_token_s=(first_ns - admitted_ns) / _NS,
            token_s=token_s,
            tokens=tokens,
            picousd=run.picousd(query, self._models[index], is_warm=run.is_warm[number] != 0),
        )
        run.answered[number] = index
        run.tries[number] = tried
        run.first_token_s[number] = (first_ns - arrived_ns) / _NS
        run.latency_s[number] = (now_ns - arrived_ns) / _NS


def _lines(paces: Sequence[Pace]) -> list[_Line]:
    """A line for each deployment; one for all on an engine."""
    engines: dict[str, _Line] = {}
    lines = []
    for pace in paces:
        line = _Line(pace.slots, pace.queue)
        lines.append(engines.setdefault(pace.engine, line) if pace.engine else line)
    return lines

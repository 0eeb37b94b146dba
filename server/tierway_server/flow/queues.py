"""Whether a request waits where it was sent, and for how long: in front of each backend, one queue.

Who finds a place goes on at once, and nothing of this is asked. Otherwise:

1. It is refused at once where it is predicted to have its place so late that no time is left to answer.
2. It goes on to another of its chain that can take it at once, if it would wait here for longer than its lane waits for its first choice.
3. Else it waits: for a place, for as long as its lane may, and no longer than leaves the time that the answer is predicted to take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Final

from tierway_core import Decision, State, Table
from tierway_server.config.queue import FirstChoiceWaitConfig, LaneSharesConfig, LongestWaitConfig, QueueConfig
from tierway_server.errors import QueueFullError
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.places import Places, Shed
from tierway_server.flow.priority import Priority
from tierway_server.telemetry.metrics import Metrics

_LEAST_RETRY_S: Final = 0.05
_MOST_RETRY_S: Final = 60.0

_TEXTS: Final[Mapping[Shed, str]] = {
    "full": "deployment {0} is full, and so is its queue",
    "displaced": "deployment {0} is full, and its queue is kept for what is more urgent or rarer",
    "age": "deployment {0} had no place for as long as the request may wait",
    "deadline": "deployment {0} has no place soon enough to answer in time",
    "elsewhere": "deployment {0} is full, and another has a place",
}


class Queues:
    """The queues of this process. Lives on the event loop."""

    def __init__(
        self,
        table: Table,
        state: State,
        deployments: Deployments,
        config: QueueConfig,
        sizes: Sequence[int],
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Let nobody wait yet.

        Args:
            table: the deployments.
            state: who has a place.
            deployments: their backends.
            config: shares and longest waits of the lanes.
            sizes: how many may wait in front of the backend of each deployment.
            metrics: what waits, and what is shed.
            clock: the server's.
            now_ns: the state's.

        """
        self._table = table
        self._state = state
        self._deployments = deployments
        self._metrics = metrics
        self._clock = clock
        self._now_ns = now_ns
        self._most_s = _by_lane(config.max_wait_s)
        self._first_choice_s = _by_lane(config.first_choice_wait_s)
        self._places: dict[int, Places] = {}
        shares = _by_lane(config.shares)
        for together, backend in deployments.sharing():
            places = Places(state, together, backend.capacity, sizes[together[0]], shares)
            self._places |= dict.fromkeys(together, places)
        metrics.queues(self.depths)

    def of(self, index: int) -> Places:
        """The places of the backend of a deployment that has one."""
        return self._places[index]

    async def wait(
        self, index: int, decision: Decision, priority: Priority, give_up_s: float, *, waits: bool = True
    ) -> None:
        """Wait for a place at a deployment that has none free. Balance it with `leave`, in a `finally`.

        Args:
            index: the deployment.
            decision: for whom.
            priority: its lane.
            give_up_s: when the request's time is over, on the server's clock.
            waits: whether it may wait at all.

        Raises:
            QueueFullError: it has no place, or waited in vain.

        """
        places, tenant = self._places[index], self._tenant(decision)
        began_s = self._clock()
        answer_s = self._answer_s(index, decision)
        # Whoever still waits when the time is over has more of it than who asked first, and nobody knows how much.
        left_s = give_up_s - began_s - answer_s if give_up_s > began_s else inf
        wait_s = places.wait_s(priority, tenant, answer_s)
        shed: Shed | None
        if not waits:
            shed = "elsewhere"
        elif wait_s > left_s:
            shed = "deadline"
        elif wait_s > self._first_choice_s[priority] and self._others_have_room(index, decision):
            shed = "elsewhere"
        else:
            most_s = self._most_s[priority]
            shed = await places.wait(index, priority, tenant, min(most_s, left_s))
            if shed == "age" and left_s < most_s:
                shed = "deadline"
        name = self._table.deployments[index].spec.name
        lane = priority.name.lower()
        if shed is None:
            self._metrics.waited(name, lane, self._clock() - began_s)
            return
        if waits:  # who may not wait is a rival, whose request is being answered
            self._metrics.shed(name, lane, shed)
        wait_s = places.wait_s(priority, tenant, answer_s)
        raise QueueFullError(
            _TEXTS[shed].format(name),
            metadata={"deployment": name, "shed": shed, "predicted_wait_seconds": f"{wait_s:.3g}"},
            retry_after_s=min(max(wait_s, _LEAST_RETRY_S), _MOST_RETRY_S),
        )

    def _tenant(self, decision: Decision) -> str:
        """Who takes turns with others. Where there are tenants in the configuration, whatever else callers call themselves is one."""
        if not self._table.tenants:
            return decision.request.tenant
        return decision.tenant.spec.name if decision.tenant is not None else ""

    def _answer_s(self, index: int, decision: Decision) -> float:
        """How long a deployment is predicted to take for an answer, once it has a place."""
        now_ns, spec = self._now_ns(), self._table.deployments[index].spec
        tokens = min(decision.output_tokens, self._table.routing.expected_output_tokens[decision.base])
        first_token_s = self._state.first_token_s(index, now_ns, spec.expected_latency_s)
        return first_token_s + tokens * self._state.token_s(index, now_ns, spec.expected_token_s)

    def _others_have_room(self, index: int, decision: Decision) -> bool:
        """Whether one that comes later in the chain could take the request now."""
        chain = (decision.deployment, *decision.fallback)
        behind = chain[chain.index(index) + 1 :] if index in chain else ()
        now_ns = self._now_ns()
        return any(
            self._deployments.backend(other) is not None
            and self._places[other].has_room
            and self._state.breaker_allows(other, now_ns)
            and not any(self._state.wait_ns(limit, now_ns) for limit in self._table.deployments[other].limits)
            for other in behind
        )

    def depths(self) -> Iterator[tuple[str, str, int]]:
        """How many wait, by deployment and lane."""
        for index, places in self._places.items():
            name = self._table.deployments[index].spec.name
            waiting = [waiter.priority for waiter in places.queue if waiter.index == index]
            for priority in Priority:
                yield name, priority.name.lower(), waiting.count(priority)


def _by_lane(section: LaneSharesConfig | LongestWaitConfig | FirstChoiceWaitConfig) -> dict[Priority, float]:
    return {Priority.INTERACTIVE: section.interactive, Priority.NORMAL: section.normal, Priority.BATCH: section.batch}

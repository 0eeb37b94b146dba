"""The walk of one answer without a server around it: scripted engines behind real admission, state, budgets and limits."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from tests.server.fleet import Document
from tests.server.scripted_engine import ScriptedEngine
from tierway_core import Prefixes, Request, Router
from tierway_core.grants import new_state
from tierway_server.backends.base import Availability, Chunk, Generation, Message, Role, Sampling
from tierway_server.config import build_table, parse
from tierway_server.flow.admission import Admission
from tierway_server.flow.answer import Answerer
from tierway_server.flow.budgets import Budgets
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.drain import Drain
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Tried
from tierway_server.flow.hedging import Hedges
from tierway_server.flow.holds import Holds
from tierway_server.flow.job import Job
from tierway_server.flow.limits import Limits
from tierway_server.flow.queues import Queues
from tierway_server.flow.retries import Retries
from tierway_server.telemetry.metrics import Metrics

HALF = 0.5
"""What chance says where a test does not care."""


class ScriptedBackend:
    """A scripted engine that always has room, as the flow sees it."""

    capacity = 1_000
    availability = Availability(True)
    idle_timeout_s: float | None = None
    will_return = False

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine

    def watch(self, changed: Callable[[Availability], None]) -> None:
        changed(self.availability)

    def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        return self._engine.generate(generation)

    async def run(self) -> None:
        """Nothing to keep alive."""


class Walking:
    """A fleet of scripted engines, one for each model, and the walk over it."""

    def __init__(
        self,
        document: Document,
        draw: Callable[[], float] = lambda: HALF,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Construct a fleet.

        Args:
            document: the configuration.
            draw: chance.
            clock: by which tries take their time.

        """
        config = parse(document)
        self._clock = clock
        self.table = build_table(config)
        self.state = new_state(self.table)
        self.metrics = Metrics()
        self.engines = {
            deployment.model.name: ScriptedEngine(deployment.model.name) for deployment in self.table.deployments
        }
        self.backends = {name: ScriptedBackend(engine) for name, engine in self.engines.items()}
        self.deployments = Deployments(
            self.table,
            self.state,
            {each.index: self.backends[each.model.name] for each in self.table.deployments},
            {},
        )
        limits, budgets = Limits(self.table, self.state, self.metrics), Budgets(self.table, self.state, self.metrics)
        queues = Queues(self.table, self.state, self.deployments, config.queue, config.queue_sizes, self.metrics)
        holds = Holds(self.table, self.state)
        self.admission = Admission(
            self.table, self.state, self.deployments, queues, limits, budgets, Prefixes(), holds, self.metrics, clock
        )
        self.drain = Drain()
        self.hedges = Hedges(config.hedging, len(self.table.deployments), self.metrics)
        retries = Retries(config.retries, self.metrics, draw)
        self.answerer = Answerer(self.table, self.admission, self.metrics, retries, self.hedges, self.drain, clock)
        self._router = Router(self.table, self.state)
        self._jobs = 0

    def job(
        self, prompt: str = "Hello there", *, deadline_s: float = 60.0, asked: dict[str, Any] | None = None, **job: Any
    ) -> Job:
        """A decided request; `asked` is said to the decision, `job` takes the place of what is usual in a job."""
        self._jobs += 1
        decision = self._router.decide(Request(prompt, **asked or {}))
        now_s = self._clock()
        usual: dict[str, Any] = {
            "id": f"job-{self._jobs}",
            "decision": decision,
            "messages": (Message(Role.USER, prompt),),
            "prefix_keys": (),
            "sampling": Sampling(),
            "max_tokens": 128,
            "max_cost_picousd": None,
            "json_schema": None,
            "arrived_s": now_s,
            "give_up_s": now_s + deadline_s,
            "decided_s": now_s,
        }
        return Job(**usual | job)

    async def events(self, job: Job) -> list[Event]:
        """All events of one answer."""
        async with aclosing(self.answerer.answer(job)) as events:
            return [event async for event in events]

    def counted(self, metric: str, **labels: str) -> float:
        """One number of the metrics."""
        return self.metrics.registry.get_sample_value(metric, labels) or 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left of any request: no generation, no slot, no reservation."""
        return (
            not any(engine.running for engine in self.engines.values())
            and not any(self.state.in_flight(each.index) for each in self.table.deployments)
            and not any(self.state.reserved_picousd(budget) for budget in range(len(self.table.budgets)))
        )


def text_of(events: Sequence[Event]) -> str:
    """What the caller has read."""
    return "".join(event.chunk.text for event in events if isinstance(event, Delta))


def tried(events: Sequence[Event]) -> list[Attempt]:
    """The tries that were told of on the way."""
    return [event.attempt for event in events if isinstance(event, Tried)]


def finished(events: Sequence[Event]) -> Finished:
    """How it ended."""
    last = events[-1]
    assert isinstance(last, Finished)
    return last

"""The layers above the walk, without a server around them: escalation, and the cache of answers above it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tests.server.fleet import HASH, Document, five_tiers, only
from tests.server.running import until
from tests.server.walking import Walking
from tierway_core import Router
from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, Usage
from tierway_server.config import CacheConfig, EscalationConfig
from tierway_server.flow.budgets import Budgets
from tierway_server.flow.cache import Cached
from tierway_server.flow.decide import Decider, Deciding
from tierway_server.flow.escalation import Answering, Escalating
from tierway_server.flow.events import Event
from tierway_server.flow.job import Job
from tierway_server.flow.kept import Memory
from tierway_server.flow.limits import Limits
from tierway_server.telemetry.families import collect

SURE, UNSURE = -0.01, -3.0
"""Log-probabilities of tokens that a model is sure of, and of those that it guesses."""


def token(text: str, logprob: float = SURE, *, last: int = 0) -> Chunk:
    """One token with its log-probability; the last one of `last` tokens carries the account."""
    chunk = Chunk(text, 1, (TokenLogprob(text, logprob, ()),))
    if not last:
        return chunk
    usage = Usage(11, 0, last)
    return Chunk(text, 1, chunk.logprobs, FinishReason.STOP, usage)


def tokens(*texts: str, logprob: float = SURE) -> list[Chunk]:
    """An answer, token by token."""
    return [*(token(text, logprob) for text in texts[:-1]), token(texts[-1], logprob, last=len(texts))]


class Layered(Walking):
    """A fleet of scripted engines, the walk over it, and the layers above."""

    def __init__(
        self,
        document: Document,
        escalation: dict[str, Any] | None = None,
        cache: dict[str, Any] | None = None,
        rule_ages_s: dict[str, float] | None = None,
    ) -> None:
        """Construct them; a layer without settings is left out."""
        super().__init__(document)
        self.layers: Answering = self.answerer
        if escalation is not None:
            config = EscalationConfig(**{"enabled": True, "max_share": 1.0, **escalation})
            limits = Limits(self.table, self.state, self.metrics)
            budgets = Budgets(self.table, self.state, self.metrics)
            deciding = Deciding(Router(self.table, self.state))
            decider = Decider(deciding, self.table, self.deployments, limits, budgets, HASH, self.metrics)
            self.layers = Escalating(self.layers, decider, self.table, config, self.metrics)
        if cache is not None:
            self.unix_s = 1_000.0
            settings = CacheConfig(**{"enabled": True, "default_age_s": 60.0, **cache})
            self.memory = Memory(settings.max_bytes, self.metrics, clock=lambda: self.unix_s)
            self.layers = Cached(
                self.layers,
                self.memory,
                settings,
                self.metrics,
                identity=b"configuration",
                rule_ages_s=rule_ages_s or {},
                min_confidence=0.7 if escalation is not None else 0.0,
                unix_s=lambda: self.unix_s,
            )

    async def events(self, job: Job) -> list[Event]:
        """All events of one answer, through all layers."""
        async with aclosing(self.layers.answer(job)) as events:
            return [event async for event in events]

    def answer(self, job: Job) -> AsyncGenerator[Event, None]:
        """The events of one answer as they come."""
        return self.layers.answer(job)

    def counted(self, name: str, **labels: str) -> float:
        """What a metric says."""
        return sum(
            sample.value
            for family in collect([self.metrics.registry])
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def layered(breaker: dict[str, Any] | None = None, **cache: Any) -> Layered:
    """A fleet of three tiers with a cache."""
    document = only(five_tiers(), "nano", "fast", "balanced")
    return Layered(document | ({"breaker": breaker} if breaker else {}), cache=cache)


def outcomes(fleet: Layered) -> dict[str, float]:
    """Requests that asked for a kept answer, by what they found."""
    return {each: fleet.counted("tierway_cache_lookups_total", outcome=each) for each in ("hit", "shared", "miss")}


def begun(fleet: Layered) -> int:
    """Generations that any engine has begun."""
    return sum(len(engine.started) for engine in fleet.engines.values())


async def reading(fleet: Layered, job: Job) -> asyncio.Task[list[Event]]:
    """One who reads, once it has asked."""
    task = asyncio.create_task(fleet.events(job))
    before = sum(outcomes(fleet).values())
    await until(lambda: sum(outcomes(fleet).values()) > before)
    return task

"""What the metrics say that answers cost is what budgets were charged: whatever became of a try, and never twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.server.fleet import five_tiers
from tests.server.granting import HOUR_S
from tests.server.layered import UNSURE, Layered, tokens
from tests.server.running import until
from tests.server.walking import finished
from tierway_server.errors import EngineLostError, ProviderFailedError, StreamBrokenError, TierwayError
from tierway_server.flow.events import Outcome
from tierway_server.telemetry import semconv

FAST = {"min_tier": 2}
"""Asks for tier 2, where log-probabilities come: the nano model of the tests has none."""
WEAK = tokens("It", " may", " be", " Lyon", ".", logprob=UNSURE)
ENOUGH = 20
"""Answers after which a deployment's slowest twentieth is known."""


def paying() -> Layered:
    """A fleet with all layers of the flow, where one budget pays for everything."""
    document = five_tiers() | {
        "budgets": {"all": {"limit_usd": 1, "period_s": HOUR_S}},
        "tenants": {"default": {"budget": "all"}},
        "hedging": {"enabled": True, "max_share": 1.0},
        "retries": {"max_retries": 1, "min_wait_s": 0.001, "max_wait_s": 0.001},
        "breaker": {"enabled": False},
    }
    return Layered(document, escalation={"look_ahead_tokens": 4}, cache={"default_age_s": 0.0})


async def answered(fleet: Layered) -> None:
    await fleet.events(fleet.job())


async def answered_from_the_cache(fleet: Layered) -> None:
    for _ in range(2):
        await fleet.events(fleet.job(max_cache_age_s=60.0))
    assert fleet.counted(semconv.CACHE_LOOKUPS, outcome="hit") == 1


async def shared_by_two(fleet: Layered) -> None:
    gate = asyncio.Event()
    fleet.engines["nano"].script("a", gate, "b")
    jobs = [fleet.job("Hello again", max_cache_age_s=60.0, streams=True) for _ in range(2)]
    both = [asyncio.create_task(fleet.events(job)) for job in jobs]
    await until(lambda: fleet.counted(semconv.CACHE_LOOKUPS, outcome="shared") == 1)
    gate.set()
    await asyncio.gather(*both)


async def asked_twice(fleet: Layered) -> None:
    fleet.engines["nano"].script(ProviderFailedError("down"))
    await fleet.events(fleet.job())
    assert fleet.counted(semconv.RETRIES) == 1


async def answered_by_the_next(fleet: Layered) -> None:
    fleet.engines["nano"].script(EngineLostError("gone"))
    await fleet.events(fleet.job())
    assert fleet.counted(semconv.FALLBACKS) == 1


async def taken_over(fleet: Layered) -> None:
    fleet.engines["nano"].script("Par", StreamBrokenError("cut"))
    await fleet.events(fleet.job())
    assert fleet.counted(semconv.TAKEOVERS) == 1


async def broken_off(fleet: Layered) -> None:
    fleet.engines["nano"].script("Par", "is", StreamBrokenError("cut"))
    with pytest.raises(TierwayError):
        await fleet.events(fleet.job(allow_takeover=False))


async def made_no_json(fleet: Layered) -> None:
    fleet.engines["fast"].script("{", StreamBrokenError("cut"))
    with pytest.raises(TierwayError):
        await fleet.events(fleet.job(asked=FAST, json_schema={}))


async def outrun(fleet: Layered) -> None:
    for _ in range(ENOUGH):
        await fleet.events(fleet.job())
    fleet.engines["nano"].script(asyncio.Event(), "never")
    await fleet.events(fleet.job())
    assert fleet.counted(semconv.HEDGES, outcome="won") == 1


async def escalated(fleet: Layered, *, streams: bool = False) -> None:
    fleet.engines["fast"].script(*WEAK)
    end = finished(await fleet.events(fleet.job(asked=FAST, streams=streams)))
    assert [attempt.outcome for attempt in end.attempts] == [Outcome.ESCALATED, Outcome.ANSWERED]


async def stopped_and_escalated(fleet: Layered) -> None:
    await escalated(fleet, streams=True)


async def shown_after_all(fleet: Layered) -> None:
    fleet.engines["fast"].script(*WEAK)
    for name in ("balanced", "premium", "expert"):
        fleet.engines[name].script(EngineLostError("gone"))
    end = finished(await fleet.events(fleet.job(asked=FAST)))
    assert end.attempts[-1].deployment == "fast@fast"


async def left(fleet: Layered) -> None:
    engine = fleet.engines["nano"]
    engine.script("Par", asyncio.Event(), "never")
    produced = engine.produced
    asked = asyncio.create_task(fleet.events(fleet.job()))
    await until(lambda: engine.produced == produced + 1)
    asked.cancel()
    await asyncio.wait([asked])


@pytest.mark.parametrize(
    "ends",
    [
        answered,
        answered_from_the_cache,
        shared_by_two,
        asked_twice,
        answered_by_the_next,
        taken_over,
        broken_off,
        made_no_json,
        outrun,
        escalated,
        stopped_and_escalated,
        shown_after_all,
        left,
    ],
    ids=lambda ends: ends.__name__,
)
async def test_the_metric_has_what_the_budget_paid(ends: Callable[[Layered], Awaitable[None]]) -> None:
    fleet = paying()
    await ends(fleet)
    assert spent_picousd(fleet) > 0
    assert counted_picousd(fleet) == spent_picousd(fleet)
    assert fleet.is_idle


async def test_the_metric_has_what_the_budget_paid_for_all_of_them_together() -> None:
    fleet = paying()
    for ends in (answered, taken_over, broken_off, made_no_json, escalated, stopped_and_escalated, left, outrun):
        before_picousd = spent_picousd(fleet)
        await ends(fleet)
        assert spent_picousd(fleet) > before_picousd
        assert counted_picousd(fleet) == spent_picousd(fleet)


async def test_a_try_without_a_token_costs_nothing() -> None:
    fleet = paying()
    for engine in fleet.engines.values():
        engine.script(EngineLostError("gone"))
    with pytest.raises(TierwayError):
        await fleet.events(fleet.job())
    assert (counted_picousd(fleet), spent_picousd(fleet), fleet.counted(semconv.TOKENS)) == (0, 0, 0)


def counted_picousd(fleet: Layered) -> int:
    """What the metric says that everything has cost."""
    return round(fleet.counted(semconv.COST_USD) * 1e12)


def spent_picousd(fleet: Layered) -> int:
    """What the budget has paid."""
    return fleet.state.spent_picousd(0, 0)

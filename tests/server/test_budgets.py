"""Budgets: reserved before an answer begins, settled by what it cost, whatever becomes of it, and never spent twice."""

import asyncio

import pytest
from google.rpc import error_details_pb2

from tests.server.asking import execute, route, stream
from tests.server.conftest import Serve
from tests.server.fleet import CAPACITY
from tests.server.granting import budget_of, granting, of, picousd
from tests.server.refusal import refused
from tests.server.running import until
from tests.server.scrape import scrape, value
from tests.server.walking import Walking, finished
from tierway.v1 import types_pb2 as pb
from tierway_server.backends.base import Chunk, FinishReason, Usage
from tierway_server.errors import EngineLostError
from tierway_server.telemetry import semconv

# "Hello there" is estimated at 3 tokens to read and as many to write as are asked for; nano reads at 50,000 and writes at 100,000.
TEN_TOKENS = pb.Sampling(max_tokens=10)
ESTIMATE_PICOUSD = 3 * 50_000 + 10 * 100_000
ASK = execute(sampling=TEN_TOKENS, allow_fallback=False)
ACME = of("acme")


def paying(limit_picousd: int, **budget: object) -> dict[str, object]:
    """Five tiers, and a tenant that has so much to spend."""
    limit_usd = round(limit_picousd * 1e-12, 12)
    return granting(
        budgets={"pool": {"limit_usd": limit_usd, "low_share": 0, **budget}}, tenants={"acme": {"budget": "pool"}}
    )


PLENTY = 10**12


async def test_what_an_answer_cost_is_spent_and_nothing_stays_reserved(serve: Serve) -> None:
    server = await serve(paying(PLENTY))
    reply = await server.router.Execute(ASK, **ACME)
    budget = await budget_of(server, "pool")
    assert picousd(budget.spent_usd) == picousd(reply.cost_usd) > 0
    assert budget.reserved_usd == 0
    assert picousd(budget.remaining_usd) == PLENTY - picousd(reply.cost_usd)
    assert budget.hard


async def test_while_it_is_under_way_its_estimate_is_reserved(serve: Serve) -> None:
    server = await serve(paying(PLENTY))
    go = asyncio.Event()
    server.engine().script(go, "done")
    call = server.router.Execute(ASK, **ACME)
    await until(lambda: bool(server.engine().started))
    budget = await budget_of(server, "pool")
    assert (picousd(budget.reserved_usd), budget.spent_usd) == (ESTIMATE_PICOUSD, 0)
    go.set()
    await call
    assert (await budget_of(server, "pool")).reserved_usd == 0


async def test_two_answers_at_once_never_share_what_is_enough_for_one(serve: Serve) -> None:
    server = await serve(paying(ESTIMATE_PICOUSD * 3 // 2))
    go = asyncio.Event()
    server.engine().script(go, "done")
    first = server.router.Execute(ASK, **ACME)
    await until(lambda: bool(server.engine().started))
    refusal = await refused(server.router.Execute(ASK, **ACME))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED")
    assert refusal.info.metadata["budget"] == "pool"
    quota = refusal.detail(error_details_pb2.QuotaFailure)
    assert quota is not None
    assert [violation.subject for violation in quota.violations] == ["budget:pool"]
    assert refusal.retry_delay_s is None
    go.set()
    await first
    assert value(await scrape(server), semconv.BUDGET_REFUSALS, budget="pool") == 1


async def test_many_at_once_spend_no_more_than_there_is(serve: Serve) -> None:
    server = await serve(paying(ESTIMATE_PICOUSD * CAPACITY * 2))
    calls = await asyncio.gather(*(server.router.Execute(ASK, **ACME) for _ in range(20)), return_exceptions=True)
    answered = [call for call in calls if not isinstance(call, Exception)]
    budget = await budget_of(server, "pool")
    assert answered
    assert picousd(budget.spent_usd) == sum(picousd(reply.cost_usd) for reply in answered) <= picousd(budget.limit_usd)
    assert budget.reserved_usd == 0


async def test_a_try_that_fails_before_its_first_token_costs_nothing(serve: Serve) -> None:
    server = await serve(paying(PLENTY))
    server.engine().script(EngineLostError("gone"))
    await refused(server.router.Execute(ASK, **ACME))
    budget = await budget_of(server, "pool")
    assert (budget.spent_usd, budget.reserved_usd) == (0, 0)


async def test_after_a_fallback_the_answer_alone_is_paid(serve: Serve) -> None:
    server = await serve(paying(PLENTY))
    server.engine().script(EngineLostError("gone"))
    reply = await server.router.Execute(execute(sampling=TEN_TOKENS), **ACME)
    assert [attempt.model for attempt in reply.attempts] == ["nano", "fast"]
    assert picousd((await budget_of(server, "pool")).spent_usd) == picousd(reply.cost_usd)


async def test_who_leaves_pays_what_was_generated_by_then(serve: Serve) -> None:
    server = await serve(paying(PLENTY))
    server.engine().script("one", "two", asyncio.Event(), "never")
    call = server.router.Stream(stream(sampling=TEN_TOKENS), **ACME)
    await until(lambda: server.engine().produced == 2)
    for _ in range(3):  # started, one, two
        await call.read()
    call.cancel()
    await server.until_idle()
    budget = await budget_of(server, "pool")
    assert picousd(budget.spent_usd) == 3 * 50_000 + 2 * 100_000
    assert budget.reserved_usd == 0


async def test_an_exhausted_budget_refuses_decisions_too_and_deciding_reserves_nothing(serve: Serve) -> None:
    server = await serve(paying(ESTIMATE_PICOUSD))
    for _ in range(2):
        await server.router.Route(route(sampling=TEN_TOKENS), **ACME)
    await server.router.Execute(ASK, **ACME)
    assert (await refused(server.router.Route(route(sampling=TEN_TOKENS), **ACME))).reason == "BUDGET_EXHAUSTED"
    await server.router.Route(route(sampling=TEN_TOKENS))  # somebody else


async def test_a_soft_budget_refuses_nobody_and_is_paid_from_all_the_same(serve: Serve) -> None:
    server = await serve(paying(1, hard=False))
    cost_picousd = sum([picousd((await server.router.Execute(ASK, **ACME)).cost_usd) for _ in range(2)])
    budget = await budget_of(server, "pool")
    assert (picousd(budget.spent_usd), budget.reserved_usd, budget.remaining_usd) == (cost_picousd, 0, 0)
    assert not budget.hard


async def test_the_agent_s_budget_pays_beside_the_tenant_s(serve: Serve) -> None:
    document = paying(PLENTY)
    document["budgets"] |= {"crawling": {"limit_usd": 1}}  # type: ignore[operator]
    document["routing"] |= {"agent_budgets": {"crawler": "crawling"}}  # type: ignore[operator]
    server = await serve(document)
    reply = await server.router.Execute(execute(agent="crawler", sampling=TEN_TOKENS), **ACME)
    for name in ("pool", "crawling"):
        assert picousd((await budget_of(server, name)).spent_usd) == picousd(reply.cost_usd)


async def test_what_one_budget_held_goes_back_when_another_refuses(serve: Serve) -> None:
    document = paying(PLENTY)
    document["budgets"] |= {"crawling": {"limit_usd": 1e-12}}  # type: ignore[operator]
    document["routing"] |= {"agent_budgets": {"crawler": "crawling"}}  # type: ignore[operator]
    server = await serve(document)
    refusal = await refused(server.router.Execute(execute(agent="crawler", sampling=TEN_TOKENS), **ACME))
    assert (refusal.reason, refusal.info.metadata["budget"]) == ("BUDGET_EXHAUSTED", "crawling")
    pool = await budget_of(server, "pool")
    assert (pool.spent_usd, pool.reserved_usd) == (0, 0)


@pytest.mark.parametrize(
    "usage", [Usage(-50, -9, -3), Usage(10**18, 10**17, 10**18), Usage(5, 10**18, 5, 10**18)], ids=str
)
async def test_what_a_provider_garbles_of_its_account_neither_pays_back_nor_keeps_anything_reserved(
    usage: Usage,
) -> None:
    document = paying(PLENTY)
    document["budgets"] |= {"crawling": {"limit_usd": 1}}  # type: ignore[operator]
    document["routing"] |= {"agent_budgets": {"crawler": "crawling"}}  # type: ignore[operator]
    walking = Walking(document)
    walking.engines["nano"].script(Chunk("Paris.", 1, (), FinishReason.STOP, usage))
    job = walking.job(asked={"tenant": "acme", "agent": "crawler"})
    end = finished(await walking.events(job))
    assert walking.is_idle
    assert len(job.decision.budgets) == 2
    assert [walking.state.spent_picousd(budget, 0) for budget in job.decision.budgets] == [end.cost_picousd] * 2
    assert end.cost_picousd >= 0
    assert 0 <= end.usage.cached_input_tokens <= end.usage.input_tokens
    assert 0 <= end.usage.reasoning_tokens <= end.usage.output_tokens


async def test_the_gauges_tell_what_is_left(serve: Serve) -> None:
    server = await serve(paying(PLENTY))
    reply = await server.router.Execute(ASK, **ACME)
    page = await scrape(server)
    assert value(page, semconv.BUDGET_LIMIT_USD, budget="pool") == pytest.approx(1)
    assert value(page, semconv.BUDGET_SPENT_USD, budget="pool") == pytest.approx(reply.cost_usd)
    assert value(page, semconv.BUDGET_RESERVED_USD, budget="pool") == 0

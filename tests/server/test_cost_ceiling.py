"""`max_cost_usd` is hard: it chooses the model, reaches the engine as a bound on tokens, and refuses what even the prompt exceeds."""

import pytest

from tests.server.asking import execute, route
from tests.server.refusal import refused
from tests.server.running import RunningServer
from tierway.v1 import types_pb2 as pb
from tierway_server.backends.base import Chunk, CostCeiling, FinishReason, Usage
from tierway_server.errors import CostCeilingError

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_engine_is_told_the_ceiling_and_the_prices_of_its_model(shared_server: RunningServer) -> None:
    await shared_server.router.Execute(execute(max_cost_usd=0.5))
    generation = shared_server.engine("nano").started[-1]
    assert generation.cost_ceiling == CostCeiling(
        max_picousd=500_000_000_000, input_picousd=50_000, output_picousd=100_000
    )


async def test_after_a_fallback_the_prices_are_those_of_the_next_model(shared_server: RunningServer) -> None:
    shared_server.engine("nano").script(
        CostCeilingError("the prompt alone exceeds it", field="preferences.max_cost_usd")
    )
    await shared_server.router.Execute(execute(max_cost_usd=0.5))
    ceiling = shared_server.engine("fast").started[-1].cost_ceiling
    assert ceiling == CostCeiling(max_picousd=500_000_000_000, input_picousd=200_000, output_picousd=300_000)


async def test_without_a_ceiling_the_engine_knows_of_none(shared_server: RunningServer) -> None:
    await shared_server.router.Execute(execute())
    assert shared_server.engine("nano").started[-1].cost_ceiling is None


async def test_an_answer_that_was_cut_says_so(shared_server: RunningServer) -> None:
    shared_server.engine("nano").script(Chunk("Par", 1, finish_reason=FinishReason.LENGTH, usage=Usage(3, 0, 1)))
    reply = await shared_server.router.Execute(execute(max_cost_usd=0.5))
    assert reply.finish_reason == pb.FINISH_REASON_LENGTH
    assert reply.cost_usd <= 0.5


async def test_a_prompt_that_alone_exceeds_the_ceiling_is_refused(shared_server: RunningServer) -> None:
    shared_server.engine("nano").script(
        CostCeilingError("the prompt alone exceeds it", field="preferences.max_cost_usd")
    )
    refusal = await refused(shared_server.router.Execute(execute(max_cost_usd=0.5, allow_fallback=False)))
    assert (refusal.code.name, refusal.reason, refusal.field) == (
        "FAILED_PRECONDITION",
        "COST_CEILING",
        "preferences.max_cost_usd",
    )
    await shared_server.until_idle()


async def test_a_ceiling_moves_the_choice_down_and_the_estimate_keeps_it(shared_server: RunningServer) -> None:
    free = (await shared_server.router.Route(route(min_tier=4))).decision
    bound = (
        await shared_server.router.Route(route("Write a function in Python", max_cost_usd=free.estimated_cost_usd / 4))
    ).decision
    assert bound.tier < 4
    assert bound.estimated_cost_usd <= free.estimated_cost_usd / 4
    assert any(reason.code == pb.REASON_CODE_FILTERED_COST for reason in bound.reasons)


@pytest.mark.parametrize(
    ("ceiling_picousd", "prompt_tokens", "affordable"),
    [(1_000, 10, 450), (1_000, 99, 5), (1_000, 100, 0), (1_000, 101, -5), (1_001, 100, 0), (1_003, 100, 1)],
)
async def test_what_is_left_after_the_prompt_buys_whole_tokens(
    ceiling_picousd: int, prompt_tokens: int, affordable: int
) -> None:
    assert (
        CostCeiling(max_picousd=ceiling_picousd, input_picousd=10, output_picousd=2).affordable_tokens(prompt_tokens)
        == affordable
    )


async def test_output_that_is_free_has_no_bound_once_the_prompt_is_paid() -> None:
    ceiling = CostCeiling(max_picousd=100, input_picousd=10, output_picousd=0)
    assert ceiling.affordable_tokens(10) is None
    assert ceiling.affordable_tokens(11) == 0

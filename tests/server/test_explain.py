"""`Explain`: the decision of `Route`, and what it was made of."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.server.asking import explain, route
from tests.server.fleet import HASH, learned
from tests.server.judging import DOMAIN, EASY, HARD, write_weights
from tests.server.refusal import refused
from tests.server.running import RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judging(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    path = tmp_path_factory.mktemp("weights") / "sure.weights"
    write_weights(path)
    async with serving(learned(weights=str(path))) as server:
        yield server


async def test_the_decision_is_that_of_route(judging: RunningServer) -> None:
    explained = await judging.router.Explain(explain(HARD, request_id="mine-1"))
    routed = await judging.router.Route(route(HARD))
    explained.decision.decision_id = routed.decision.decision_id
    assert explained.decision == routed.decision
    assert (explained.constitution_hash, explained.request_id) == (HASH, "mine-1")


async def test_the_assessment_is_whole(judging: RunningServer) -> None:
    assessment = (await judging.router.Explain(explain(EASY))).assessment
    assert assessment.difficulty < -2
    assert assessment.sigma == pytest.approx(0.5)
    assert list(assessment.band_pass) == sorted(assessment.band_pass)
    assert len(assessment.band_pass) == 5
    assert 1 <= assessment.tier <= 5
    assert (assessment.domain, assessment.label) == (DOMAIN, pb.LABEL_COMPLEX)
    assert sum(assessment.label_probabilities) == pytest.approx(1)
    assert assessment.label_probabilities[2] == max(assessment.label_probabilities)
    assert assessment.confidence == pytest.approx(0.9)
    assert 0 <= assessment.familiarity <= 1
    assert not assessment.HasField("gain")


async def test_candidates_come_by_rank_and_then_those_left_out_with_the_filter_that_struck(
    judging: RunningServer,
) -> None:
    explained = await judging.router.Explain(explain(HARD, max_tier=4, cost_quality=1.0))
    ranks = [(each.model, each.rank) for each in explained.candidates]
    assert ranks == [("premium", 1), ("balanced", 2), ("fast", 3), ("nano", 4), ("expert", 0)]
    assert explained.candidates[0].deployment == explained.decision.deployment
    assert explained.candidates[0].expected_quality == explained.decision.expected_quality
    assert explained.candidates[0].cost_usd == pytest.approx(explained.decision.estimated_cost_usd)
    qualities = [each.expected_quality for each in explained.candidates]
    assert qualities[:4] == sorted(qualities[:4], reverse=True)
    expert = explained.candidates[-1]
    assert (expert.left_out.code, expert.left_out.subject) == (pb.REASON_CODE_FILTERED_TIER, "expert@expert")
    assert "tier 5" in expert.left_out.detail
    assert not any(each.HasField("left_out") for each in explained.candidates[:4])


async def test_what_is_ranked_first_has_the_highest_utility(judging: RunningServer) -> None:
    for dial in (0.0, 0.3, 0.5, 0.9):
        explained = await judging.router.Explain(explain(HARD, cost_quality=dial))
        utilities = [each.utility for each in explained.candidates]
        assert utilities == sorted(utilities, reverse=True)


async def test_features_are_the_heaviest_first_and_as_many_as_asked(judging: RunningServer) -> None:
    request = explain(HARD)
    explained = await judging.router.Explain(request)
    weights = [abs(feature.weight) for feature in explained.features]
    assert 1 <= len(weights) <= 10
    assert weights == sorted(weights, reverse=True)
    # By these weights nothing but the number of words counts.
    first = explained.features[0]
    assert (first.kind, first.name) == (pb.FEATURE_KIND_COUNTER, "words")
    assert first.weight > 1
    request.max_features = 0
    assert not (await judging.router.Explain(request)).features


@pytest.mark.parametrize("count", [-1, 101])
async def test_an_impossible_number_of_features_is_refused(judging: RunningServer, count: int) -> None:
    request = explain()
    request.max_features = count
    refusal = await refused(judging.router.Explain(request))
    assert (refusal.reason, refusal.field) == ("INVALID_FIELD", "max_features")


async def test_what_cannot_be_decided_is_refused_as_by_route(judging: RunningServer) -> None:
    for preferences in ({"force_model": "none"}, {"min_compliance": 1.0}, {"min_tier": 9}):
        explained = await refused(judging.router.Explain(explain(**preferences)))
        routed = await refused(judging.router.Route(route(**preferences)))
        assert (explained.code, explained.reason, explained.message) == (routed.code, routed.reason, routed.message)


async def test_an_explanation_is_not_counted_as_a_decision(judging: RunningServer) -> None:
    async def decisions() -> int:
        stats = await judging.router.GetStats(rpc.GetStatsRequest())
        return sum(each.decisions for each in stats.models)

    before = await decisions()
    await judging.router.Explain(explain())
    assert await decisions() == before


async def test_without_a_classifier_candidates_are_explained_by_price(shared_server: RunningServer) -> None:
    explained = await shared_server.router.Explain(explain(max_tier=2))
    assert not explained.HasField("assessment")
    assert not explained.features
    assert [(each.model, each.rank) for each in explained.candidates][:2] == [("nano", 1), ("fast", 2)]
    assert not any(each.HasField("utility") or each.HasField("expected_quality") for each in explained.candidates)
    assert [each.left_out.code for each in explained.candidates[2:]] == [pb.REASON_CODE_FILTERED_TIER] * 3


async def test_what_lies_below_the_floor_is_said_to(shared_server: RunningServer) -> None:
    explained = await shared_server.router.Explain(explain(task_type="contracts"))
    below = {each.model: each.left_out.code for each in explained.candidates if not each.rank}
    assert below == {"nano": pb.REASON_CODE_TASK_TYPE_FLOOR, "fast": pb.REASON_CODE_TASK_TYPE_FLOOR}

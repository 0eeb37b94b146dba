"""Decisions of the learned classifier, as a caller sees them: the dial, abilities, confidence, and the class rules where it is not sure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from math import exp, pi, sqrt
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.server.asking import COMPLEX, TRIVIAL, execute, route, stream
from tests.server.fleet import Document, five_tiers, learned
from tests.server.judging import DOMAIN, EASY, HARD, SIGMA, write_weights
from tests.server.refusal import refused
from tests.server.running import RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIERS = ["nano", "fast", "balanced", "premium", "expert"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "sure.weights"
    write_weights(path)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judging(weights: Path) -> AsyncIterator[RunningServer]:
    """A server of five tiers that is sure of what it judges."""
    async with serving(learned(weights=str(weights))) as server:
        yield server


@pytest.fixture
def unsure(tmp_path: Path) -> Document:
    """Five tiers by a classifier that is hardly sure of anything."""
    write_weights(tmp_path / "unsure.weights", confidence=0.2)
    return learned(weights=str(tmp_path / "unsure.weights"))


async def decide(server: RunningServer, request: rpc.RouteRequest) -> pb.Decision:
    reply: rpc.RouteResponse = await server.router.Route(request)
    return reply.decision


def codes(decision: pb.Decision) -> list[str]:
    return [pb.ReasonCode.Name(reason.code).removeprefix("REASON_CODE_") for reason in decision.reasons]


@pytest.mark.parametrize("prompt", [EASY, HARD])
async def test_the_dial_goes_from_the_cheapest_to_the_best(judging: RunningServer, prompt: str) -> None:
    turned = [await decide(judging, route(prompt, cost_quality=share / 10)) for share in range(11)]
    chosen = [TIERS.index(decision.model) for decision in turned]
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (0, 4)
    assert [decision.cost_quality for decision in turned] == [share / 10 for share in range(11)]


async def test_a_harder_query_goes_to_an_abler_model(judging: RunningServer) -> None:
    easy, hard = [await decide(judging, route(prompt, cost_quality=0.9)) for prompt in (EASY, HARD)]
    assert easy.difficulty < -2 < 2 < hard.difficulty
    assert easy.tier < hard.tier
    assert hard.expected_quality < easy.expected_quality


async def test_a_decision_says_what_was_read_and_what_is_expected(judging: RunningServer) -> None:
    decision = await decide(judging, route(EASY, cost_quality=0.0))
    assert (decision.domain, decision.label) == (DOMAIN, pb.LABEL_COMPLEX)
    assert decision.confidence == pytest.approx(0.9)
    ability_of_nano = -1.5
    spread = sqrt(1 + pi / 8 * SIGMA**2)
    expected = 1 / (1 + exp(-(ability_of_nano - decision.difficulty) / spread))
    assert decision.expected_quality == pytest.approx(expected, abs=1e-6)
    assert codes(decision) == ["ASSESSED", "COST_QUALITY"]
    assert decision.complexity == pb.COMPLEXITY_TRIVIAL


@pytest.mark.parametrize("method", ["Execute", "Stream", "RouteBatch"])
async def test_every_method_decides_alike_and_says_so(judging: RunningServer, method: str) -> None:
    routed = await decide(judging, route(HARD, cost_quality=0.25))
    match method:
        case "Execute":
            decision = (await judging.router.Execute(execute(HARD, cost_quality=0.25))).decision
        case "Stream":
            decision = (await judging.stream(stream(HARD, cost_quality=0.25)))[0].started.decision
        case _:
            batch = rpc.RouteBatchRequest(requests=[route(HARD, cost_quality=0.25)], include_reasons=True)
            decision = (await judging.router.RouteBatch(batch)).results[0].decision
    routed.decision_id = decision.decision_id
    assert decision == routed
    await judging.until_idle()


async def test_a_batch_without_reasons_says_what_was_read_all_the_same(judging: RunningServer) -> None:
    [result] = (await judging.router.RouteBatch(rpc.RouteBatchRequest(requests=[route(HARD)]))).results
    assert not result.decision.reasons
    assert (result.decision.domain, result.decision.label) == (DOMAIN, pb.LABEL_COMPLEX)
    assert result.decision.difficulty > 2


async def test_sentences_of_one_query_never_serve_another(judging: RunningServer) -> None:
    # The encoder keeps what it has encoded: the same prompt by another dial, another prompt of as many words, and back again.
    requests = [
        route(prompt, **preferences)
        for prompt in (EASY, "Good bye", HARD, TRIVIAL)
        for preferences in ({}, {"cost_quality": 0.0}, {"cost_quality": 1.0}, {"max_tier": 3})
    ]
    first = [await decide(judging, request) for request in requests]
    again = [await decide(judging, request) for request in reversed(requests)][::-1]
    for one, other in zip(first, again, strict=True):
        other.decision_id = one.decision_id
        assert one == other
        said = next(reason.detail for reason in one.reasons if reason.code == pb.REASON_CODE_COST_QUALITY)
        assert one.deployment in said


async def test_class_floors_do_not_hold_where_the_classifier_is_sure(judging: RunningServer) -> None:
    decision = await decide(judging, route(COMPLEX, cost_quality=0.0))
    assert decision.complexity == pb.COMPLEXITY_COMPLEX
    assert decision.model == "nano"


@pytest.mark.parametrize(
    ("preferences", "prompt", "model", "reason"),
    [
        ({"agent": "security_agent"}, TRIVIAL, "premium", "PIN_AGENT"),
        ({}, "Our constitution", "expert", "PIN_GOVERNANCE"),
        ({"task_type": "contracts"}, TRIVIAL, "balanced", "TASK_TYPE_FLOOR"),
        ({"min_tier": 2}, TRIVIAL, "fast", "FILTERED_TIER"),
        ({"force_model": "balanced"}, TRIVIAL, "balanced", "FORCED_MODEL"),
    ],
)
async def test_pins_floors_of_task_types_and_limits_hold_whatever_the_classifier_says(
    judging: RunningServer, preferences: dict[str, Any], prompt: str, model: str, reason: str
) -> None:
    decision = await decide(judging, route(prompt, cost_quality=0.0, **preferences))
    assert decision.model == model
    assert reason in codes(decision)


async def test_where_it_is_not_sure_the_class_rules_hold_and_the_decision_says_so(unsure: Document) -> None:
    async with serving(unsure) as server:
        decision = await decide(server, route(COMPLEX, cost_quality=0.0))
        assert decision.model == "premium"
        assert codes(decision)[:3] == ["ASSESSED", "UNSURE", "COMPLEXITY_FLOOR"]
        assert decision.confidence == pytest.approx(0.2)
        metrics = (await server.http.get("/metrics")).text
        assert "\ntierway_route_unsure_total 1.0\n" in metrics


async def test_how_sure_it_has_to_be_is_configured(unsure: Document) -> None:
    unsure["routing"]["classifier"]["min_confidence"] = 0.1
    async with serving(unsure) as server:
        assert (await decide(server, route(COMPLEX, cost_quality=0.0))).model == "nano"


async def test_the_configured_dial_holds_for_requests_that_state_none(weights: Path) -> None:
    for dial, model in ((0.0, "nano"), (1.0, "expert")):
        document = learned(weights=str(weights))
        document["routing"]["cost_quality"] = dial
        async with serving(document) as server:
            decision = await decide(server, route(HARD))
            assert (decision.model, decision.cost_quality) == (model, dial)


async def test_an_ability_in_the_domain_of_the_query_counts_before_the_overall_one(weights: Path) -> None:
    document = learned(weights=str(weights))
    document["models"][1] |= {"ability": -3.0, "ability_by_domain": {DOMAIN: 9.0}}
    async with serving(document) as server:
        assert (await decide(server, route(HARD, cost_quality=1.0))).model == "fast"


async def test_without_a_classifier_a_decision_has_none_of_it_and_the_dial_is_refused() -> None:
    async with serving(five_tiers()) as server:
        decision = await decide(server, route())
        absent = ("confidence", "expected_quality", "difficulty", "cost_quality")
        assert not any(decision.HasField(name) for name in absent)
        assert (decision.domain, decision.label) == ("", pb.LABEL_UNSPECIFIED)
        refusal = await refused(server.router.Route(route(cost_quality=0.5)))
        assert (refusal.code.name, refusal.reason, refusal.field) == (
            "FAILED_PRECONDITION",
            "CLASSIFIER_OFF",
            "preferences.cost_quality",
        )


async def test_the_shipped_weights_decide_unless_others_are_stated() -> None:
    async with serving(learned()) as server:
        decision = await decide(server, route("What is the capital of France?"))
        assert 0 <= decision.confidence <= 1
        assert decision.HasField("expected_quality")
        stats = await server.router.GetStats(rpc.GetStatsRequest())
        assert len(stats.classifier.weights) == 16
        assert stats.classifier.calibration == ""
        assert not stats.classifier.HasField("calibration_load_time")

"""Strategies, rules, experiments and tenants, from the configuration and the request to the decision and the counts."""

import pytest

from tests.server.asking import COMPLEX, TRIVIAL, execute, route
from tests.server.conftest import Serve
from tests.server.fleet import five_tiers, only
from tests.server.granting import granting, of, stats_of
from tests.server.refusal import refused
from tests.server.running import RunningServer
from tests.server.scrape import scrape, value
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_server.telemetry import semconv


def steering(**routing: object) -> dict[str, object]:
    document = five_tiers()
    document["routing"] |= routing
    return document


async def decide(server: RunningServer, *args: object, tenant: str = "", **options: object) -> pb.Decision:
    reply = await server.router.Route(route(*args, **options), **(of(tenant) if tenant else {}))  # type: ignore[arg-type]
    decision: pb.Decision = reply.decision
    return decision


async def test_without_a_word_the_cheapest_answers(server: RunningServer) -> None:
    decision = await decide(server)
    assert (decision.strategy, decision.rule, decision.experiment, decision.arm) == ("cheapest", "", "", "")


async def test_the_configuration_names_the_strategy_and_the_request_another(serve: Serve) -> None:
    server = await serve(steering(strategy="least_busy"))
    assert (await decide(server)).strategy == "least_busy"
    assert (await decide(server, strategy="lowest_latency")).strategy == "lowest_latency"
    counted = {each.strategy: each.decisions for each in (await stats_of(server)).strategies}
    assert counted == {"least_busy": 1, "lowest_latency": 1}
    assert value(await scrape(server), semconv.STRATEGIES, strategy="least_busy") == 1


async def test_a_strategy_that_is_not_there_is_named(server: RunningServer) -> None:
    refusal = await refused(server.router.Route(route(strategy="fastest")))
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert refusal.violated_fields == ["preferences.strategy"]
    assert "least_busy" in refusal.message


async def test_the_dial_s_strategy_needs_the_classifier(server: RunningServer) -> None:
    refusal = await refused(server.router.Route(route(strategy="cost_quality")))
    assert (refusal.reason, refusal.field) == ("CLASSIFIER_OFF", "preferences.strategy")


@pytest.mark.parametrize(
    ("preferences", "field"),
    [
        ({"strategy": "x" * 129}, "preferences.strategy"),
        ({"sticky_key": "x" * 129}, "preferences.sticky_key"),
        ({"regions": ["eu"] * 65}, "preferences.regions"),
        ({"regions": ["eu", ""]}, "preferences.regions[1]"),
        ({"regions": ["x" * 129]}, "preferences.regions[0]"),
    ],
)
async def test_what_is_too_long_is_named(server: RunningServer, preferences: dict[str, object], field: str) -> None:
    assert (await refused(server.router.Route(route(**preferences)))).violated_fields == [field]


async def test_the_first_rule_that_matches_holds(serve: Serve) -> None:
    rules = [
        {"name": "big", "classes": ["complex"], "min_tier": 5},
        {"name": "all", "strategy": "weighted"},
    ]
    server = await serve(steering(rules=rules))
    big, small = await decide(server, COMPLEX), await decide(server, TRIVIAL)
    assert (big.rule, big.model, big.strategy) == ("big", "expert", "cheapest")
    assert (small.rule, small.strategy) == ("all", "weighted")


def experiment(*, shadow: bool) -> dict[str, object]:
    arms = [{"name": name, "share": 0.5, "strategy": name} for name in ("least_busy", "weighted")]
    return steering(
        rules=[{"name": "all", "experiment": "ways"}],
        experiments=[{"name": "ways", "shadow": shadow, "arms": arms}],
    )


async def test_who_states_a_key_stays_in_one_arm_and_every_arm_is_taken(serve: Serve) -> None:
    server = await serve(experiment(shadow=False))
    arms = {}
    for user in map(str, range(40)):
        first, again = await decide(server, sticky_key=user), await decide(server, sticky_key=user)
        assert first.arm == again.arm == first.strategy
        arms[user] = first.arm
    assert set(arms.values()) == {"least_busy", "weighted"}
    counted = (await stats_of(server)).experiments
    assert {each.experiment for each in counted} == {"ways"}
    assert {each.arm: each.decisions for each in counted} == {
        arm: 2 * list(arms.values()).count(arm) for arm in set(arms.values())
    }
    labels = {"experiment": "ways", "arm": arms["0"]}
    assert value(await scrape(server), semconv.EXPERIMENTS, **labels) == 2 * list(arms.values()).count(arms["0"])


async def test_a_shadow_tells_what_it_would_have_chosen_and_changes_nothing(serve: Serve) -> None:
    server = await serve(experiment(shadow=True))
    reply = await server.router.Execute(execute())
    decision = reply.decision
    assert (decision.strategy, decision.model, decision.experiment) == ("cheapest", "nano", "ways")
    assert decision.shadow_model
    assert [attempt.model for attempt in reply.attempts] == ["nano"]


class TestTenants:
    @pytest.fixture
    async def server(self, serve: Serve) -> RunningServer:
        document = five_tiers()
        document["models"][0]["deployments"][0]["region"] = "eu"
        tenants = {
            "default": {"max_tier": 3},
            "acme": {"models": ["fast"]},
            "euro": {"regions": ["eu"]},
        }
        return await serve(granting(document, tenants=tenants))

    async def test_each_has_its_models(self, server: RunningServer) -> None:
        decision = await decide(server, tenant="acme")
        assert decision.model == "fast"
        assert pb.REASON_CODE_FILTERED_TENANT in [reason.code for reason in decision.reasons]

    async def test_each_has_its_regions(self, server: RunningServer) -> None:
        decision = await decide(server, COMPLEX, tenant="euro")
        assert decision.model == "nano"
        assert pb.REASON_CODE_FILTERED_REGION in [reason.code for reason in decision.reasons]

    async def test_who_is_unknown_is_the_default(self, server: RunningServer) -> None:
        for tenant in ("", "stranger"):
            assert (await decide(server, COMPLEX, tenant=tenant)).model == "balanced"

    async def test_what_a_tenant_may_not_use_is_denied(self, server: RunningServer) -> None:
        refusal = await refused(server.router.Execute(execute(force_model="expert"), **of("acme")))
        assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "TENANT_RESTRICTED")


async def test_a_request_may_name_its_regions(serve: Serve) -> None:
    document = five_tiers()
    document["models"][1]["deployments"][0]["region"] = "eu"
    server = await serve(document)
    assert (await decide(server, regions=["us", "eu"])).model == "fast"
    listed = (await server.router.ListModels(rpc.ListModelsRequest())).models
    assert [model.deployments[0].region for model in listed[:2]] == ["", "eu"]


async def test_what_cannot_answer_in_time_is_not_begun(serve: Serve) -> None:
    document = only(five_tiers(), "nano")
    document["models"][0]["deployments"][0]["expected_token_s"] = 10
    server = await serve(document)
    refusal = await refused(server.router.Execute(execute(), timeout=60))
    assert (refusal.code.name, refusal.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_TOO_SHORT")
    assert float(refusal.info.metadata["predicted_seconds"]) == pytest.approx(640.05, rel=0.01)
    assert float(refusal.info.metadata["deadline_seconds"]) == pytest.approx(60, rel=0.1)
    assert not server.engine().started

"""From USD to the routing table."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierway_core import Complexity, Feature
from tierway_server.config import build_table, parse
from tierway_server.config.price import picousd_per_token


@pytest.mark.parametrize("usd", [0.0000001, 0.1234567, 999_999.1234567])
def test_price_finer_than_a_picousd_is_refused(usd):
    with pytest.raises(ValueError, match="finer than 1 pico-USD"):
        picousd_per_token(usd)


@pytest.mark.parametrize(("usd", "picousd"), [(0.15, 150_000), (0.05, 50_000), (15.0, 15_000_000), (1e-6, 1), (0, 0)])
def test_price_is_exact(usd, picousd):
    assert picousd_per_token(usd) == picousd


@given(st.integers(min_value=0, max_value=10**12))
def test_every_price_of_whole_picousd_survives(picousd):
    assert picousd_per_token(float(Decimal(picousd) / 1_000_000)) == picousd


def test_deployments_keep_the_order_of_the_configuration(small):
    config = parse(small)
    table = build_table(config)
    assert [each.spec.name for each in table.deployments] == [each.name for _, each in config.deployments]


def test_engine_bounds_the_context_and_tier_sets_the_latency(small):
    first, second = (each.spec for each in build_table(parse(small)).deployments)
    assert (first.provider, first.context_tokens, first.expected_latency_s) == ("vllm", 2048, 0.05)
    assert (second.provider, second.context_tokens, second.expected_latency_s) == ("groq", 32768, 0.2)


def test_an_engine_lacks_what_it_cannot_read_and_a_provider_what_its_kind_does(small):
    engine, provider = (each.spec.lacks for each in build_table(parse(small)).deployments)
    assert (
        engine == Feature.IMAGE_DATA | Feature.IMAGE_URI | Feature.TOOLS | Feature.TOOL_CHOICE | Feature.PARALLEL_TOOLS
    )
    assert provider == Feature.TOP_K | Feature.MANY_STOPS
    small["engines"]["tiny"] |= {"tool_parser": "hermes"}
    assert build_table(parse(small)).deployments[0].spec.lacks == Feature.IMAGE_DATA | Feature.IMAGE_URI


def test_what_a_kind_lacks_is_corrected_by_the_provider_and_then_by_the_deployment(small):
    small["providers"]["groq"] |= {"lacks": ["seed", "logprobs"], "can": ["top_k"]}
    small["models"][1]["deployments"][0] |= {"lacks": ["tools", "prefill"], "can": ["seed"]}
    [_, provider] = build_table(parse(small)).deployments
    assert provider.spec.lacks == Feature.MANY_STOPS | Feature.LOGPROBS | Feature.TOOLS


def test_deployment_overrides_context_and_latency(small):
    small["models"][1]["deployments"][0] |= {"context_tokens": 1024, "expected_latency_s": 0.4}
    spec = build_table(parse(small)).deployments[1].spec
    assert (spec.context_tokens, spec.expected_latency_s) == (1024, 0.4)


def test_cached_input_costs_what_input_costs_unless_stated(small):
    first, second = build_table(parse(small)).models
    assert (first.input_picousd, first.cached_input_picousd, first.output_picousd) == (50_000, 50_000, 100_000)
    assert (second.input_picousd, second.cached_input_picousd, second.output_picousd) == (800_000, 400_000, 1_200_000)


def test_ability_is_the_stated_one_or_its_tier_s(small):
    small["models"][1] |= {"ability": -0.25, "ability_by_domain": {"law": 1.5}}
    first, second = build_table(parse(small)).models
    assert (first.ability, dict(first.ability_by_domain)) == (-1.5, {})
    assert (second.ability, dict(second.ability_by_domain)) == (-0.25, {"law": 1.5})


@pytest.mark.parametrize(("tier", "ability"), [(1, -1.5), (2, 0.0), (3, 1.0), (4, 1.8), (5, 2.4)])
def test_each_tier_has_an_ability_to_begin_with(small, tier, ability):
    small["models"][0]["tier"] = tier
    assert build_table(parse(small)).models[0].ability == ability


def test_routing_reaches_the_table(small):
    small["routing"] = {
        "classifier": {"enabled": False, "min_confidence": 0.75},
        "cost_quality": 0.25,
        "floors": {"trivial": 2},
        "accurate_tier": 3,
        "critical_agents": ["auditor"],
        "governance": {"tier": 4, "terms": ["charter"]},
        "task_types": {"summary": 2},
        "expected_output_tokens": {"complex": 9},
        "min_compliance": 0.5,
    }
    routing = build_table(parse(small)).routing
    assert dict(routing.floors) == {
        Complexity.TRIVIAL: 2,
        Complexity.SIMPLE: 2,
        Complexity.MODERATE: 3,
        Complexity.COMPLEX: 4,
    }
    assert (routing.accurate_tier, routing.governance_tier, routing.min_compliance) == (3, 4, 0.5)
    assert (routing.classifier, routing.min_confidence, routing.cost_quality) == (False, 0.75, 0.25)
    assert (routing.critical_agents, routing.governance_terms) == ({"auditor"}, ("charter",))
    assert dict(routing.task_types) == {"summary": 2}
    assert routing.expected_output_tokens[Complexity.COMPLEX] == 9

"""The compiled core and its twin agree on busy fleets under every policy; and these tests do see every policy at work."""

from collections import Counter
from random import Random

import pytest

from tests.core.crowds import NOW_NS, any_prefixes, any_request, any_state, any_table
from tests.core.networks import make_classifier
from tests.core.test_equivalence import outcome
from tierway_core import STRATEGIES, Decision, ReasonCode, Request, Router, UnroutableError
from tierway_core.reference import ReferenceRouter

SEEDS = 1000
CLASSIFIER = make_classifier()


def routers(random: Random) -> tuple[Router, ReferenceRouter, Request]:
    learned = random.random() < 0.5
    table = any_table(random, classifier=learned)
    state, prefixes = any_state(random, table), any_prefixes(random, table)
    made = (kind(table, state, CLASSIFIER, prefixes) for kind in (Router, ReferenceRouter))
    return (*made, any_request(random, classifier=learned))


@pytest.mark.parametrize("part", range(10))
def test_both_decide_alike_in_a_crowd(part):
    for seed in range(part, SEEDS, 10):
        random = Random(seed)
        compiled, twin, request = routers(random)
        draw = random.getrandbits(64)
        assert outcome(compiled, request, NOW_NS, draw) == outcome(twin, request, NOW_NS, draw), f"seed {seed}"


def seen_in(decision: Decision) -> set[str]:
    ranked = sum(candidate.rank > 0 for candidate in decision.candidates)
    facts = {
        decision.strategy: ranked > 1,
        "rule beyond the 64th": decision.rule > "rule" and decision.table.routing.rules.index(rule_of(decision)) > 64,
        "shadow": decision.shadow_deployment not in (-1, decision.deployment),
        "arm": decision.arm != "" and decision.shadow_deployment < 0,
        "budget low": 0.0 < decision.budget_factor < 1.0,
        "budget empty": decision.budget_factor == 0.0,
        "sure": decision.is_sure,
        "tenant": decision.tenant is not None,
    }
    return {fact for fact, holds in facts.items() if holds} | {reason.code.name for reason in decision.reasons}


def rule_of(decision: Decision) -> object:
    return next(rule for rule in decision.table.routing.rules if rule.name == decision.rule)


def test_the_crowds_show_every_policy_at_work():
    seen = Counter()
    for seed in range(SEEDS):
        compiled, _, request = routers(Random(seed))
        try:
            seen.update(seen_in(compiled.decide(request, NOW_NS, seed)))
        except UnroutableError as error:
            seen["unroutable"] += 1
            seen.update(reason.code.name for reason in error.reasons)
    assert seen["unroutable"] < SEEDS / 3
    policies = {"rule beyond the 64th", "shadow", "arm", "budget low", "budget empty", "sure", "tenant"}
    elsewhere = {"FILTERED_RESPONSE_FORMAT", "FILTERED_LOGPROBS", "FILTERED_COMPLIANCE"}  # in test_equivalence
    codes = {code.name for code in ReasonCode} - elsewhere
    missing = {fact for fact in (*policies, *codes, *STRATEGIES) if seen[fact] < 3}
    assert not missing, seen

import re
from pathlib import Path

import tierway_core
import tierway_core.reference
from tierway_core import Complexity, Decision, ReasonCode, Request, UnroutableKind
from tierway_core.reference_decision import ReferenceDecision

PROTOS = Path(__file__).parents[2] / "protos" / "tierway" / "v1" / "types.proto"


def test_the_public_names_are_these():
    assert tierway_core.__all__ == [
        "NEVER_NS", "STRATEGIES", "ArmSpec", "Assessment", "Breaker", "BreakerSpec", "BudgetSpec", "CalibrationError",
        "Candidate", "Classifier", "Complexity", "Contribution", "CoreError", "Decision", "Deployment",
        "DeploymentSpec", "ExperimentSpec", "Feature", "Features", "InvalidTextError", "Lexicon", "LimitSpec", "ModelSpec",
        "NoClassifierError", "Prefixes", "Reason", "ReasonCode", "Recovery", "Request", "Router", "RoutingSpec",
        "RuleSpec", "Sharing", "State", "Table", "TableError", "Tenant", "TenantSpec", "UnknownModelError", "UnknownStrategyError",
        "UnknownTaskTypeError", "UnroutableError", "UnroutableKind", "Weights", "WeightsError", "assess",
        "contributions", "estimate_tokens", "extract",
    ]  # fmt: skip
    assert all(hasattr(tierway_core, name) for name in tierway_core.__all__)


def numbers_in_contract(prefix: str) -> dict[str, int]:
    found = re.findall(rf"^  {prefix}_(\w+) = (\d+);", PROTOS.read_text(), re.MULTILINE)
    return {name: int(number) for name, number in found if int(number) > 0}


def test_complexity_has_the_contract_s_numbers():
    assert {member.name: member.value for member in Complexity} == numbers_in_contract("COMPLEXITY")


def test_reason_codes_have_the_contract_s_numbers():
    assert {member.name: member.value for member in ReasonCode} == numbers_in_contract("REASON_CODE")


def test_kinds_are_their_own_names():
    assert [kind.value for kind in UnroutableKind] == [kind.name for kind in UnroutableKind]


def test_a_decision_and_the_twin_s_have_the_same_attributes():
    def public(type_: type) -> set[str]:
        return {name for name in dir(type_) if not name.startswith("_")}

    assert public(Decision) == public(ReferenceDecision)


def test_extract_needs_no_table():
    assert tierway_core.extract("Plan a Python program").code
    assert tierway_core.reference.extract("Plan a Python program") == tierway_core.extract("Plan a Python program")


def test_a_request_shows_what_was_asked():
    request = Request("hi", max_tokens=5, agent="someone")
    assert (request.text, request.max_tokens, request.agent) == ("hi", 5, "someone")
    assert (request.max_cost_picousd, request.min_tier, request.max_tier, request.allow_fallback) == (-1, 1, 5, True)


def test_the_benchmark_s_table_is_what_it_says():
    from tierway_bench.decide import GOALS_US, PROSE, build_table

    table = build_table()
    assert (len({model.tier for model in table.models}), len(table.deployments)) == (5, 12)
    assert list(GOALS_US) == [12, 262, 8600]
    assert not tierway_core.extract(PROSE).code

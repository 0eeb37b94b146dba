import copy
import pickle

import pytest

from tierway.v1 import admin_service_pb2 as admin
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_client import (
    AttemptOutcome,
    BreakerSetting,
    BreakerState,
    Complexity,
    FeatureKind,
    FinishReason,
    Label,
    Priority,
    ReasonCode,
    Role,
    ToolMode,
)

OF_CONTRACT = {
    Role: (pb.Role, "ROLE_"),
    ToolMode: (pb.ToolMode, "TOOL_MODE_"),
    Priority: (pb.Priority, "PRIORITY_"),
    FeatureKind: (pb.FeatureKind, "FEATURE_KIND_"),
    Label: (pb.Label, "LABEL_"),
    Complexity: (pb.Complexity, "COMPLEXITY_"),
    ReasonCode: (pb.ReasonCode, "REASON_CODE_"),
    FinishReason: (pb.FinishReason, "FINISH_REASON_"),
    BreakerState: (rpc.BreakerState, "BREAKER_STATE_"),
    BreakerSetting: (admin.BreakerSetting, "BREAKER_SETTING_"),
    AttemptOutcome: (pb.AttemptOutcome, "ATTEMPT_OUTCOME_"),
}


@pytest.mark.parametrize("enum", OF_CONTRACT)
def test_members_are_those_of_the_contract(enum) -> None:
    wire, prefix = OF_CONTRACT[enum]
    assert {member.name: member.value for member in enum} == {
        name.removeprefix(prefix): number for name, number in wire.items()
    }


def test_number_without_a_name_survives() -> None:
    code = ReasonCode(77)
    assert (code, code.name, code.is_known) == (77, "UNKNOWN_77", False)
    assert code == ReasonCode(77)
    assert ReasonCode.CHEAPEST.is_known


def test_number_without_a_name_is_not_a_member() -> None:
    ReasonCode(78)
    assert 78 not in list(ReasonCode)


def test_number_without_a_name_is_copied_and_pickled() -> None:
    assert copy.deepcopy(ReasonCode(79)) == 79
    assert pickle.loads(pickle.dumps(ReasonCode(79))).name == "UNKNOWN_79"


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="CHEAP"):
        ReasonCode("CHEAP")

"""What the core and the flow number by themselves is numbered as the contract numbers it."""

from __future__ import annotations

from enum import IntEnum

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from tierway.v1 import types_pb2 as pb
from tierway_core import Complexity, ReasonCode
from tierway_server.backends.base import FinishReason, Role, ToolMode
from tierway_server.flow.events import Outcome
from tierway_server.flow.priority import Priority


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (ReasonCode, pb.ReasonCode, "REASON_CODE_"),
        (Complexity, pb.Complexity, "COMPLEXITY_"),
        (Role, pb.Role, "ROLE_"),
        (FinishReason, pb.FinishReason, "FINISH_REASON_"),
        (ToolMode, pb.ToolMode, "TOOL_MODE_"),
        (Priority, pb.Priority, "PRIORITY_"),
        (Outcome, pb.AttemptOutcome, "ATTEMPT_OUTCOME_"),
    ],
)
def test_names_and_numbers_are_the_same(ours: type[IntEnum], theirs: EnumTypeWrapper, prefix: str) -> None:
    stated = {name.removeprefix(prefix): number for name, number in theirs.items() if number}
    assert {member.name: member.value for member in ours} == stated

import math

import pytest

from tests.core.fleets import make_table
from tests.sim.fleets import placed
from tierway_sim import Fault, FaultError, FaultKind, parse_fault, read_faults
from tierway_sim.faults import affected


@pytest.mark.parametrize(
    ("kind", "text", "target", "size", "from_s", "until_s"),
    [
        ("fail", "groq:0.3@60..120", "groq", 0.3, 60, 120),
        ("slow", "grok-4@openrouter:10x@1.5..", "grok-4@openrouter", 10, 1.5, math.inf),
        ("vanish", "local@..30", "local", 1, 0, 30),
        ("vanish", "a:b/c@d:e@2..3", "a:b/c@d:e", 1, 2, 3),
    ],
)
def test_a_fault_is_read_as_it_is_written(kind, text, target, size, from_s, until_s):
    fault = parse_fault(FaultKind(kind), text)
    assert fault == Fault(kind=FaultKind(kind), target=target, size=size, from_s=from_s, until_s=until_s)
    assert parse_fault(FaultKind(kind), str(fault).removeprefix(f"{kind} ")) == fault


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("fail", "groq@1..2", "must be TARGET:SHARE@FROM..TO, FROM and TO in seconds"),
        ("fail", "groq:3x@1..2", "must be TARGET:SHARE@FROM..TO, FROM and TO in seconds"),
        ("fail", "groq:1.1@1..2", "the share must be 0 to 1"),
        ("fail", "groq:0.1.2@1..2", "'0.1.2' is no number"),
        ("slow", "groq:3@1..2", "must be TARGET:TIMESx@FROM..TO, FROM and TO in seconds"),
        ("slow", "groq:0x@1..2", "must be some times as slow, above 0"),
        ("vanish", "groq", "must be TARGET@FROM..TO, FROM and TO in seconds"),
        ("vanish", "groq@2..2", "must be over after it begins"),
    ],
)
def test_what_is_no_fault_is_refused(kind, text, message):
    with pytest.raises(FaultError) as caught:
        parse_fault(FaultKind(kind), text)
    assert (caught.value.text, caught.value.message) == (text, message)


def test_a_schedule_has_a_fault_a_line(tmp_path):
    schedule = tmp_path / "faults.txt"
    schedule.write_text("# a drill\n\nfail groq:0.3@60..120\nvanish local@..30\n")
    assert [str(fault) for fault in read_faults(schedule)] == ["fail groq:0.3@60..120", "vanish local@0..30"]


def test_a_line_of_another_kind_is_refused(tmp_path):
    schedule = tmp_path / "faults.txt"
    schedule.write_text("burn groq@1..2\n")
    with pytest.raises(FaultError, match=r"burn groq@1\.\.2: must begin with fail, slow, vanish"):
        read_faults(schedule)


def test_a_fault_is_of_a_deployment_or_of_all_of_a_provider():
    table = make_table(placed("a", "groq"), placed("b", "groq"), placed("c", "other"))
    assert affected(table, parse_fault(FaultKind.VANISH, "b@groq@1..2")) == [1]
    assert affected(table, parse_fault(FaultKind.VANISH, "groq@1..2")) == [0, 1]


def test_a_fault_of_nothing_names_what_there_is():
    table = make_table(placed("a", "groq"))
    with pytest.raises(
        FaultError, match=r"no deployment and no provider is called 'grok'.*providers: groq; deployments: a@groq"
    ):
        affected(table, parse_fault(FaultKind.VANISH, "grok@1..2"))

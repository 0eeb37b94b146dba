"""Who waits and who is next: held to a slow model that looks at everybody, and to what the order is for."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tierway_server.flow.lanes import Lanes
from tierway_server.flow.priority import Priority

SHARES = {Priority.INTERACTIVE: 16.0, Priority.NORMAL: 4.0, Priority.BATCH: 1.0}
PRIORITIES = st.sampled_from(list(Priority))
TENANTS = st.sampled_from(["", "a", "b", "c"])


class Someone:
    """Who waits."""

    def __init__(self, priority: Priority = Priority.NORMAL, tenant: str = "") -> None:
        self.priority = priority
        self.tenant = tenant

    def __repr__(self) -> str:
        return f"{self.priority.name}:{self.tenant}"


class Model:
    """The same order by the letter: everybody in one list, eldest first; whose turn it is of each lane and its tenants."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting: list[Someone] = []
        self.turns = dict.fromkeys(Priority, Fraction(0))
        self.now = Fraction(0)
        self.rings: dict[Priority, list[str]] = {priority: [] for priority in Priority}

    def of(self, priority: Priority, tenant: str | None = None) -> list[Someone]:
        return [
            each for each in self.waiting if each.priority is priority and (tenant is None or each.tenant == tenant)
        ]

    def add(self, newcomer: Someone) -> Someone | None:
        gone = None
        if len(self.waiting) >= self.size:
            gone = self.goes_for(newcomer)
            if gone is newcomer:
                return gone
            self.remove(gone)
        lane = newcomer.priority
        if not self.of(lane):
            self.turns[lane] = max(self.turns[lane], self.now)
        if newcomer.tenant not in self.rings[lane]:
            self.rings[lane].append(newcomer.tenant)
        self.waiting.append(newcomer)
        return gone

    def goes_for(self, newcomer: Someone) -> Someone:
        lowest = max((each.priority for each in self.waiting), default=None)
        if lowest is None or lowest < newcomer.priority:
            return newcomer
        # The first of those with as many as the others, in the order of their turns.
        crowd = max(self.rings[lowest], key=lambda tenant: len(self.of(lowest, tenant)))
        theirs, own = self.of(lowest, crowd), self.of(lowest, newcomer.tenant)
        if lowest is newcomer.priority and len(theirs) - 1 < len(own) + 1:
            return newcomer
        return theirs[-1]

    def next(self) -> Someone | None:
        if not self.waiting:
            return None
        lane = min((each for each in Priority if self.of(each)), key=lambda each: (self.turns[each], each))
        return self.of(lane, self.rings[lane][0])[0]

    def pop(self) -> Someone:
        found = self.next()
        assert found is not None
        lane = found.priority
        self.now = self.turns[lane]
        self.turns[lane] += 1 / Fraction(SHARES[lane])
        self.waiting.remove(found)
        self.rings[lane].remove(found.tenant)
        if self.of(lane, found.tenant):
            self.rings[lane].append(found.tenant)
        return found

    def remove(self, one: Someone) -> None:
        self.waiting.remove(one)
        if not self.of(one.priority, one.tenant):
            self.rings[one.priority].remove(one.tenant)


class Queueing(RuleBasedStateMachine):
    """Whatever happens in whatever order, the lanes and the model agree."""

    @initialize(size=st.integers(0, 6))
    def start(self, size: int) -> None:
        self.lanes: Lanes[Someone] = Lanes(size, SHARES)
        self.model = Model(size)

    @rule(priority=PRIORITIES, tenant=TENANTS)
    def somebody_comes(self, priority: Priority, tenant: str) -> None:
        newcomer = Someone(priority, tenant)
        assert self.lanes.add(newcomer) is self.model.add(newcomer)

    @precondition(lambda self: self.model.waiting)
    @rule()
    def a_place_comes_free(self) -> None:
        assert self.lanes.pop() is self.model.pop()

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def somebody_leaves(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.model.waiting))
        self.lanes.remove(one)
        self.lanes.remove(one)  # who has gone can go again
        self.model.remove(one)

    @invariant()
    def they_agree(self) -> None:
        assert self.lanes.peek() is self.model.next()
        assert len(self.lanes) == len(self.model.waiting) <= self.model.size
        assert set(self.lanes) == set(self.model.waiting)


TestQueueing = Queueing.TestCase


def filled(*waiting: Someone, size: int = 1_000) -> Lanes[Someone]:
    lanes: Lanes[Someone] = Lanes(size, SHARES)
    for each in waiting:
        assert lanes.add(each) is None
    return lanes


def served(lanes: Lanes[Someone], count: int) -> list[Someone]:
    return [lanes.pop() for _ in range(count)]


def test_within_a_lane_and_a_tenant_the_eldest_is_first() -> None:
    waiting = [Someone() for _ in range(5)]
    assert served(filled(*waiting), 5) == waiting


def test_tenants_take_turns_however_many_one_has_waiting() -> None:
    lanes = filled(*(Someone(tenant="flood") for _ in range(100)), *(Someone(tenant="quiet") for _ in range(3)))
    assert [each.tenant for each in served(lanes, 7)] == ["flood", "quiet"] * 3 + ["flood"]


def test_requests_without_a_tenant_are_one_among_them() -> None:
    lanes = filled(*(Someone() for _ in range(3)), Someone(tenant="a"))
    assert [each.tenant for each in served(lanes, 4)] == ["", "a", "", ""]


def test_lanes_that_have_somebody_are_served_by_their_shares() -> None:
    lanes = filled(*(Someone(priority) for priority in Priority for _ in range(300)))
    counts = Counter(each.priority for each in served(lanes, 210))
    assert counts == {Priority.INTERACTIVE: 160, Priority.NORMAL: 40, Priority.BATCH: 10}


def test_what_an_empty_lane_does_not_use_the_others_have_and_it_has_not_later() -> None:
    lanes = filled(*(Someone(Priority.BATCH) for _ in range(100)))
    served(lanes, 50)
    for _ in range(100):
        lanes.add(Someone(Priority.NORMAL))
    # From here on by shares, 4 to 1, and not alone until it has caught up.
    assert 9 <= Counter(each.priority for each in served(lanes, 50))[Priority.BATCH] <= 11


def test_a_more_urgent_one_waits_for_one_of_the_others_at_most() -> None:
    lanes = filled(*(Someone(Priority.BATCH) for _ in range(100)))
    served(lanes, 50)
    lanes.add(Someone(Priority.INTERACTIVE))
    assert Priority.INTERACTIVE in [each.priority for each in served(lanes, 2)]


class TestFull:
    """What becomes of a newcomer where all room is taken."""

    def test_it_is_refused_among_its_like(self) -> None:
        lanes, newcomer = filled(Someone(), Someone(), size=2), Someone()
        assert lanes.add(newcomer) is newcomer

    def test_it_is_refused_where_nobody_may_wait(self) -> None:
        newcomer = Someone(Priority.INTERACTIVE)
        assert filled(size=0).add(newcomer) is newcomer

    def test_the_youngest_of_the_least_urgent_lane_goes_for_a_more_urgent_one(self) -> None:
        elder, younger = Someone(Priority.BATCH), Someone(Priority.BATCH)
        lanes = filled(Someone(Priority.NORMAL), elder, younger, size=3)
        assert lanes.add(Someone(Priority.NORMAL)) is younger

    def test_a_less_urgent_one_takes_nothing_from_others(self) -> None:
        lanes, newcomer = filled(*(Someone(Priority.NORMAL, "a") for _ in range(9)), size=9), Someone(Priority.BATCH)
        assert lanes.add(newcomer) is newcomer

    def test_a_tenant_that_fills_the_queue_makes_room_for_others(self) -> None:
        flood = [Someone(tenant="flood") for _ in range(4)]
        lanes = filled(*flood, size=4)
        assert [lanes.add(Someone(tenant="quiet")) for _ in range(2)] == [flood[3], flood[2]]
        # Two each: from here on neither takes anything from the other.
        for tenant in ("flood", "quiet"):
            newcomer = Someone(tenant=tenant)
            assert lanes.add(newcomer) is newcomer


@given(st.lists(st.tuples(PRIORITIES, TENANTS), max_size=40), PRIORITIES, TENANTS)
def test_how_many_come_first_is_told_to_within_a_turn_of_the_other_lanes(
    waiting: list[tuple[Priority, str]], priority: Priority, tenant: str
) -> None:
    lanes, newcomer = filled(*(Someone(*each) for each in waiting)), Someone(priority, tenant)
    told = lanes.ahead_of(priority, tenant)
    lanes.add(newcomer)
    order = served(lanes, len(lanes))
    # The lanes' shares, rounded, and up to one turn more or less of each other lane, of which one may be sixteen of the slowest.
    assert told == pytest.approx(order.index(newcomer), abs=16 + 4 + 1)


def test_how_many_come_first_is_exact_in_one_lane() -> None:
    lanes = filled(*(Someone(tenant="a") for _ in range(5)), *(Someone(tenant="b") for _ in range(2)))
    told = {tenant: lanes.ahead_of(Priority.NORMAL, tenant) for tenant in ("a", "b", "c")}
    assert told == {"a": 7, "b": 5, "c": 2}

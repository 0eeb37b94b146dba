"""Whatever is lost, late, killed or forgotten: the scripts do what their specification says, and nobody overspends together."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.shared.redis_server import RedisServer
from tests.shared.replicas import BUDGET, table
from tests.shared.virtual_redis import Specification, VirtualRedis
from tierway_core import Sharing, State
from tierway_server.shared.budgets import Budgets
from tierway_server.shared.rounds import Call

LIMIT_NANOUSD = 1_000
LOST_AFTER_US = 1_000_000
FORGET_US = 60_000_000
AMOUNTS = st.integers(1, 400)


@cache
def client() -> redis.Redis:
    folder = Path(tempfile.mkdtemp())
    server = RedisServer(folder / "redis")
    server.start()
    connection = redis.Redis.from_url(server.url)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    atexit.register(connection.close)
    return connection


class Spender:
    """A replica: what it may spend, what it reserved, and the rounds that it sent."""

    def __init__(self, name: str, period_s: float) -> None:
        self.name = name
        shared = table(limit_picousd=LIMIT_NANOUSD * 1_000, period_s=period_s)
        self.state = State(1, limits=1, budgets=1)
        self.state.set_budget(BUDGET, LIMIT_NANOUSD * 1_000)
        self.budgets = Budgets(shared, Sharing(self.state), lease_share=0.3)
        self.round = 0
        self.reservations: list[int] = []
        self.spent = 0

    @property
    def held(self) -> int:
        """What it could have spent in the end, without another word of anybody."""
        return max(self.spent, self.budgets._accounts[BUDGET]._granted)

    def reserve(self, nanousd: int) -> None:
        if self.state.reserve(BUDGET, 1, nanousd * 1_000):
            self.reservations.append(nanousd)

    def settle(self, share: float) -> None:
        reserved = self.reservations.pop()
        actual = int(reserved * share)
        self.state.settle(BUDGET, 1, reserved * 1_000, actual * 1_000)
        self.spent += actual


class Spenders(RuleBasedStateMachine):
    period_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        client().flushall()
        self.server = VirtualRedis(client())
        self.specification = Specification()
        self.born = 0
        self.living: list[Spender] = []
        self.late: list[tuple[str, int, list[Call]]] = []
        self.spent_by_gone = 0

    @initialize()
    def begin(self) -> None:
        self.join()
        self.talk(self.living[0])
        self.pass_time(LOST_AFTER_US)

    def deliver(self, name: str, round_: int, calls: list[Call]):
        replies = []
        for call in calls:
            reply = self.server.call(name, round_, call)
            if call.script == "replica":
                specified = self.specification.sign(self.server.now_us, name, round_, self.server.run, *call.arguments)
            else:
                specified = self.specification.budget(self.server.now_us, name, round_, *call.arguments)
            assert reply == specified
            replies.append(reply)
        return replies

    def say(self, spender: Spender, calls: list[Call]) -> tuple[str, int, list[Call]]:
        spender.round += 1
        return spender.name, spender.round, [Call("replica", "", (LOST_AFTER_US, FORGET_US)), *calls]

    def talk(self, spender: Spender) -> None:
        _, *replies = self.deliver(*self.say(spender, spender.budgets.tell(0)))
        spender.budgets.hear(replies, 0, self.specification.alive)

    def pick(self, number: int) -> Spender:
        return self.living[number % len(self.living)]

    @precondition(lambda self: len(self.living) < 4)
    @rule()
    def join(self) -> None:
        self.born += 1
        self.living.append(Spender(f"replica{self.born}", self.period_s))

    @precondition(lambda self: self.living)
    @rule(number=st.integers(0, 3), nanousd=AMOUNTS)
    def reserve(self, number: int, nanousd: int) -> None:
        self.pick(number).reserve(nanousd)

    @precondition(lambda self: self.living)
    @rule(number=st.integers(0, 3), share=st.floats(0, 1))
    def settle(self, number: int, share: float) -> None:
        spender = self.pick(number)
        if spender.reservations:
            spender.settle(share)

    @precondition(lambda self: self.living)
    @rule(number=st.integers(0, 3))
    def round_comes_through(self, number: int) -> None:
        self.talk(self.pick(number))

    @precondition(lambda self: self.living)
    @rule(number=st.integers(0, 3))
    def reply_is_lost(self, number: int) -> None:
        spender = self.pick(number)
        self.deliver(*self.say(spender, spender.budgets.tell(0)))

    @precondition(lambda self: self.living and len(self.late) < 5)
    @rule(number=st.integers(0, 3))
    def round_is_held_up(self, number: int) -> None:
        spender = self.pick(number)
        self.late.append(self.say(spender, spender.budgets.tell(0)))

    @precondition(lambda self: self.late)
    @rule(number=st.integers(0, 4))
    def late_round_arrives(self, number: int) -> None:
        self.deliver(*self.late.pop(number % len(self.late)))

    @precondition(lambda self: self.living)
    @rule(number=st.integers(0, 3))
    def die(self, number: int) -> None:
        self.end(self.pick(number))

    def end(self, spender: Spender) -> None:
        self.living.remove(spender)
        self.spent_by_gone += spender.spent

    @precondition(lambda self: self.living)
    @rule(number=st.integers(0, 3))
    def leave(self, number: int) -> None:
        spender = self.pick(number)
        while spender.reservations:
            spender.settle(1.0)
        self.deliver(*self.say(spender, spender.budgets.leave()))
        self.end(spender)

    @rule(microseconds=st.sampled_from([1_000, LOST_AFTER_US // 2, LOST_AFTER_US, 2 * FORGET_US]))
    def pass_time(self, microseconds: int) -> None:
        self.server.now_us += microseconds

    @rule()
    def server_restarts_with_its_data(self) -> None:
        self.server.run += 1

    @precondition(lambda self: self.living)
    @rule()
    def server_restarts_without_its_data(self) -> None:
        # Those who were in step are again in time; what nobody living had heard of, nobody can know.
        for spender in self.living:
            self.talk(spender)
        client().flushall()
        self.specification = Specification()
        self.server.run += 1
        for spender in reversed(self.living):
            self.talk(spender)
        self.pass_time(LOST_AFTER_US)

    @invariant()
    def nobody_can_overspend_together(self) -> None:
        # Redis may count more than that: what it had taken for gone, and its owner then came back with.
        assert self.spent_by_gone + sum(spender.held for spender in self.living) <= LIMIT_NANOUSD

    @invariant()
    def what_a_replica_may_spend_is_known(self) -> None:
        for spender in self.living:
            entry = self.specification.entries.get(spender.name)
            # One that was forgotten is counted among those who are gone.
            assert spender.held <= (entry.granted if entry else self.specification.gone)


Spenders.TestCase.settings = settings(max_examples=60, stateful_step_count=40)


class TestSpenders(Spenders.TestCase):
    pass


class PeriodicSpenders(Spenders):
    period_s = 1.0


def test_what_is_reserved_into_a_new_period_takes_nothing_of_its_lease():
    machine = PeriodicSpenders()
    machine.begin()
    [spender] = machine.living
    for _ in range(2):  # more than half of the budget: far more than a lease has free
        machine.talk(spender)
        spender.reserve(300)
    machine.talk(spender)
    machine.pass_time(1_000_000)
    machine.talk(spender)
    spender.reserve(100)  # of what is left, three tenths are leased
    assert spender.reservations == [300, 300, 100]

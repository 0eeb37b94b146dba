"""Whoever is told only what changed knows the same as whoever would be told all: whatever is lost, late or forgotten."""

from dataclasses import dataclass, field

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.shared.redis_server import RedisServer
from tests.shared.virtual_redis import VirtualRedis
from tierway_server.shared.rounds import Call

LOST_AFTER_US = 1_000_000
FORGET_US = 60_000_000
REPLICAS = ("a", "b")
NAMES = ("m@p", "m@q", "m@r")


@dataclass
class Listener:
    """A replica, as far as it tells and hears of breakers."""

    name: str
    round: int = 0
    heard: str = ""
    known: dict[str, list] = field(default_factory=dict)

    def talk(self, server: VirtualRedis, told: tuple = (), *, is_answered: bool = True) -> int:
        """One round; returns how many breakers it was told of."""
        self.round += 1
        assert server.call(self.name, self.round, Call("replica", "", (LOST_AFTER_US, FORGET_US)))
        call = Call("breakers", "breakers", (LOST_AFTER_US, self.heard, *told))
        heard, tells_all, *records = server.call(self.name, self.round, call)
        if is_answered:
            self.heard = heard.decode()
            if tells_all:
                self.known.clear()
            for name, *record in records:
                self.known[name.decode()] = record
        return len(records)


def stored(server: VirtualRedis) -> dict[str, tuple[int, bytes, bytes]]:
    """What Redis has: version, state and prober of each breaker."""
    records = {}
    for name, text in server.client.hgetall("breakers").items():
        if not name.startswith(b"#"):
            version, state, _, prober, _ = text.split()
            records[name.decode()] = (int(version), state, prober)
    return records


def known(listener: Listener) -> dict[str, tuple[int, bytes, bytes]]:
    return {name: (version, state, prober) for name, (version, state, _, prober) in listener.known.items()}


TRANSITIONS = st.sampled_from(NAMES).flatmap(
    lambda name: st.sampled_from([(name, "open", 500_000), (name, "closed", 0), (name, "probing", 0)])
)
STEPS = st.one_of(
    st.tuples(st.just("talk"), st.sampled_from(REPLICAS), st.lists(TRANSITIONS, max_size=2), st.booleans()),
    st.tuples(st.sampled_from(["wait", "restart", "forget", "fail over"]), st.just(""), st.just([]), st.just(True)),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=25))
def test_it_knows_all_after_each_round_that_was_answered(server: RedisServer, steps: list):
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        virtual = VirtualRedis(client)
        listeners = {name: Listener(name) for name in REPLICAS}
        saved = None
        for step, name, transitions, is_answered in steps:
            virtual.now_us += 10_000
            if step == "talk":
                told = tuple(part for transition in transitions for part in transition)
                listeners[name].talk(virtual, told, is_answered=is_answered)
                if is_answered:
                    assert known(listeners[name]) == stored(virtual)
            elif step == "wait":
                virtual.now_us += LOST_AFTER_US
                saved = client.dump("breakers")
            elif step == "restart":
                virtual.run += 1
            elif step == "forget":
                client.delete("breakers")
            elif saved is not None:  # to a server that had not heard the latest
                virtual.run += 1
                client.restore("breakers", 0, saved, replace=True)


def test_it_is_told_nothing_where_nothing_changed(server: RedisServer):
    with redis.Redis.from_url(server.url) as client:
        virtual, one, other = VirtualRedis(client), Listener("a"), Listener("b")
        assert one.talk(virtual, tuple(part for name in NAMES for part in (name, "open", 500_000))) == 3
        assert [other.talk(virtual), other.talk(virtual)] == [3, 0]
        one.talk(virtual, ("m@q", "closed", 0))
        assert other.talk(virtual) == 1
        virtual.now_us += 500_000
        assert [one.talk(virtual), one.talk(virtual)] == [2, 0]  # its turn to probe what rested
        assert [other.talk(virtual), other.talk(virtual)] == [2, 0]

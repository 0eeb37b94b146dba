import asyncio

import pytest

from tests.shared.redis_server import RedisServer
from tests.shared.replicas import LIMIT, PROVIDER_LIMIT, SECOND_NS, Replica, replicas, table
from tierway_core import Sharing
from tierway_core.grants import new_state
from tierway_server.shared.limits import Limits

RATE, BURST = 50.0, 10


def take_all(replica: Replica) -> int:
    """Takes as many as there are at this moment, and returns how many."""
    return take_all_at(replica.now_ns, replica)


def take_all_at(now_ns: int, replica: Replica) -> int:
    taken = 0
    while replica.state.take(LIMIT, now_ns) == 0:
        taken += 1
    return taken


async def test_what_one_took_the_others_wait_for(server: RedisServer):
    async with replicas(server.url, table(requests=0.01, burst=5), 2) as [one, other]:
        await one.answered_round()
        assert take_all(one) == 5
        await one.answered_round()
        await other.answered_round()
        assert take_all(other) == 0


async def test_replicas_grant_no_more_than_one_but_for_the_stated_excess(server: RedisServer):
    count = 3
    async with replicas(server.url, table(requests=RATE, burst=BURST), count) as all_:
        for replica in all_:
            await replica.answered_round()
        staleness_ns, taken = 0, 0
        answered = {replica: replica.now_ns for replica in all_}
        begin_ns = all_[0].now_ns
        while all_[0].now_ns - begin_ns < 10**9:
            for replica in all_:
                taken += take_all(replica)
                await replica.answered_round()
                now_ns = replica.now_ns
                staleness_ns, answered[replica] = max(staleness_ns, now_ns - answered[replica]), now_ns
        lasted_s = (all_[0].now_ns - begin_ns) / 1e9
        excess = (count - 1) * (BURST + 2 * staleness_ns / 1e9 * RATE)
        assert BURST < taken <= BURST + RATE * lasted_s + excess


async def test_an_excess_is_worked_off_before_anybody_is_let_through(server: RedisServer):
    async with replicas(server.url, table(requests=1, burst=5), 2) as all_:
        taken_ns = all_[0].now_ns
        assert [take_all_at(taken_ns, replica) for replica in all_] == [5, 5]  # neither has heard of the other
        for replica in (*all_, *all_):
            await replica.answered_round()
        # Ten were taken where five fit: five seconds are owed, and one until the next fits.
        for replica in all_:
            assert replica.state.wait_ns(LIMIT, replica.now_ns) / 1e9 <= 6.0
            assert replica.state.wait_ns(LIMIT, taken_ns) / 1e9 > 5.0


async def test_alone_a_replica_grants_one_part_of_as_many_as_there_were(server: RedisServer):
    async with replicas(server.url, table(requests=1, burst=6), 3) as [replica, *others]:
        async with asyncio.timeout(10):
            while replica.keeper.replicas < 3:
                for each in (*others, replica):
                    await each.keeper.round()
        server.kill()
        while not replica.keeper.is_lost:
            await replica.keeper.round()
        taken_ns = replica.now_ns
        assert take_all_at(taken_ns, replica) == 2
        assert 2.0 < replica.state.wait_ns(LIMIT, taken_ns) / 1e9 <= 3.0
        server.start()
        await replica.answered_round()
        assert take_all(replica) > 0


async def test_alone_a_replica_grants_the_configured_share(server: RedisServer):
    server.kill()
    async with replicas(server.url, table(requests=1, burst=8), 1, lost_share=0.25) as [replica]:
        while not replica.keeper.is_lost:
            await replica.keeper.round()
        assert take_all(replica) == 2


async def test_what_was_taken_long_ago_is_not_held_against_anybody_on_return(server: RedisServer):
    # A thousand a second: what was taken while Redis was away is long since worked off.
    async with replicas(server.url, table(requests=1000, burst=10), 2) as [one, other]:
        for replica in (one, other):
            await replica.answered_round()
        server.kill()
        taken = 0
        while not one.keeper.is_lost or taken < 200:
            taken += take_all(one)
            await one.keeper.round()
        server.start()
        await one.answered_round()
        await other.answered_round()
        assert other.state.wait_ns(LIMIT, other.now_ns) < 50 * 10**6


async def test_a_server_that_forgot_is_not_told_of_old_takes_again(server: RedisServer):
    async with replicas(server.url, table(requests=1, burst=5), 2) as [one, other]:
        await one.answered_round()
        take_all(one)
        await one.answered_round()
        server.kill()
        server.forget()
        server.start()
        async with asyncio.timeout(10):
            while not (await one.keeper.round() and await other.keeper.round()):
                pass
        assert take_all(other) == 5


async def test_what_one_holds_all_hold(server: RedisServer):
    async with replicas(server.url, table(), 2) as [one, other]:
        one.state.hold(PROVIDER_LIMIT, one.now_ns + 100 * SECOND_NS)
        for replica in (one, other):
            await replica.answered_round()
        assert 90 * SECOND_NS < other.state.wait_ns(PROVIDER_LIMIT, other.now_ns) <= 101 * SECOND_NS
        assert other.state.wait_ns(LIMIT, other.now_ns) == 0


async def test_a_hold_outlives_the_loss_of_redis_and_its_return(server: RedisServer):
    async with replicas(server.url, table(), 3) as [one, *_]:
        await one.answered_round()
        one.state.hold(PROVIDER_LIMIT, one.now_ns + 100 * SECOND_NS)
        server.kill()
        while not one.keeper.is_lost:
            await one.keeper.round()
        server.start()
        await one.answered_round()
        assert one.state.wait_ns(PROVIDER_LIMIT, one.now_ns) > 50 * SECOND_NS


def test_a_hold_is_told_once():
    """Or each round would add the time of its way to it."""
    state = new_state(table())
    limits = Limits(table(), Sharing(state), None)

    def round_(now_ns: int, heard_ns: int) -> int:
        """What was told, as the last argument of the script; what was heard is where Redis has the limit."""
        held_ns = int(limits.tell(now_ns)[PROVIDER_LIMIT].arguments[-1])
        limits.hear([[0], [heard_ns]], now_ns, replicas=2)
        return held_ns

    assert round_(1 * SECOND_NS, 0) == 0
    state.hold(PROVIDER_LIMIT, 100 * SECOND_NS)
    told_ns = round_(2 * SECOND_NS, 98 * SECOND_NS)
    assert told_ns == pytest.approx(99 * SECOND_NS, abs=10)  # and the burst of a second on top
    late_ns = SECOND_NS // 10
    assert [round_(second * SECOND_NS, told_ns - (second - 2) * SECOND_NS + late_ns) for second in range(3, 9)] == [
        0
    ] * 6
    state.hold(PROVIDER_LIMIT, 200 * SECOND_NS)
    assert round_(9 * SECOND_NS, 0) > 190 * SECOND_NS

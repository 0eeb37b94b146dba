import asyncio

import pytest

from tests.shared.redis_server import RedisServer
from tests.shared.replicas import BUDGET, USD, Replica, replicas, table

NANO_USD = 1_000
"""In pico-USD: the least that Redis knows."""


async def in_step(*all_: Replica) -> None:
    """Rounds until each has a lease, which the first of a server waits for, or until nothing is left to lease."""
    async with asyncio.timeout(10):
        while not all([await replica.keeper.round() and replica.holds_lease for replica in all_]):
            pass


async def spend_all(all_: list[Replica], picousd: int) -> int:
    """Everybody spends what they can, until nobody can any more; returns how much that was.

    The amounts become smaller in the end: what is left may lie in leases of which none is enough for one more.
    """
    spent = 0
    while picousd >= NANO_USD:
        spent += await spend_amounts(all_, picousd)
        picousd //= 10
    return spent


async def spend_amounts(all_: list[Replica], picousd: int) -> int:
    spent, idle = 0, 0
    while idle < 3:
        before = spent
        for replica in all_:
            while replica.spend(picousd):
                spent += picousd
            await replica.answered_round()
        idle = idle + 1 if spent == before else 0
    return spent


async def test_nothing_can_be_spent_before_redis_has_answered(server: RedisServer):
    async with replicas(server.url, table(), 1) as [replica]:
        assert not replica.spend(1)
        await in_step(replica)
        assert replica.spend(1)


async def test_replicas_spend_the_whole_budget_and_no_more(server: RedisServer):
    async with replicas(server.url, table(limit_picousd=USD), 3) as all_:
        await in_step(*all_)
        assert await spend_all(all_, USD // 100) == USD
        assert {replica.remaining_picousd for replica in all_} == {0}


async def test_what_others_spent_and_reserved_counts_in_what_is_left(server: RedisServer):
    async with replicas(server.url, table(), 2) as [one, other]:
        await in_step(one, other)
        assert one.spend(USD // 100)
        assert one.state.reserve(BUDGET, one.now_ns, USD // 100)
        await one.answered_round()
        await other.answered_round()
        assert other.remaining_picousd == USD - 2 * USD // 100
        assert other.state.spent_picousd(BUDGET, other.now_ns) == 0


async def test_a_request_larger_than_the_lease_is_leased_for_with_the_next_round(server: RedisServer):
    async with replicas(server.url, table(), 2) as [one, other]:
        await in_step(one, other)
        assert not one.spend(USD // 2)
        await one.answered_round()
        assert one.spend(USD // 2)


async def test_who_comes_at_once_is_granted_as_far_as_the_lease_goes_and_the_next_one_a_round_later(
    server: RedisServer,
):
    async with replicas(server.url, table(), 2) as [one, other]:
        await in_step(one, other)
        each_picousd = USD // 70
        at_once = 0
        while one.state.reserve(BUDGET, one.now_ns, each_picousd):
            at_once += 1
        assert 0 < at_once * each_picousd <= USD // 5  # of what is left, all replicas lease no more
        assert one.remaining_picousd > USD // 2
        await one.answered_round()
        assert one.state.reserve(BUDGET, one.now_ns, each_picousd)


async def test_a_lease_that_is_not_used_goes_back(server: RedisServer):
    async with replicas(server.url, table(), 2) as [idle, busy]:
        await in_step(idle, busy)
        assert not idle.spend(9 * USD // 10)
        await idle.answered_round()  # holds nine tenths now, and does not want them any more
        for _ in range(3):
            await idle.answered_round()
        assert await spend_all([busy, idle], USD // 100) == USD


async def test_a_replica_that_leaves_gives_its_lease_back(server: RedisServer):
    async with replicas(server.url, table(), 1, lease_share=1.0) as [replica]:
        async with replicas(server.url, table(), 1, lease_share=1.0) as [leaving]:
            await in_step(leaving)
            assert leaving.spend(USD // 4)
            await leaving.answered_round()
            assert not replica.spend(1)
        await in_step(replica)
        assert await spend_all([replica], USD // 4) == 3 * USD // 4


async def test_the_lease_of_a_replica_that_died_counts_as_spent(server: RedisServer):
    async with replicas(server.url, table(), 1, lease_share=0.5) as [replica]:
        dead = Replica(server.url, table(), lease_share=0.5)
        await in_step(dead)
        await dead.keeper._link.close()
        assert await spend_all([replica], USD // 100) == USD // 2


async def test_an_answer_dearer_than_reserved_is_told_and_taken_from_all(server: RedisServer):
    async with replicas(server.url, table(), 2) as [one, other]:
        await in_step(one, other)
        assert one.state.reserve(BUDGET, one.now_ns, 1)
        one.state.settle(BUDGET, one.now_ns, 1, USD // 2)
        await one.answered_round()
        await other.answered_round()
        assert other.remaining_picousd == USD // 2


async def test_a_period_begins_anew_for_all(server: RedisServer):
    async with replicas(server.url, table(period_s=0.5), 2) as all_:
        await in_step(*all_)
        spent = 0
        async with asyncio.timeout(20):
            while spent <= 2 * USD:  # more than two periods have
                for replica in all_:
                    while replica.spend(USD // 10):
                        spent += USD // 10
                    await replica.answered_round()


@pytest.mark.parametrize("has_most", [True, False])
@pytest.mark.parametrize("keeps_data", [True, False])
async def test_without_redis_the_lease_is_spent_and_told_on_return(
    server: RedisServer, keeps_data: bool, has_most: bool
):
    async with replicas(server.url, table(), 2) as [one, other]:
        await in_step(one if has_most else other)  # who is first leases most
        await in_step(one, other)
        await in_step(one, other)  # both have heard of both leases
        server.kill()
        while not one.keeper.is_lost:
            await one.keeper.round()
        spent = 0
        while one.spend(USD // 100):
            spent += USD // 100
        assert 0 < spent <= USD // 5
        if not keeps_data:
            server.forget()
        server.start()
        for _ in range(3):  # told again and again, it counts once
            await one.answered_round()
            await other.answered_round()
        assert other.remaining_picousd == USD - spent
        await in_step(one, other)  # a server that was started again leases after a pause
        assert spent + await spend_all([one, other], USD // 100) == USD


async def test_what_was_refused_stays_leased_until_whoever_was_refused_can_come_again(server: RedisServer):
    async with replicas(server.url, table(), 1, lease_share=0.001) as [replica]:
        await in_step(replica)
        assert not replica.spend(USD // 2)
        for _ in range(10):
            await replica.answered_round()
        assert replica.spend(USD // 2)


async def test_what_nobody_comes_for_again_goes_back(server: RedisServer):
    async with replicas(server.url, table(), 2, lease_share=0.001) as [one, other]:
        await in_step(one, other)
        assert not one.spend(USD * 9 // 10)
        await one.answered_round()
        assert not other.spend(USD // 2)
        async with asyncio.timeout(10):
            while not other.spend(USD // 2):
                await one.answered_round()
                await other.answered_round()

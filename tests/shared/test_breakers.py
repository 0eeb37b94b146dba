import asyncio

from tests.shared.redis_server import RedisServer
from tests.shared.replicas import DEPLOYMENT, Replica, fail, replicas, table
from tierway_core import Breaker


def state_of(replica: Replica) -> Breaker:
    """As of when it last heard of the others: by now, what is open may have rested for long enough."""
    return replica.state.breaker(DEPLOYMENT, replica.heard_ns)


async def rounds(all_: list[Replica]) -> None:
    for replica in all_:
        await replica.answered_round()


async def probers(all_: list[Replica]) -> list[Replica]:
    """Who lets a request through, once somebody does."""
    async with asyncio.timeout(10):
        while True:
            await rounds(all_)
            if found := [each for each in all_ if each.state.try_probe(DEPLOYMENT, each.heard_ns)]:
                return found


async def test_what_opens_in_one_opens_in_all(server: RedisServer):
    async with replicas(server.url, table(), 3) as all_:
        await rounds(all_)
        fail(all_[0])
        await rounds(all_)
        assert {state_of(replica) for replica in all_} == {Breaker.OPEN}


async def test_one_replica_probes_for_all_and_its_success_closes_all(server: RedisServer):
    async with replicas(server.url, table(), 3) as all_:
        fail(all_[0])
        await rounds(all_)
        [prober] = await probers(all_)
        assert sum(state_of(replica) is Breaker.HALF_OPEN for replica in all_) == 1
        prober.state.observe(DEPLOYMENT, prober.heard_ns, ok=True)
        await rounds(all_)
        await rounds(all_)
        assert {state_of(replica) for replica in all_} == {Breaker.CLOSED}


async def test_a_probe_that_fails_keeps_all_open(server: RedisServer):
    async with replicas(server.url, table(), 2) as all_:
        fail(all_[0])
        await rounds(all_)
        [prober] = await probers(all_)
        prober.state.observe(DEPLOYMENT, prober.heard_ns, ok=False)
        await rounds([prober, *all_])
        assert {state_of(replica) for replica in all_} == {Breaker.OPEN}
        assert len(await probers(all_)) == 1


async def test_a_prober_that_dies_is_followed_by_another(server: RedisServer):
    async with replicas(server.url, table(), 2) as all_:
        fail(all_[0])
        await rounds(all_)
        [prober] = await probers(all_)
        [other] = [replica for replica in all_ if replica is not prober]
        assert await probers([other]) == [other]


async def test_without_redis_each_goes_by_its_own(server: RedisServer):
    async with replicas(server.url, table(), 2) as all_:
        fail(all_[0])
        await rounds(all_)
        server.kill()
        assert {state_of(replica) for replica in all_} == {Breaker.OPEN}
        async with asyncio.timeout(10):
            while not all(replica.state.try_probe(DEPLOYMENT, replica.now_ns) for replica in all_):
                for replica in all_:
                    await replica.keeper.round()


async def test_an_operator_s_override_is_his_machine_s_and_stays(server: RedisServer):
    async with replicas(server.url, table(), 2) as [one, other]:
        other.state.force_breaker(DEPLOYMENT, Breaker.CLOSED)
        fail(one)
        await rounds([one, other])
        assert (state_of(one), state_of(other)) == (Breaker.OPEN, Breaker.CLOSED)
        other.state.force_breaker(DEPLOYMENT, None)
        assert state_of(other) is Breaker.OPEN


async def test_what_redis_forgot_holds_nobody_and_what_opens_then_opens_in_all(server: RedisServer):
    async with replicas(server.url, table(), 2) as [one, other]:
        fail(one)
        await rounds([one, other])
        assert state_of(other) is Breaker.OPEN
        server.kill()
        server.forget()
        server.start()
        async with asyncio.timeout(10):
            while not other.state.try_probe(DEPLOYMENT, other.heard_ns):
                await other.answered_round()
        other.state.observe(DEPLOYMENT, other.heard_ns, ok=True)
        await rounds([other, one, other])
        assert {state_of(one), state_of(other)} == {Breaker.CLOSED}
        fail(other)
        await rounds([other, one])
        assert {state_of(one), state_of(other)} == {Breaker.OPEN}

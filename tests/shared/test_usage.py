from tests.shared.redis_server import RedisServer
from tests.shared.replicas import DEPLOYMENT, Replica, replicas, table


def usage_of(replica: Replica) -> tuple[int, int]:
    return replica.state.usage(DEPLOYMENT, replica.now_ns)


async def test_usage_is_that_of_all_while_redis_answers(server: RedisServer):
    async with replicas(server.url, table(), 2, lost_after_s=2.0) as [one, other]:
        one.state.observe(DEPLOYMENT, one.now_ns, ok=True, tokens=7)
        other.state.observe(DEPLOYMENT, other.now_ns, ok=True, tokens=30)
        await one.answered_round()
        await other.answered_round()
        assert usage_of(other) == (2, 37)
        assert usage_of(one) == (1, 7)  # it was first: the other is told with the round after
        server.kill()
        while not other.keeper.is_lost:
            await other.keeper.round()
        assert usage_of(other) == (1, 30)

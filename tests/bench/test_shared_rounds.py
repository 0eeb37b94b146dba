"""The benchmark of rounds, small, on a real redis-server."""

import argparse
from pathlib import Path

from tierway_bench.redis_server import redis_server
from tierway_bench.shared_rounds import FLEETS, SITUATIONS, measure, table_with


def test_fleets_have_what_is_asked_for():
    table = table_with(FLEETS[0], 3)
    assert (len(table.deployments), len(table.limits), len(table.budgets)) == (FLEETS[0], 3, 3)


async def test_every_round_is_answered_and_every_change_is_seen(tmp_path: Path):
    given = argparse.Namespace(deployments=[3], records=2, replicas=2, rounds=3, changes=2, sync_s=0.01)
    with redis_server(tmp_path) as url:
        rounds, [staleness] = await measure(given, url)
    assert [each.situation for each in rounds] == list(SITUATIONS)
    assert all(each.reads >= 1 and each.p99_ms >= each.median_ms > 0 for each in rounds)
    assert staleness.most_ms >= staleness.median_ms > 0

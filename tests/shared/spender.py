"""A process that spends from one budget until it has long been granted nothing: `spender.py URL LIMIT AMOUNT`, in 10^-12 USD.

Writes a line for each amount that it was granted before it counts as spent, so that even one that is killed has told of all.
"""

import asyncio
import sys

from tests.shared.replicas import BUDGET, Replica, table

PATIENCE_NS = 4 * 10**9
"""Longer than a Redis that was started again is not asked, and then keeps its money back."""


async def spend(url: str, limit_picousd: int, amount_picousd: int) -> None:
    replica = Replica(url, table(limit_picousd=limit_picousd))
    running = asyncio.create_task(replica.keeper.run())
    granted_ns = replica.now_ns
    while replica.now_ns - granted_ns < PATIENCE_NS:
        if replica.state.reserve(BUDGET, replica.now_ns, amount_picousd):
            granted_ns = replica.now_ns
            sys.stdout.write("spent\n")
            sys.stdout.flush()
            replica.state.settle(BUDGET, replica.now_ns, amount_picousd, amount_picousd)
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await replica.keeper.leave()


if __name__ == "__main__":
    asyncio.run(spend(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

"""A process that spends from one budget as fast as it may, until it is told to stop: `spender.py URL LIMIT AMOUNT`, in 10^-12 USD.

Writes a line for each amount that it is about to spend, before it spends it, so that even one that is killed has told of all.
"""

import asyncio
import signal
import sys

from tests.shared.replicas import BUDGET, Replica, table


async def spend(url: str, limit_picousd: int, amount_picousd: int) -> None:
    replica = Replica(url, table(limit_picousd=limit_picousd))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    running = asyncio.create_task(replica.keeper.run())
    while not stop.is_set():
        if replica.state.reserve(BUDGET, replica.now_ns, amount_picousd):
            sys.stdout.write("spent\n")
            sys.stdout.flush()
            replica.state.settle(BUDGET, replica.now_ns, amount_picousd, amount_picousd)
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(0.002)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await replica.keeper.leave()


if __name__ == "__main__":
    asyncio.run(spend(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

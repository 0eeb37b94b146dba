"""A front end: `python -m tierway_server.workers.worker`, started by the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import uvloop

from tierway_core.grants import joined_state, state_bytes
from tierway_server.app import Process
from tierway_server.config import ConfigError, build_table, parse_address
from tierway_server.local_socket import Frames, Listener, asking
from tierway_server.rpc.server import PortError
from tierway_server.stops import Stops
from tierway_server.telemetry import logging as telemetry_logging
from tierway_server.workers.assignment import Assignment, assigned, supervisor_socket, worker_socket
from tierway_server.workers.child import CANNOT_START
from tierway_server.workers.memory import SharedMemory
from tierway_server.workers.questions import Count, Serving, to_supervisor_decoder, to_worker_decoder
from tierway_server.workers.seat import Seat


async def work(assignment: Assignment) -> None:
    """Decide and answer until SIGTERM, then drain.

    Raises:
        ConfigError: weights or calibration cannot be used.
        PortError: a port cannot be had.

    """
    config = assignment.configuration()
    table = build_table(config)
    memory = SharedMemory(state_bytes(table, config.server.workers), assignment.memory_fd)
    seat = Seat(
        worker=assignment.worker,
        socket=assignment.socket,
        state=joined_state(table, workers=config.server.workers, worker=assignment.worker, buffer=memory.buffer),
        addresses={name: parse_address(text) for name, text in assignment.addresses.items()},
        started_s=assignment.started_s,
        vault=assignment.vault,
    )
    process = Process(config, os.environ, seat=seat)
    process.listen()
    if process.calibrator is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, process.calibrator.ask)

    async def answer(_: Count, frames: Frames[Any]) -> None:
        await frames.write(process.count())

    counting = Listener(worker_socket(seat.socket, seat.worker), to_worker_decoder, answer)
    await counting.listen()
    serving = asyncio.create_task(_announce(process, seat), name="serving")
    try:
        await process.run(Stops())
    finally:
        serving.cancel()
        await counting.close()


async def _announce(process: Process, seat: Seat) -> None:
    """Tell the supervisor that this process serves, once it does."""
    await process.serves.wait()
    async with asking(supervisor_socket(seat.socket), Serving(seat.worker), to_supervisor_decoder) as told:
        await told.until_left()


def main() -> int:
    """Be a front end. Returns the exit code."""
    telemetry_logging.configure(os.environ.get("TIERWAY_LOG_LEVEL", "INFO").upper())
    try:
        uvloop.run(work(assigned()))
    except ConfigError as error:
        sys.stderr.writelines(f"tierway: {problem}\n" for problem in error.problems)
        return CANNOT_START
    except PortError as error:
        sys.stderr.write(f"tierway: {error}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())

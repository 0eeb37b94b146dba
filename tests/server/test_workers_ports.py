"""The ports of a server of several processes belong to it alone, as those of any other."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.server.fleet import five_tiers, only
from tests.server.several import (
    two_workers,
)
from tierway_server.app import Process
from tierway_server.config import Config, parse
from tierway_server.rpc.server import PortError
from tierway_server.workers.supervisor import Supervisor

LISTENS = pytest.mark.parametrize(
    ("listen", "name"), [("listen", "grpc"), ("admin_listen", "admin"), ("http_listen", "http")]
)


class TestPorts:
    @pytest.fixture
    async def supervisor(self) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(two_workers(), os.environ)
        supervisor.listen()
        yield supervisor
        supervisor.close()

    @LISTENS
    async def test_are_refused_to_another_server_with_workers(
        self, listen: str, name: str, supervisor: Supervisor
    ) -> None:
        address = supervisor.addresses[name]
        second = Supervisor(two_workers(**{listen: str(address)}), os.environ)
        with pytest.raises(PortError, match=str(address.port)):
            second.listen()
        second.close()

    @LISTENS
    async def test_are_refused_to_a_server_of_one_process(self, listen: str, name: str, supervisor: Supervisor) -> None:
        address = supervisor.addresses[name]
        with pytest.raises(PortError, match=str(address.port)):
            async with one_process(parse(only(five_tiers(**{listen: str(address)}), "premium"))):
                pass

    @LISTENS
    async def test_of_a_server_of_one_process_are_refused(self, listen: str, name: str) -> None:
        async with one_process(parse(only(five_tiers(), "premium"))) as first:
            address = first.addresses[name]
            second = Supervisor(two_workers(**{listen: str(address)}), os.environ)
            with pytest.raises(PortError, match=str(address.port)):
                second.listen()
            second.close()


@asynccontextmanager
async def one_process(config: Config) -> AsyncIterator[Process]:
    """A server of one process that listens and does not serve yet."""
    process = Process(config, {})
    try:
        process.listen()
        yield process
    finally:
        await process._public.stop(None)
        await process._admin.stop(None)
        if process._http is not None:
            process._http._listener.close()

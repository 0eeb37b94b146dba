"""Fixtures: a server over scripted engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.server.fleet import five_tiers
from tests.server.running import RunningServer, serving

Serve = Callable[..., Awaitable[RunningServer]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a configuration until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(*args: object, **options: object) -> RunningServer:
            return await stack.enter_async_context(serving(*args, **options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
async def server(serve: Serve) -> RunningServer:
    """A server of five tiers, one scripted engine each."""
    return await serve(five_tiers())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_server() -> AsyncIterator[RunningServer]:
    """The same, one for all tests of a module; for tests that leave it as they found it."""
    async with serving(five_tiers()) as server:
        yield server

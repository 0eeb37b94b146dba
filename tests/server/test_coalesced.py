"""Chunks put together: the first at once, the last at once, and between them by time."""

from __future__ import annotations

import asyncio

import pytest

from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, Usage
from tierway_server.backends.coalesced import coalesced
from tierway_server.errors import ProviderFailedError

LAST = Chunk("!", 1, finish_reason=FinishReason.STOP, usage=Usage(1, 0, 4))
NEVER_S = 1_000.0


class Source:
    """Chunks that come when a test says so."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue()
        self.is_closed = False
        self.taken = 0

    def put(self, *texts: str) -> None:
        for text in texts:
            self.queue.put_nowait(Chunk(text, 1, (TokenLogprob(text, -1.0, ()),)))

    async def chunks(self):
        try:
            while (chunk := await self.queue.get()) is not None:
                self.taken += 1
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
        finally:
            self.is_closed = True


@pytest.fixture
async def source():
    return Source()


async def test_the_first_goes_out_at_once_and_the_last_with_all_before_it(source):
    source.put("a")
    chunks = coalesced(source.chunks(), NEVER_S)
    assert (await anext(chunks)).text == "a"
    source.put("b", "c")
    source.queue.put_nowait(LAST)
    source.queue.put_nowait(None)
    [last] = [chunk async for chunk in chunks]
    assert (last.text, last.token_count, len(last.logprobs)) == ("bc!", 3, 2)
    assert (last.finish_reason, last.usage) == (LAST.finish_reason, LAST.usage)
    assert source.is_closed


async def test_what_came_goes_out_when_its_time_has_come(source):
    source.put("a", "b", "c")
    chunks = coalesced(source.chunks(), 0.01)
    assert [(await anext(chunks)).text, (await anext(chunks)).text] == ["a", "bc"]
    source.put("d")
    assert (await anext(chunks)).text == "d"
    await chunks.aclose()
    assert source.is_closed


async def test_without_a_window_each_goes_out_alone(source):
    source.put("a", "b", "c")
    source.queue.put_nowait(None)
    assert [chunk.text async for chunk in coalesced(source.chunks(), 0)] == ["a", "b", "c"]


async def test_what_came_before_a_failure_goes_out_before_it(source):
    source.put("a", "b")
    source.queue.put_nowait(ProviderFailedError("it failed"))
    chunks = coalesced(source.chunks(), NEVER_S)
    assert [(await anext(chunks)).text, (await anext(chunks)).text] == ["a", "b"]
    with pytest.raises(ProviderFailedError):
        await anext(chunks)


async def test_a_reader_who_does_not_come_stops_the_source(source):
    source.put("a", *["x" * 1_000] * 1_000)
    chunks = coalesced(source.chunks(), NEVER_S)
    await anext(chunks)
    assert len((await anext(chunks)).text) == 66_000
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert source.taken <= 1 + 2 * 66
    await chunks.aclose()
    assert source.is_closed


async def test_nothing_is_nothing(source):
    source.queue.put_nowait(None)
    assert [chunk async for chunk in coalesced(source.chunks(), NEVER_S)] == []

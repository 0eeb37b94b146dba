"""Engines behind the hop between processes: a real local socket, scripted engines, whatever can go wrong in between."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from itertools import repeat
from typing import Any

import pytest

from tests.server.fleet import CAPACITY, five_tiers, only
from tests.server.running import until
from tests.server.scripted_engine import PLAIN_ANSWER, ScriptedEngine, ScriptedLauncher
from tierway_server import local_socket
from tierway_server.backends.base import (
    Availability,
    Chunk,
    CostCeiling,
    FinishReason,
    Generation,
    Image,
    Message,
    Role,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolMode,
    Tools,
    Usage,
)
from tierway_server.backends.engine_host import EngineHost
from tierway_server.backends.engines import supervised_engines
from tierway_server.backends.hop import EngineState
from tierway_server.backends.remote_engine import RemoteEngine
from tierway_server.config import parse
from tierway_server.errors import (
    ContextTooLongError,
    EngineLostError,
    InternalError,
    NotReadyError,
    QueueFullError,
    StreamBrokenError,
    TierwayError,
)

GENERATION = Generation(id="g", messages=(Message(Role.USER, "Hi"),), sampling=Sampling(), max_tokens=8)


class Hop:
    """A host of one scripted engine, and a front end's view of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.launcher = ScriptedLauncher()
        [self.supervised] = supervised_engines(parse(only(five_tiers(), "nano")), [""], self.launcher).all
        self.remote = RemoteEngine("nano", name, capacity=CAPACITY, idle_timeout_s=60.0)
        self._tasks: list[asyncio.Task[None]] = []
        self._listener = self.new_listener()

    @property
    def engine(self) -> ScriptedEngine:
        return self.launcher.engines["nano"]

    async def start_host(self) -> None:
        self._listener = self.new_listener()
        await self._listener.listen()

    def new_listener(self) -> Any:
        return EngineHost([self.supervised], list).listener(self.name)

    async def start(self) -> None:
        await self.start_host()
        self._tasks.append(asyncio.create_task(self.supervised.run()))
        self._tasks.append(asyncio.create_task(self.remote.run()))
        await until(lambda: self.remote.availability.is_available)

    async def stop_host(self) -> None:
        """As the end of its process would: connections break off."""
        await self._listener.close()

    async def answer(self, generation: Generation = GENERATION) -> list[Chunk]:
        async with aclosing(self.remote.generate(generation)) as chunks:
            return [chunk async for chunk in chunks]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.close()


@pytest.fixture
def name(tmp_path: Any) -> str:
    """Of a socket that nobody else uses."""
    return f"tierway-test-{os.getpid()}-{tmp_path.name}"


@pytest.fixture
async def hop(name: str) -> AsyncIterator[Hop]:
    hop = Hop(name)
    await hop.start()
    yield hop
    await hop.close()


async def test_an_answer_comes_chunk_by_chunk(hop: Hop) -> None:
    gate = asyncio.Event()
    hop.engine.script("one", gate, "two")
    async with aclosing(hop.remote.generate(GENERATION)) as chunks:
        assert (await anext(chunks)).text == "one"
        gate.set()
        last = await anext(chunks)
        assert (last.text, last.finish_reason) == ("two", FinishReason.STOP)
        assert last.usage is not None
        assert [chunk async for chunk in chunks] == []
    await until(lambda: not hop.engine.running)


async def test_everything_asked_and_everything_answered_arrives_as_it_was(hop: Hop) -> None:
    generation = Generation(
        id="all",
        messages=(
            Message(Role.SYSTEM, "é\0"),
            Message(Role.USER, "x" * 3_000_000),
            Message(
                Role.USER, "b", ("b", Image(data=b"\x89PNG\0", mime_type="image/png"), Image(uri="https://a.example"))
            ),
            Message(Role.ASSISTANT, "", tool_calls=(ToolCall("c", "f", '{"a": 1'),)),
            Message(Role.TOOL, "7", tool_call_id="c"),
        ),
        sampling=Sampling(
            temperature=0.5,
            top_p=0.1,
            top_k=3,
            max_tokens=4,
            stop=("a", "b"),
            seed=2**63 - 1,
            presence_penalty=-1.0,
            frequency_penalty=1.0,
            top_logprobs=2,
        ),
        max_tokens=7,
        cost_ceiling=CostCeiling(max_picousd=2**62, input_picousd=1, output_picousd=2),
        json_schema={"type": "object", "properties": {"a": {"enum": [1, 2.5, None, True]}}},
        tools=Tools(
            tools=(Tool(name="f", description="é", parameters={"required": ["a"]}),),
            mode=ToolMode.REQUIRED,
            name="f",
            parallel=False,
        ),
        answered="so fär ",
    )
    entry = TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.5)))
    calls = (ToolCall("c", "f", "{}"), ToolCall("d", "g", '{"é": 1'))
    chunk = Chunk("aé", 2, (entry, entry), FinishReason.TOOL_CALLS, Usage(5, 2, 2, reasoning_tokens=1), calls)
    hop.engine.script(chunk)
    assert await hop.answer(generation) == [chunk]
    assert hop.engine.started == [generation]


@pytest.mark.parametrize(
    "error",
    [
        ContextTooLongError("too long", field="query", metadata={"prompt_tokens": "9"}),
        EngineLostError("gone", retry_after_s=1.5),
        StreamBrokenError("broken"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_is_the_same_on_this_side(hop: Hop, error: TierwayError) -> None:
    hop.engine.script(error)
    with pytest.raises(type(error)) as raised:
        await hop.answer()
    came = raised.value
    assert (came.message, came.field, came.metadata, came.retry_after_s) == (
        error.message,
        error.field,
        error.metadata,
        error.retry_after_s,
    )


async def test_an_unexpected_error_is_internal_and_keeps_its_text_to_itself(hop: Hop) -> None:
    hop.engine.script(ValueError("secret"))
    with pytest.raises(InternalError) as raised:
        await hop.answer()
    assert "secret" not in raised.value.message


async def test_the_host_holds_twice_its_capacity_and_no_more(hop: Hop) -> None:
    held = []
    for _ in range(2 * CAPACITY):  # who has left a front end may still be here
        hop.engine.script("first", asyncio.Event())
        held.append(hop.remote.generate(GENERATION))
        await anext(held[-1])
    with pytest.raises(QueueFullError):
        await hop.answer()
    for chunks in held:
        await chunks.aclose()
    await until(lambda: not hop.engine.running)
    assert "".join(chunk.text for chunk in await hop.answer()) == "".join(PLAIN_ANSWER)


class TestLeaving:
    async def test_before_the_first_chunk_ends_the_generation(self, hop: Hop) -> None:
        hop.engine.script(asyncio.Event())
        asking = asyncio.create_task(hop.answer())
        await until(lambda: bool(hop.engine.running))
        asking.cancel()
        await until(lambda: not hop.engine.running)

    async def test_in_the_middle_ends_the_generation(self, hop: Hop) -> None:
        hop.engine.script("one", asyncio.Event())
        async with aclosing(hop.remote.generate(GENERATION)) as chunks:
            await anext(chunks)
            assert hop.engine.running
        await until(lambda: not hop.engine.running)


async def test_who_reads_slowly_holds_the_engine_up_and_nobody_else(hop: Hop) -> None:
    hop.engine.repeat(repeat("x" * 1_000))
    async with aclosing(hop.remote.generate(GENERATION)) as slow:
        await anext(slow)
        # The kernel's buffers and asyncio's fill up, then the engine is not asked for more.
        await until_still(lambda: hop.engine.produced)
        produced = hop.engine.produced
        assert produced < 5_000
        assert len(await hop.answer(Generation(id="h", messages=(), sampling=Sampling(), max_tokens=1))) == 3
        assert hop.engine.produced == produced + 3
        await anext(slow)


async def until_still(count: Any) -> None:
    """Return when a number has stopped growing."""
    last = -1
    while last != (last := count()):
        for _ in range(200):
            await asyncio.sleep(0)


class TestTheHostsDeath:
    async def test_before_the_first_chunk_may_be_tried_elsewhere(self, hop: Hop) -> None:
        hop.engine.script(asyncio.Event())
        asking = asyncio.create_task(hop.answer())
        await until(lambda: bool(hop.engine.running))
        await hop.stop_host()
        with pytest.raises(EngineLostError):
            await asking

    async def test_in_the_middle_breaks_the_answer(self, hop: Hop) -> None:
        hop.engine.script("one", asyncio.Event())
        async with aclosing(hop.remote.generate(GENERATION)) as chunks:
            await anext(chunks)
            await hop.stop_host()
            with pytest.raises(StreamBrokenError):
                await anext(chunks)

    async def test_is_known_and_so_is_its_successor(self, hop: Hop) -> None:
        await hop.stop_host()
        await until(lambda: not hop.remote.availability.is_available)
        assert hop.remote.will_return
        with pytest.raises(NotReadyError):
            await hop.answer()
        await hop.start_host()
        await until(lambda: hop.remote.availability.is_available)
        assert len(await hop.answer()) == 3


@pytest.mark.parametrize("dies", ["engine", "host"])
async def test_whose_answer_breaks_off_knows_at_once_that_the_engine_has_gone(hop: Hop, dies: str) -> None:
    # It hears of the engine by its answers alone: what the host tells besides may come later.
    deaf = RemoteEngine("nano", hop.name, capacity=CAPACITY, idle_timeout_s=60.0)
    deaf._become(EngineState(Availability(True), will_return=True, has_settled=True))
    hop.engine.script("one", StreamBrokenError("of itself"))
    hop.engine.script("one", asyncio.Event())
    for lives in (True, False):
        async with aclosing(deaf.generate(GENERATION)) as chunks:
            await anext(chunks)
            if not lives and dies == "engine":
                hop.engine.death.set()
            elif not lives:
                await hop.stop_host()
            with pytest.raises(StreamBrokenError):
                await anext(chunks)
        assert deaf.availability.is_available == lives


async def test_an_engines_death_and_return_are_told(hop: Hop) -> None:
    seen: list[bool] = []
    hop.remote.watch(lambda availability: seen.append(availability.is_available))
    hop.engine.death.set()
    await until(lambda: seen[-2:] == [False, True])


class TestGarbage:
    @pytest.mark.parametrize(
        "sent",
        [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, struct.pack(">I", 3) + b"\xc1\xc1\xc1", struct.pack(">I", 0)],
        ids=["another protocol", "an enormous frame", "no MessagePack", "an empty frame"],
    )
    async def test_closes_the_connection_and_nothing_else(self, hop: Hop, sent: bytes) -> None:
        with closing(local_socket._connected(hop.name)) as connection:
            reader, writer = await asyncio.open_unix_connection(sock=connection)
            writer.write(sent)
            if sent.startswith(b"GET"):
                writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert len(await hop.answer()) == 3

    async def test_from_the_host_is_a_lost_engine(self, name: str) -> None:
        async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\0\0\0\1\xc1")
            writer.close()

        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"\0{name}")
        server = await asyncio.start_unix_server(garble, sock=listener)
        with pytest.raises(EngineLostError):
            async with aclosing(
                RemoteEngine("nano", name, capacity=1, idle_timeout_s=60.0).generate(GENERATION)
            ) as chunks:
                await anext(chunks)
        server.close()


async def test_another_user_is_not_listened_to(hop: Hop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: os.geteuid() + 1)
    with pytest.raises(EngineLostError):
        await hop.answer()
    assert hop.engine.started == []


async def test_a_name_is_taken_by_one_host_only(hop: Hop) -> None:
    with pytest.raises(OSError, match="in use"):
        await hop.new_listener().listen()


async def test_an_engine_that_the_host_has_not_is_not_ready(hop: Hop) -> None:
    with pytest.raises(NotReadyError):
        await anext(RemoteEngine("other", hop.name, capacity=1, idle_timeout_s=60.0).generate(GENERATION))

"""The fault proxy itself: each harm, at its byte, in its direction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faults.faulty import unheard
from tests.faults.proxy import Fault, Kind, Way, fault_proxy
from tests.server.running import until

SENT = bytes(range(256)) * 8
AT_BYTE = 1_000


@pytest.fixture
async def echo_port() -> AsyncIterator[int]:
    """A server that returns what it gets, and ends when the client has."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Line:
    """A client's connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def echoed(self, sent: bytes = SENT) -> bytes:
        self.writer.write(sent)
        return await self.reader.readexactly(len(sent))


@pytest.fixture
async def connect() -> AsyncIterator[object]:
    lines: list[Line] = []

    async def line(port: int) -> Line:
        lines.append(Line(*await asyncio.open_connection("127.0.0.1", port)))
        return lines[-1]

    yield line
    for each in lines:
        each.writer.transport.abort()


async def test_without_a_fault_all_passes_both_ways(echo_port, connect):
    async with fault_proxy(echo_port) as proxy:
        line = await connect(proxy.port)
        assert await line.echoed() == SENT
        assert await line.echoed(SENT[:7]) == SENT[:7]
        assert (proxy.accepted, proxy.struck) == (1, 0)


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.TRUNCATE])
@pytest.mark.parametrize("at_byte", [0, 1, AT_BYTE, len(SENT) - 1])
async def test_the_client_reads_exactly_what_came_before_the_end(echo_port, connect, kind, at_byte):
    async with fault_proxy(echo_port, Fault(kind=kind, at_byte=at_byte)) as proxy:
        line = await connect(proxy.port)
        line.writer.write(SENT)
        assert await line.reader.read(-1) == SENT[:at_byte]
        assert proxy.struck == 1


async def test_a_cut_towards_the_server_ends_both_sides(echo_port, connect):
    async with fault_proxy(echo_port, Fault(kind=Kind.CUT, at_byte=AT_BYTE, way=Way.TO_SERVER)) as proxy:
        line = await connect(proxy.port)
        line.writer.write(SENT)
        # What the server had still to say is lost with the connection: a prefix at most.
        assert SENT[:AT_BYTE].startswith(await line.reader.read(-1))


async def test_truncated_towards_the_server_its_answer_still_arrives(connect):
    whole = asyncio.Event()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(len(await reader.read(-1))).encode())
        writer.close()
        whole.set()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    fault = Fault(kind=Kind.TRUNCATE, at_byte=AT_BYTE, way=Way.TO_SERVER)
    async with server, fault_proxy(server.sockets[0].getsockname()[1], fault) as proxy:
        line = await connect(proxy.port)
        line.writer.write(SENT)
        assert await line.reader.read(-1) == str(AT_BYTE).encode()
        assert whole.is_set()


async def test_a_reset_is_no_orderly_end(echo_port, connect):
    gate = asyncio.Event()
    async with fault_proxy(echo_port, Fault(kind=Kind.RESET, at_byte=AT_BYTE, gate=gate)) as proxy:
        line = await connect(proxy.port)
        line.writer.write(SENT)
        assert await line.reader.readexactly(AT_BYTE) == SENT[:AT_BYTE]
        gate.set()
        with pytest.raises(ConnectionResetError):
            await line.reader.read(1)


async def test_stalled_the_connection_stays_until_the_client_leaves(echo_port, connect):
    async with fault_proxy(echo_port, Fault(kind=Kind.STALL, at_byte=AT_BYTE)) as proxy:
        line = await connect(proxy.port)
        line.writer.write(SENT)
        assert await line.reader.readexactly(AT_BYTE) == SENT[:AT_BYTE]
        assert proxy.living == 1
        assert not line.reader.at_eof()
        line.writer.close()
        await until(lambda: not proxy.living)


async def test_a_gate_holds_everything_until_it_is_opened_and_nothing_is_lost(echo_port, connect):
    gate = asyncio.Event()
    async with fault_proxy(echo_port, Fault(kind=Kind.DELAY, at_byte=AT_BYTE, gate=gate, delay_s=0.001)) as proxy:
        line = await connect(proxy.port)
        line.writer.write(SENT)
        before = await line.reader.readexactly(AT_BYTE)
        assert proxy.struck == 0
        gate.set()
        assert before + await line.reader.readexactly(len(SENT) - AT_BYTE) == SENT


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("at_byte", [0, AT_BYTE, len(SENT) - 1])
async def test_one_byte_is_garbled_and_no_other(echo_port, connect, way, at_byte):
    async with fault_proxy(echo_port, Fault(kind=Kind.GARBLE, at_byte=at_byte, way=way)) as proxy:
        line = await connect(proxy.port)
        echoed = await line.echoed()
        assert [place for place, byte in enumerate(echoed) if byte != SENT[place]] == [at_byte]
        assert echoed[at_byte] == SENT[at_byte] ^ 0xFF


async def test_bytes_are_counted_over_many_reads(echo_port, connect):
    async with fault_proxy(echo_port, Fault(kind=Kind.CUT, at_byte=1_500)) as proxy:
        line = await connect(proxy.port)
        assert await line.echoed(SENT[:1_000]) == SENT[:1_000]
        line.writer.write(SENT[1_000:])
        assert await line.reader.read(-1) == SENT[1_000:1_500]


async def test_each_connection_takes_the_next_fault_of_the_plan(echo_port, connect):
    async with fault_proxy(echo_port, Fault(kind=Kind.CUT, at_byte=3), None) as proxy:
        first, second = await connect(proxy.port), await connect(proxy.port)
        first.writer.write(SENT)
        assert await first.reader.read(-1) == SENT[:3]
        assert await second.echoed() == SENT


async def test_connections_above_the_bound_are_reset(echo_port, connect):
    async with fault_proxy(echo_port, connections=1) as proxy:
        assert await (await connect(proxy.port)).echoed() == SENT
        with pytest.raises(ConnectionResetError):
            await (await connect(proxy.port)).reader.read(1)


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.RESET])
async def test_it_goes_with_all_connections(echo_port, connect, kind):
    async with fault_proxy(echo_port) as proxy:
        lines = [await connect(proxy.port) for _ in range(2)]
        for line in lines:
            await line.echoed()
        port = proxy.port
        proxy.go(kind)
        for line in lines:
            if kind is Kind.CUT:
                assert await line.reader.read(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    await line.reader.read(1)
        await until(lambda: not proxy.living)
        with pytest.raises(ConnectionRefusedError):
            await connect(port)


async def test_where_nobody_listens_the_client_is_reset(connect):
    with unheard() as port:
        async with fault_proxy(port) as proxy:
            with pytest.raises(ConnectionResetError):
                await (await connect(proxy.port)).reader.read(1)

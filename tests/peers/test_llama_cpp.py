"""Answers that come from llama.cpp's own server, through a whole server of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import Fault, Kind, fault_proxy
from tests.peers.answering import (
    CAPITAL,
    check_it_is_held_to_a_schema,
    check_tokens_are_as_likely_as_it_says,
    executed,
    streamed,
    text_of,
    tierway_before,
)
from tests.peers.servers import Peer
from tests.server.running import RunningServer
from tierway.v1 import types_pb2


@pytest.fixture
async def before_llama(llama_cpp: Peer) -> AsyncIterator[RunningServer]:
    async with tierway_before(("llamacpp", f"{llama_cpp.base_url}/v1")) as server:
        yield server


async def test_llama_cpp_answers_with_its_account(before_llama: RunningServer) -> None:
    reply = await executed(before_llama, max_tokens=8)
    assert reply.text
    assert (reply.usage.output_tokens, reply.finish_reason) == (8, types_pb2.FINISH_REASON_LENGTH)
    assert reply.usage.input_tokens > 8
    assert reply.cost_usd > 0


async def test_llama_cpp_says_the_same_streamed(before_llama: RunningServer) -> None:
    events = await streamed(before_llama)
    assert text_of(events) == (await executed(before_llama)).text
    assert events[-1].finished.usage.output_tokens > 0


async def test_llama_cpp_tells_how_likely_its_tokens_were(before_llama: RunningServer) -> None:
    await check_tokens_are_as_likely_as_it_says(before_llama)


async def test_llama_cpp_is_held_to_a_schema(before_llama: RunningServer) -> None:
    await check_it_is_held_to_a_schema(before_llama)


async def test_a_cut_stream_of_a_real_server_goes_on_where_it_ended(llama_cpp: Peer) -> None:
    url = f"{llama_cpp.base_url}/v1"
    async with tierway_before(("llamacpp", url)) as server:
        whole = (await executed(server)).text
    async with fault_proxy(int(llama_cpp.target.rpartition(":")[2])) as proxy:
        # A byte of the fourth token's event or so: events of llama.cpp have some 250 bytes, its headers as many.
        proxy.default = lambda: Fault(kind=Kind.CUT, at_byte=1_300)
        async with tierway_before(("llamacpp", f"http://127.0.0.1:{proxy.port}/v1"), ("llamacpp", url)) as server:
            events = await streamed(server, CAPITAL)
    [broken] = [event.attempt for event in events if event.HasField("attempt")]
    assert broken.outcome == types_pb2.ATTEMPT_OUTCOME_BROKE_OFF
    assert 0 < broken.text_characters < len(whole)
    text = text_of(events)
    assert text[: broken.text_characters] == whole[: broken.text_characters]
    # The same weights, asked for the likeliest tokens, begun with the same text: the seam cannot be seen.
    assert text == whole

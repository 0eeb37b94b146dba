"""Answers that come from vLLM's own OpenAI server, through a whole server of ours. Its start takes most of a minute."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import Fault, Kind, fault_proxy
from tests.peers.answering import (
    check_an_answer_is_its_stream,
    check_tokens_are_as_likely_as_it_says,
    streamed,
    text_of,
    tierway_before,
)
from tests.peers.servers import Peer
from tests.server.running import RunningServer
from tierway.v1 import types_pb2

pytestmark = pytest.mark.timeout(300)  # the first of these tests starts the server


@pytest.fixture
async def server(vllm_openai: Peer) -> AsyncIterator[RunningServer]:
    async with tierway_before(("vllm", f"{vllm_openai.base_url}/v1")) as server:
        yield server


async def test_it_answers_with_its_account_and_the_same_streamed(server: RunningServer) -> None:
    await check_an_answer_is_its_stream(server)


async def test_it_tells_how_likely_its_tokens_were(server: RunningServer) -> None:
    await check_tokens_are_as_likely_as_it_says(server)


async def test_llama_cpp_takes_over_from_it(vllm_openai: Peer, llama_cpp: Peer) -> None:
    async with fault_proxy(int(vllm_openai.target.rpartition(":")[2])) as proxy:
        proxy.default = lambda: Fault(kind=Kind.CUT, at_byte=1_200)
        chain = (("vllm", f"http://127.0.0.1:{proxy.port}/v1"), ("llamacpp", f"{llama_cpp.base_url}/v1"))
        async with tierway_before(*chain) as server:
            events = await streamed(server, "Count from one to ten in words.")
    [broken] = [event.attempt for event in events if event.HasField("attempt")]
    assert broken.outcome == types_pb2.ATTEMPT_OUTCOME_BROKE_OFF
    assert 0 < broken.text_characters < len(text_of(events))
    assert [attempt.model for attempt in events[-1].finished.attempts] == ["vllm-0", "llamacpp-1"]

"""Answers that come from vLLM's own OpenAI server, through a whole server of ours. Its start takes most of a minute."""

from __future__ import annotations

import pytest

from tests.faults.proxy import Fault, Kind, fault_proxy
from tests.peers.answering import executed, streamed, text_of, tierway_before
from tests.peers.servers import Peer
from tierway.v1 import types_pb2

pytestmark = pytest.mark.timeout(240)  # the first of these tests starts the server


async def test_it_answers_with_its_account_and_the_same_streamed(vllm_openai: Peer) -> None:
    async with tierway_before(("vllm", f"{vllm_openai.base_url}/v1")) as server:
        reply = await executed(server)
        events = await streamed(server)
    assert "Paris" in reply.text
    assert reply.usage.input_tokens > 8
    assert text_of(events) == reply.text
    assert events[-1].finished.usage.output_tokens == reply.usage.output_tokens > 0


async def test_it_tells_how_likely_its_tokens_were(vllm_openai: Peer) -> None:
    async with tierway_before(("vllm", f"{vllm_openai.base_url}/v1")) as server:
        reply = await executed(server, max_tokens=6, top_logprobs=2)
    assert "".join(each.token for each in reply.logprobs) == reply.text
    assert len(reply.logprobs) == 6


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
